"""What connections do beyond a plain exchange: they are kept, redirected, compressed, encrypted and led by proxies."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.client import Request
from tau2_enhanced.models.connections import Connections
from tau2_enhanced.models.failures import AuthenticationFailed, CallFailed, DeadlinePassed, TransientFailure
from tau2_enhanced.models.openai_client import OpenAIClient
from tests.models.raw_server import HEADERS, RawServer, Serve, read_request

ASKED = Request("m", [{"role": "user", "content": "Hi"}], timeout_s=10)
BODY = b'{"choices": [{"message": {"content": "Hello"}}]}'
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

Start = Callable[..., RawServer]


@pytest.fixture
def client() -> Iterator[Callable[[str], OpenAIClient]]:
    made: list[OpenAIClient] = []

    def connect(url: str) -> OpenAIClient:
        made.append(OpenAIClient("vllm", f"{url}/v1", "the-key-1234"))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def through_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    """A client of httpx2's on connections that look at the environment, which names no proxy yet."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with httpx2.Client(transport=Connections(use_proxies=True)) as client:
        yield client


def answering(body: bytes = BODY, headers: bytes = b"", *, status: bytes = b"200 OK") -> Serve:
    """Answers each request on a connection."""

    def serve(_: RawServer, connection: socket.socket) -> None:
        while True:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n" % (status, headers, len(body)) + body)

    return serve


def test_calls_one_after_the_other_share_a_connection_and_calls_at_once_do_not(
    start: Start, client: Callable[[str], OpenAIClient]
) -> None:
    together = threading.Barrier(6)

    def serve(_: RawServer, connection: socket.socket) -> None:
        for _number in range(3):
            read_request(connection)
            together.wait(20)
            connection.sendall(HEADERS % len(BODY) + BODY)

    server = start(serve)
    asking = client(server.url)
    for _ in range(3):
        with ThreadPoolExecutor(6) as pool:
            assert [reply.content for reply in pool.map(asking.complete, [ASKED] * 6)] == ["Hello"] * 6
    assert server.connections == 6


@pytest.mark.parametrize("said", [b"", b"Connection: close\r\n"])
def test_a_connection_that_the_server_has_ended_is_not_used_again(
    start: Start, client: Callable[[str], OpenAIClient], said: bytes
) -> None:
    ended = threading.Event()

    def answer_once(_: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (said, len(BODY)) + BODY)
        connection.shutdown(socket.SHUT_RDWR)
        ended.set()

    server = start(answer_once)
    asking = client(server.url)
    for number in range(1, 4):
        assert asking.complete(ASKED).content == "Hello"
        assert ended.wait(10)
        ended.clear()
        assert server.connections == number


def test_a_closed_client_sends_nothing_and_waits_for_nothing(
    start: Start, client: Callable[[str], OpenAIClient]
) -> None:
    asked = threading.Event()

    def say_nothing(server: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        asked.set()
        server.over.wait(20)

    server = start(say_nothing)
    asking = client(server.url)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asking.complete, ASKED)
        assert asked.wait(10)
        asking.close()
        with pytest.raises(TransientFailure, match="connection lost"):
            answer.result()
    with pytest.raises(CallFailed, match="closed") as failure:
        asking.complete(ASKED)
    assert not isinstance(failure.value, TransientFailure)
    assert server.connections == 1


def test_what_nobody_asked_for_is_no_answer_to_the_next_call(
    start: Start, client: Callable[[str], OpenAIClient]
) -> None:
    sent = threading.Event()

    def answer_twice(_: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEADERS % len(BODY) + BODY)
        asked_once.wait(10)
        connection.sendall(HEADERS % len(BODY) + BODY.replace(b"Hello", b"Stale"))
        sent.set()
        read_request(connection)

    asked_once = threading.Event()
    asking = client(start(answer_twice, answering()).url)
    assert asking.complete(ASKED).content == "Hello"
    asked_once.set()
    assert sent.wait(10)
    assert asking.complete(ASKED).content == "Hello"


