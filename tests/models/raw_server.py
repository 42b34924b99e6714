"""Servers that do with a connection what no HTTP server would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class RawServer:
    """Hands each connection to the next of the given functions, the last of them again and again."""

    def __init__(self, *serve: Serve) -> None:
        self._serve = list(serve)
        self.over = threading.Event()
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                serve = self._serve.pop(0) if len(self._serve) > 1 else self._serve[0]
                threading.Thread(target=self._handle, args=(serve, connection), daemon=True).start()

    def _handle(self, serve: Serve, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(self, connection)

    def close(self) -> None:
        self.over.set()
        self._listening.close()


Serve = Callable[[RawServer, socket.socket], None]


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    """A request's head and its body. Raises ConnectionError where the client has gone."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        body += _more(connection)
    return head, body


def _more(connection: socket.socket) -> bytes:
    if not (received := connection.recv(65536)):
        raise ConnectionError
    return received
