"""Deadlines that hold: whatever a call does on the network ends when its time is over.

A limit for each read ends a hang but not an answer that trickles in. So every single step on the network
(connecting, TLS, a write, a read) is given no more than what its call has left. Only the resolution of a host's
name can't be interrupted; it has the system's own limit.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2

_PIECE = 64 * 1024
"""Bytes of a request for each write: enough for most in one, since a thread that has let go of the interpreter may
wait long for its next turn."""

_ends_at: ContextVar[float | None] = ContextVar("tau2_enhanced_call_ends_at", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let what the block does through `held` clients end in so many seconds, by an httpx2.TimeoutException."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def held(client: httpx2.Client) -> httpx2.Client:
    """The client, whose connections from now on keep to the `deadline` of the code that uses them."""
    # httpx2 has no way to name a network backend together with the environment's proxies
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            pool = transport._pool  # type: ignore[attr-defined]  # not of the base class that the client declares
            pool._network_backend = _Backend(pool._network_backend)
    return client


@contextmanager
def _held(timeout: float | None) -> Iterator[float | None]:
    """The seconds that a step may take: `timeout`, or less. Raises TimeoutException when the call's are over."""
    ends_at = _ends_at.get()
    if ends_at is None:
        yield timeout
        return
    left = ends_at - time.monotonic()
    if left <= 0:
        raise httpcore2.TimeoutException("the call's time is over")
    try:
        yield left if timeout is None else min(left, timeout)
    except httpcore2.TimeoutException:
        if time.monotonic() < ends_at:
            raise
        # whichever step it was, it is the call that is late
        raise httpcore2.TimeoutException("the call's time is over") from None


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, backend: httpcore2.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """As the backend does, but address by address: it would give each of them the whole time."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in dict.fromkeys(str(place[0]) for *_, place in found):
            try:
                with _held(timeout) as left:
                    return _Stream(self._backend.connect_tcp(address, port, left, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _held(timeout) as left:
            return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # the stream would begin to count anew with each part that the socket takes
        for start in range(0, len(buffer), _PIECE):
            with _held(timeout) as left:
                self._stream.write(buffer[start : start + _PIECE], left)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        with _held(timeout) as left:
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
