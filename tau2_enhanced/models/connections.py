"""Connections to servers, over HTTP/1.1, each step on which ends by its call's deadline.

Their sockets and TLS are httpcore2's, what is read is understood by `httptools`, and there is little between the
two: a call through httpx2's own transport takes 0.12 ms more of CPU (`benchmarks/request_layers.py`).
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpcore2
import httpx2

from tau2_enhanced.models.answers import Answer
from tau2_enhanced.models.deadlines import Deadline
from tau2_enhanced.models.plain_stream import PlainStream
from tau2_enhanced.models.proxies import authorization, environment_proxy, port

_CONNECT_TIMEOUT_S = 10.0
_KEPT_S = 4.0
"""How long a connection that nobody uses is worth trying: uvicorn, and so vLLM, closes its own after 5 s."""
_PIECE = 64 * 1024
"""Bytes for each write and read: enough for most requests in one, since a thread that has let go of the interpreter
may wait long for its next turn."""
_BREAKS_A_LINE = re.compile(r"[\r\n\0]")
_BACKEND = httpcore2.SyncBackend()


class Closed(httpx2.NetworkError):
    """The connections were closed: nobody waits for an answer any more."""


@dataclass(slots=True, eq=False)
class _Connection:
    stream: httpcore2.NetworkStream
    forwarding: httpx2.Proxy | None
    """The proxy that is told whole addresses and passes on what it is sent; none on a way straight to the server."""
    unused_since: float = field(default_factory=time.monotonic)

    def is_usable(self) -> bool:
        """Whether it may be used again. What can be read before a request is an end, or nothing that was asked for."""
        is_fresh = time.monotonic() - self.unused_since < _KEPT_S
        return is_fresh and not self.stream.get_extra_info("is_readable")

    def shut_down(self) -> None:
        """Let whoever reads from it or writes to it find it broken: closing it would not wake them."""
        with suppress(OSError):
            self.stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class Exchange(httpx2.SyncByteStream):
    """A request that was sent, and its answer: the head at once, the body as it comes. To be closed."""

    def __init__(
        self,
        connection: _Connection,
        answer: Answer,
        deadline: Deadline,
        kept: deque[_Connection],
        busy: set[_Connection],
    ) -> None:
        self.status = answer.status
        self.headers = answer.headers
        """In their order, the names in lower case."""
        self.is_encoded = any(name == b"content-encoding" for name, _ in answer.headers)
        self._connection = connection
        self._answer = answer
        self._deadline = deadline
        self._kept = kept
        self._busy = busy
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        """The body as it is on the wire, piece by piece. Raises an httpx2.HTTPError where it breaks off."""
        with _FailingAsHttpx2(self._deadline):
            while True:
                if piece := self._answer.take():
                    yield piece
                if self._answer.is_whole:
                    return
                self._answer.feed(_read(self._connection.stream, self._deadline))

    def close(self) -> None:
        """Let others use the connection, where the answer was read to its end; else end it."""
        if self._is_closed:
            return
        self._is_closed = True
        self._busy.discard(self._connection)
        if self._answer.is_whole and self._answer.keeps_connection:
            self._connection.unused_since = time.monotonic()
            self._kept.append(self._connection)
        else:
            self._connection.stream.close()


class Connections(httpx2.BaseTransport):
    """Connections that are kept open and used again, as many as there are calls at once.

    As httpx2's transport they serve its clients too, and so the SDKs. No lock is held, so threads don't wait for
    each other.
    """

    def __init__(self, *, use_proxies: bool) -> None:
        """`use_proxies`: those of the environment. Its certificates are always used."""
        self._use_proxies = use_proxies
        self._kept: dict[tuple[str, str, int | None], deque[_Connection]] = defaultdict(deque)
        self._busy: set[_Connection] = set()
        self._proxies: dict[tuple[str, str, int | None], httpx2.Proxy | None] = {}
        self._interrupts = 0
        self._is_closed = False

    def send(
        self, method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Exchange:
        """Send a request, with the headers as they are, and read the answer's head.

        Raises an httpx2.HTTPError: Closed after `close`.
        """
        kept, interrupts = self._kept[url.scheme, url.host, url.port], self._interrupts
        if self._is_closed:
            raise Closed("the connections were closed")
        with _FailingAsHttpx2(deadline):
            connection = _usable(kept) or self._connect(url, deadline)
            self._busy.add(connection)
            try:
                if self._interrupts != interrupts:
                    raise httpx2.NetworkError("interrupted while it was being connected")
                _write(connection.stream, _head(method, url, headers, connection.forwarding) + body, deadline)
                answer = _read_head(connection.stream, method, deadline)
            except BaseException:  # of a connection in the middle of an exchange nothing can be kept, ^C or not
                self._busy.discard(connection)
                connection.stream.close()
                raise
        return Exchange(connection, answer, deadline, kept, self._busy)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """As httpx2 wants it. All of it ends by the Deadline in the extension "deadline", or by the time for a read."""
        limits: Mapping[str, Any] = request.extensions
        deadline = limits.get("deadline") or Deadline(limits["timeout"]["read"])
        exchange = self.send(request.method, request.url, request.headers, request.read(), deadline)
        return httpx2.Response(exchange.status, headers=exchange.headers, stream=exchange)

    def interrupt(self) -> None:
        """End what other threads wait for: their connections break at once, or as soon as they are made."""
        self._interrupts += 1
        for connection in tuple(self._busy):
            connection.shut_down()

    def close(self) -> None:
        """Send nothing any more, and end what other threads still wait for."""
        self._is_closed = True
        self.interrupt()
        for kept in tuple(self._kept.values()):
            while kept:
                kept.pop().stream.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = httpx2.create_ssl_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _proxy(self, url: httpx2.URL) -> httpx2.Proxy | None:
        """The proxy on the way to a server. The environment is asked for it once."""
        server = url.scheme, url.host, url.port
        if self._use_proxies and server not in self._proxies:
            self._proxies[server] = environment_proxy(url)
        return self._proxies.get(server)

    def _connect(self, url: httpx2.URL, deadline: Deadline) -> _Connection:
        proxy = self._proxy(url)
        first = url if proxy is None else proxy.url
        stream = _tcp(first, deadline)
        try:
            if first.scheme == "https":
                stream = self._secured(stream, first, deadline)
            if proxy is not None and url.scheme == "https":
                _tunnel(stream, proxy, url, deadline)
                stream = self._secured(stream, url, deadline)
        except BaseException:  # ^C too: nobody else closes the socket
            stream.close()
            raise
        if {first.scheme, url.scheme} == {"http"}:
            stream = PlainStream(stream)
        return _Connection(stream, proxy if url.scheme == "http" else None)

    def _secured(self, stream: httpcore2.NetworkStream, url: httpx2.URL, deadline: Deadline) -> httpcore2.NetworkStream:
        return stream.start_tls(self._tls, url.raw_host.decode(), deadline.left_s())


def _usable(kept: deque[_Connection]) -> _Connection | None:
    """The connection that was used last; those that can't be used again are closed."""
    while True:
        try:
            connection = kept.pop()
        except IndexError:
            return None
        if connection.is_usable():
            return connection
        connection.stream.close()


