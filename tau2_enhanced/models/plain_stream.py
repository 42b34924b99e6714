"""A TCP connection without TLS whose time limits the kernel keeps.

A socket with a limit of Python's own asks before each read and write whether it may, and each of these steps lets go of
the interpreter, for which a thread among many then has to wait. Here a read is one step, and so is a write.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from typing import Any

import httpcore2

_LONGEST_S = 1e6


class PlainStream(httpcore2.NetworkStream):
    """An httpcore2 stream's socket, read and written in the kernel's own way. The stream itself is not used again."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")
        self._socket.settimeout(None)
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._limits: dict[int, int] = {}
        """By the kernel's option, the logarithm of the time limit that is set."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Raises httpcore2.ReadTimeout or ReadError."""
        ends_at = _end(timeout)
        while True:
            left_s = ends_at - time.monotonic()
            self._limit(socket.SO_RCVTIMEO, left_s)
            try:
                return self._socket.recv(max_bytes)
            except BlockingIOError as error:
                if left_s <= 0:
                    raise httpcore2.ReadTimeout("timed out") from error
            except OSError as error:
                raise httpcore2.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of it within the time. Raises httpcore2.WriteTimeout or WriteError."""
        ends_at = _end(timeout)
        left = memoryview(buffer)
        while left:
            left_s = ends_at - time.monotonic()
            self._limit(socket.SO_SNDTIMEO, left_s)
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError as error:
                if left_s <= 0:
                    raise httpcore2.WriteTimeout("timed out") from error
            except OSError as error:
                raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return bool(self._readable.poll(0))
        return self._stream.get_extra_info(info)

    def _limit(self, option: int, seconds: float) -> None:
        """Let the next step take no more than so long: a power of two, so that most steps find it set already."""
        # no time at all would mean no limit
        _, exponent = math.frexp(max(seconds, 1e-6))
        if self._limits.get(option) != exponent:
            whole, part = divmod(max(1, int(math.ldexp(1e6, exponent - 1))), 1_000_000)
            self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", whole, part))
            self._limits[option] = exponent


def _end(timeout: float | None) -> float:
    return time.monotonic() + min(_LONGEST_S, _LONGEST_S if timeout is None else timeout)
