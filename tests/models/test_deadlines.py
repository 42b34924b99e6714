"""Servers that take too long, in each of the ways there are. What is asserted of time is an upper bound alone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from tau2_enhanced.models.anthropic_client import AnthropicClient
from tau2_enhanced.models.client import Client, Request
from tau2_enhanced.models.failures import DeadlinePassed, ModelCallError, TransientFailure
from tau2_enhanced.models.openai_client import OpenAIClient
from tests.models.raw_server import HEADERS, RawServer, Serve, read_request

LIMIT_S = 0.3
INTERRUPTED_S = 5.0
"""How long after its deadline a call may end at the latest: much, for a busy machine, and far less than the servers'
fifty seconds."""
COMPLETION = b'{"choices": [{"message": {"content": "%s"}}]}'
MESSAGE = b'{"type": "message", "content": [{"type": "text", "text": "%s"}], "stop_reason": "end_turn"}'


@pytest.fixture(params=["openai", "anthropic"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Client]]:
    made: list[Client] = []

    def connect(url: str) -> Client:
        if request.param == "openai":
            made.append(OpenAIClient("vllm", f"{url}/v1", "EMPTY"))
        else:
            made.append(AnthropicClient(url, "key-1234"))
        return made[-1]

    yield connect
    for client in made:
        client.close()


def answer(connection: socket.socket, text: bytes) -> None:
    """Answer one request, in the format of its path."""
    head, _ = read_request(connection)
    body = (MESSAGE if b"/messages" in head else COMPLETION) % text
    connection.sendall(HEADERS % len(body) + body)


def asked(text: str = "Hi", *, timeout_s: float = LIMIT_S, stream: bool = False) -> Request:
    return Request("m", [{"role": "user", "content": text}], arguments={"stream": stream}, timeout_s=timeout_s)


def failure_in_time(client: Client, request: Request) -> ModelCallError:
    began = time.monotonic()
    with pytest.raises(ModelCallError) as caught:
        client.complete(request)
    assert time.monotonic() - began < request.timeout_s + INTERRUPTED_S
    return caught.value


def never_answer(server: RawServer, _: socket.socket) -> None:
    server.over.wait(30)


def trickle_headers(server: RawServer, connection: socket.socket) -> None:
    read_request(connection)
    _trickle(server, connection, (HEADERS % 9).replace(b"\r\n\r\n", b"\r\nX-Padding: ") + b"x" * 1000)


def trickle_body(server: RawServer, connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(HEADERS % 1000)
    _trickle(server, connection, b" " * 1000)


def trickle_events(server: RawServer, connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    _trickle(server, connection, b": keep-alive\n\n" * 100)


def flood(server: RawServer, connection: socket.socket) -> None:
    """An answer without an end, so fast that no read ever waits."""
    read_request(connection)
    connection.sendall(HEADERS % 2**40)
    while not server.over.is_set():
        connection.sendall(b" " * 65536)


def _trickle(server: RawServer, connection: socket.socket, data: bytes) -> None:
    """A byte every 50 ms: each well within the limit of a call."""
    for index in range(len(data)):
        connection.sendall(data[index : index + 1])
        if server.over.wait(0.05):
            return


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("serve", [never_answer, trickle_headers, trickle_body, trickle_events, flood])
def test_a_call_ends_at_its_deadline(
    start: Callable[..., RawServer], connect: Callable[[str], Client], serve: Serve, stream: bool
) -> None:
    assert isinstance(failure_in_time(connect(start(serve).url), asked(stream=stream)), DeadlinePassed)


def test_a_request_that_nobody_reads_meets_the_deadline(
    start: Callable[..., RawServer], connect: Callable[[str], Client]
) -> None:
    client = connect(start(never_answer).url)
    assert isinstance(failure_in_time(client, asked("x" * 2**24)), DeadlinePassed)


def test_a_request_that_is_read_a_little_at_a_time_meets_the_deadline(
    start: Callable[..., RawServer], connect: Callable[[str], Client]
) -> None:
    def sip(server: RawServer, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not server.over.wait(0.05):
            connection.recv(4096)

    client = connect(start(sip).url)
    assert isinstance(failure_in_time(client, asked("x" * 2**24)), DeadlinePassed)


def test_a_server_that_has_no_room_for_connections_meets_the_deadline(connect: Callable[[str], Client]) -> None:
    """Its queue is full, so that nobody answers the attempt to connect."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with closing(socket.create_connection(address)):
            client = connect(f"http://127.0.0.1:{address[1]}")
            began = time.monotonic()
            with pytest.raises(ModelCallError) as caught:
                client.complete(asked())
    assert time.monotonic() - began < LIMIT_S + INTERRUPTED_S
    assert isinstance(caught.value, DeadlinePassed)


@pytest.mark.parametrize("serve", [never_answer, _trickle])
def test_a_tls_handshake_that_never_ends_meets_the_deadline(
    start: Callable[..., RawServer], connect: Callable[[str], Client], serve: Serve
) -> None:
    def shake(server: RawServer, connection: socket.socket) -> None:
        if serve is never_answer:
            never_answer(server, connection)
        # the beginning of a TLS record, which goes on a byte at a time
        _trickle(server, connection, b"\x16\x03\x03\x40\x00" + b"\x02" * 1000)

    client = connect(start(shake).url.replace("http:", "https:"))
    assert isinstance(failure_in_time(client, asked()), DeadlinePassed)


def test_a_late_answer_is_not_taken_by_the_next_call(
    start: Callable[..., RawServer], connect: Callable[[str], Client]
) -> None:
    answered = threading.Event()

    def answer_late(server: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        server.over.wait(LIMIT_S + 0.1)
        with suppress(OSError):
            connection.sendall(HEADERS % len(COMPLETION % b"late") + COMPLETION % b"late")
        answered.set()

    def answer_again(server: RawServer, connection: socket.socket) -> None:
        answered.wait(10)
        answer(connection, b"in time")

    server = start(answer_late, answer_again)
    client = connect(server.url)
    assert isinstance(failure_in_time(client, asked()), DeadlinePassed)
    reply = client.complete(asked(timeout_s=10))
    assert (reply.content, server.connections) == ("in time", 2)


def test_connections_are_used_again_and_keep_to_each_calls_own_deadline(
    start: Callable[..., RawServer], connect: Callable[[str], Client]
) -> None:
    def answer_twice_then_hang(server: RawServer, connection: socket.socket) -> None:
        answer(connection, b"one")
        time.sleep(LIMIT_S)  # the first call's deadline passes
        answer(connection, b"two")
        trickle_headers(server, connection)

    server = start(answer_twice_then_hang)
    client = connect(server.url)
    assert client.complete(asked()).content == "one"
    assert client.complete(asked(timeout_s=10)).content == "two"
    assert isinstance(failure_in_time(client, asked()), DeadlinePassed)
    assert server.connections == 1


@pytest.mark.parametrize("sent", [b"", (HEADERS % 1000)[:20], HEADERS % 1000, HEADERS % 1000 + b'{"choices": ['])
def test_a_connection_closed_halfway_is_a_dropped_one(
    start: Callable[..., RawServer], connect: Callable[[str], Client], sent: bytes
) -> None:
    def close_halfway(_: RawServer, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(sent)

    failure = failure_in_time(connect(start(close_halfway).url), asked(timeout_s=10))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"