def _tcp(url: httpx2.URL, deadline: Deadline) -> httpcore2.NetworkStream:
    """A connection to the first of the host's addresses that takes one."""
    host = url.raw_host.decode()
    try:
        found = socket.getaddrinfo(host, port(url), type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore2.ConnectError(str(error)) from error
    failure: Exception = httpcore2.ConnectError(f"{host} has no address")
    # one by one, since the backend would give each of them the whole time
    for address in dict.fromkeys(str(place[0]) for *_, place in found):
        try:
            return _BACKEND.connect_tcp(address, port(url), deadline.left_s(_CONNECT_TIMEOUT_S))
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            failure = error
    raise failure


def _tunnel(stream: httpcore2.NetworkStream, proxy: httpx2.Proxy, url: httpx2.URL, deadline: Deadline) -> None:
    """Let the proxy pass on what it does not understand."""
    target = url.netloc.decode("ascii") + (f":{port(url)}" if url.port is None else "")
    _write(stream, _request_head(f"CONNECT {target}", {"host": target, **authorization(proxy)}), deadline)
    answer = _read_head(stream, "CONNECT", deadline)
    if answer.status // 100 != 2:
        raise httpx2.ProxyError(f"{answer.status} {answer.reason}")


def _write(stream: httpcore2.NetworkStream, data: bytes, deadline: Deadline) -> None:
    # the stream would begin to count anew with each part that the socket takes
    for start in range(0, len(data), _PIECE):
        stream.write(data[start : start + _PIECE], deadline.left_s())


def _head(method: str, url: httpx2.URL, headers: Mapping[str, str], forwarding: httpx2.Proxy | None) -> bytes:
    target = url.raw_path.decode("ascii")
    if forwarding is None:
        return _request_head(f"{method} {target}", headers)
    whole = f"{url.scheme}://{url.netloc.decode('ascii')}{target}"
    return _request_head(f"{method} {whole}", {**headers, **authorization(forwarding)})


def _request_head(request: str, headers: Mapping[str, str]) -> bytes:
    if _BREAKS_A_LINE.search("".join(headers.values())):
        raise httpx2.LocalProtocolError("a header's value holds a line break")
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{request} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


def _read_head(stream: httpcore2.NetworkStream, method: str, deadline: Deadline) -> Answer:
    answer = Answer(method)
    while not answer.has_head:
        answer.feed(_read(stream, deadline))
    return answer


def _read(stream: httpcore2.NetworkStream, deadline: Deadline) -> bytes:
    return stream.read(_PIECE, deadline.left_s())


class _FailingAsHttpx2:
    """Lets what fails in the block be one of the errors that httpx2 and the SDKs know."""

    __slots__ = ("_deadline",)

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, httpcore2.TimeoutException):
            # whichever step it was, it may be the call that is late
            self._deadline.left_s()
            if isinstance(error, httpcore2.ConnectTimeout):
                raise httpx2.ConnectTimeout(str(error)) from error
            raise httpx2.ReadTimeout(str(error)) from error
        if isinstance(error, httpcore2.ConnectError):
            raise httpx2.ConnectError(str(error)) from error
        if isinstance(error, httpcore2.NetworkError):
            raise httpx2.NetworkError(str(error)) from error