def test_a_body_may_come_in_chunks_or_last_until_the_end(start: Start, client: Callable[[str], OpenAIClient]) -> None:
    def in_chunks(_: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        chunks = b"".join(b"%x;name=value\r\n%s\r\n" % (1, BODY[index : index + 1]) for index in range(len(BODY)))
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-T: 1\r\n\r\n")
        until_the_end(_, connection)

    def until_the_end(_: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + BODY)

    server = start(in_chunks)
    asking = client(server.url)
    assert asking.complete(ASKED).content == "Hello"
    assert asking.complete(ASKED).content == "Hello"
    assert server.connections == 1
    assert asking.complete(ASKED).content == "Hello"
    assert server.connections == 2


@pytest.mark.parametrize(("name", "compress"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized"])
def test_a_compressed_answer_is_read(
    start: Start,
    client: Callable[[str], OpenAIClient],
    name: bytes,
    compress: Callable[[bytes], bytes],
    status: bytes,
) -> None:
    body = BODY if status == b"200 OK" else b'{"error": {"message": "Incorrect key"}}'
    asking = client(start(answering(compress(body), b"Content-Encoding: %s\r\n" % name, status=status)).url)
    if status == b"200 OK":
        assert asking.complete(ASKED).content == "Hello"
        return
    with pytest.raises(AuthenticationFailed, match=r"HTTP 401: .*Incorrect key"):
        asking.complete(ASKED)


def test_tokens_of_a_compressed_stream_are_timed_as_they_come(
    start: Start, client: Callable[[str], OpenAIClient]
) -> None:
    def serve(_: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        packer = zlib.compressobj(wbits=31)
        for delta, reason in (({"content": "He"}, None), ({"content": "llo"}, "stop")):
            event = json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
            connection.sendall(packer.compress(f"data: {event}\n\n".encode()) + packer.flush(zlib.Z_SYNC_FLUSH))
            time.sleep(0.2)
        connection.sendall(packer.compress(b"data: [DONE]\n\n") + packer.flush())

    streamed = Request("m", ASKED.messages, arguments={"stream": True}, timeout_s=10)
    reply = client(start(serve).url).complete(streamed)
    assert reply.content == "Hello"
    assert reply.decode_ms is not None
    assert reply.decode_ms > 100


def test_a_redirected_call_keeps_its_body_and_shows_its_key_to_nobody_else(
    start: Start, client: Callable[[str], OpenAIClient]
) -> None:
    requests = []

    def answer(_: RawServer, connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(HEADERS % len(BODY) + BODY)

    other = start(answer)
    asking = client(start(answering(b"", b"Location: %s/there\r\n" % other.url.encode(), status=b"307 Go")).url)
    assert asking.complete(ASKED).content == "Hello"
    [(head, body)] = requests
    assert head.startswith(b"POST /there HTTP/1.1\r\n")
    assert json.loads(body) == {"messages": ASKED.messages, "model": "m"}
    assert b"the-key-1234" not in head


def test_a_redirect_to_nowhere_and_one_in_circles_are_failures(
    start: Start, client: Callable[[str], OpenAIClient]
) -> None:
    with pytest.raises(CallFailed, match="HTTP 302"):
        client(start(answering(b"", status=b"302 Found")).url).complete(ASKED)
    with pytest.raises(TransientFailure, match="redirects"):
        client(start(answering(b"", b"Location: /again\r\n", status=b"307 Go")).url).complete(ASKED)


def test_all_redirects_together_keep_to_the_deadline(start: Start, client: Callable[[str], OpenAIClient]) -> None:
    def redirect_slowly(server: RawServer, connection: socket.socket) -> None:
        while not server.over.wait(0.1):
            read_request(connection)
            connection.sendall(b"HTTP/1.1 307 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(DeadlinePassed):
        client(start(redirect_slowly).url).complete(Request("m", ASKED.messages, timeout_s=0.5))


def test_a_header_can_not_break_into_the_next_line(start: Start, client: Callable[[str], OpenAIClient]) -> None:
    asked = Request("m", ASKED.messages, headers={"X-Tau2-Simulation": "secret-1\r\nX-More: 1"}, timeout_s=10)
    with pytest.raises(TransientFailure) as caught:
        client(start(answering()).url).complete(asked)
    assert "secret-1" not in str(caught.value) + repr(caught.value)


def test_a_proxy_is_told_the_whole_address_and_who_asks(
    start: Start, through_environment: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = []

    def proxy(_: RawServer, connection: socket.socket) -> None:
        for _number in range(2):
            heads.append(read_request(connection)[0])
            connection.sendall(HEADERS % 2 + b"{}")

    server = start(proxy)
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:p%40ss@"))
    for _ in range(2):
        assert through_environment.get("http://models.example:8000/v1/models?a=b").json() == {}
    assert server.connections == 1
    for head in heads:
        assert head.startswith(b"GET http://models.example:8000/v1/models?a=b HTTP/1.1\r\n")
        assert b"\r\nproxy-authorization: Basic bWU6cEBzcw==\r\n" in head + b"\r\n"


def test_where_no_proxy_says_so_the_server_is_asked_directly(
    start: Start, through_environment: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.com,127.0.0.1")
    assert through_environment.get(start(answering()).url).content == BODY


@pytest.mark.parametrize("given", ["socks5://127.0.0.1:9", "http://[::1"])
def test_a_proxy_that_can_not_be_used_is_the_users_mistake(
    through_environment: httpx2.Client, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("all_proxy", given)
    with pytest.raises(UserMistake, match="proxy for http "):
        through_environment.get("http://models.example/v1/models")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, made = folder / "key.pem", folder / "certificate.pem"
    asked = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-nodes"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", made, *asked]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


def over_tls(certificate: tuple[Path, Path], serve: Serve) -> Serve:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def secured(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            serve(server, inside)

    return secured


def test_a_server_is_trusted_by_the_environments_certificates_alone(
    start: Start,
    certificate: tuple[Path, Path],
    through_environment: httpx2.Client,
    client: Callable[[str], OpenAIClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start(over_tls(certificate, answering()))
    url = server.url.replace("http:", "https:")
    stranger = httpx2.Client(transport=Connections(use_proxies=False))
    with stranger, pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.get(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    for _ in range(3):
        assert through_environment.get(url).content == BODY
    assert server.connections == 2
    assert client(url).complete(ASKED).content == "Hello"


def test_an_interrupt_ends_what_is_only_being_connected(
    start: Start, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def say_nothing(server: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        server.over.wait(20)

    def handshake_late(server: RawServer, connection: socket.socket) -> None:
        begun.set()
        go_on.wait(10)
        over_tls(certificate, say_nothing)(server, connection)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    connections = Connections(use_proxies=True)
    asking = httpx2.Client(transport=connections, timeout=10)
    with asking, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asking.get, start(handshake_late).url.replace("http:", "https:"))
        assert begun.wait(10)
        connections.interrupt()
        go_on.set()
        with pytest.raises(httpx2.NetworkError, match="interrupted"):
            answer.result()


@pytest.mark.parametrize("proxy_is_secure", [False, True])
def test_a_proxy_passes_on_what_is_encrypted(
    start: Start,
    certificate: tuple[Path, Path],
    through_environment: httpx2.Client,
    monkeypatch: pytest.MonkeyPatch,
    proxy_is_secure: bool,
) -> None:
    server = start(over_tls(certificate, answering()))
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    heads = []

    def tunnel(_: RawServer, connection: socket.socket) -> None:
        heads.append(read_request(connection)[0])
        with socket.create_connection(address) as upstream:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            threading.Thread(target=pass_on, args=(upstream, connection), daemon=True).start()
            pass_on(connection, upstream)

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        try:
            while received := source.recv(65536):
                target.sendall(received)
        except OSError:
            return

    proxy = start(over_tls(certificate, tunnel) if proxy_is_secure else tunnel)
    monkeypatch.setenv("https_proxy", proxy.url.replace("http:", "https:") if proxy_is_secure else proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    for _ in range(2):
        assert through_environment.get(server.url.replace("http:", "https:")).content == BODY
    assert [head.partition(b"\r\n")[0] for head in heads] == [b"CONNECT 127.0.0.1:%d HTTP/1.1" % address[1]]


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("[2001:db8::1]", b"[2001:db8::1]:443"),
        ("[2001:db8::1]:8443", b"[2001:db8::1]:8443"),
        ("user:word@h.example", b"h.example:443"),
    ],
)
def test_a_proxy_is_told_a_host_and_a_port(
    start: Start, through_environment: httpx2.Client, monkeypatch: pytest.MonkeyPatch, server: str, told: bytes
) -> None:
    heads = []

    def refuse(_: RawServer, connection: socket.socket) -> None:
        heads.append(read_request(connection)[0])

    monkeypatch.setenv("https_proxy", start(refuse).url)
    with pytest.raises(httpx2.HTTPError):
        through_environment.get(f"https://{server}/v1")
    assert heads == [b"CONNECT %b HTTP/1.1\r\nhost: %b" % (told, told)]


def test_a_proxy_that_refuses_is_a_failure(
    start: Start, through_environment: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", start(answering(b"", status=b"407 Who asks?")).url)
    with pytest.raises(httpx2.ProxyError, match="407 Who asks"):
        through_environment.get("https://models.example/v1/models")
