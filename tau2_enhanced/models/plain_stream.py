"""A TCP connection without TLS whose time limits the kernel keeps.

A socket with a limit of Python's own asks before each read and write whether it may, and each of these steps lets go of
the interpreter, for which a thread among many then has to wait. Here a read is one step, and so is a write.
"""

from __future__ import annotations

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

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Raises httpcore2.ReadTimeout or ReadError."""
        self._limit(socket.SO_RCVTIMEO, _LONGEST_S if timeout is None else timeout)
        try:
            return self._socket.recv(max_bytes)
        except BlockingIOError as error:
            raise httpcore2.ReadTimeout("timed out") from error
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of it within the time. Raises httpcore2.WriteTimeout or WriteError."""
        ends_at = time.monotonic() + (_LONGEST_S if timeout is None else timeout)
        left = memoryview(buffer)
        try:
            while left:
                self._limit(socket.SO_SNDTIMEO, ends_at - time.monotonic())
                left = left[self._socket.send(left) :]
        except BlockingIOError as error:
            raise httpcore2.WriteTimeout("timed out") from error
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _limit(self, option: int, seconds: float) -> None:
        # no time at all would mean no limit
        whole, part = divmod(max(1, int(min(seconds, _LONGEST_S) * 1e6)), 1_000_000)
        self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", whole, part))
