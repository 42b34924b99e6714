"""An answer over HTTP/1.1, understood while it comes, by the compiled parser of `httptools`.

`http.client` reads headers as those of an e-mail, which takes fifteen times as long.
"""

from __future__ import annotations

import httptools
import httpx2


class Answer:
    """Status and headers of an answer, and its body as it comes. What stands behind the answer is left alone."""

    def __init__(self, method: str) -> None:
        """`method` is the request's: to some there is no body."""
        self.status = 0
        self.reason = ""
        self.headers: list[tuple[bytes, bytes]] = []
        """In their order, the names in lower case."""
        self.has_head = False
        self.is_whole = False
        self.keeps_connection = False
        """Whether the connection may be used again, once the answer is whole."""
        self._method = method
        self._parts: list[bytes] = []
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """What came next; no bytes: the connection has ended.

        Raises httpx2.RemoteProtocolError for what is no answer, and where it breaks off.
        """
        if self._parser is None:
            return
        try:
            if data:
                self._parser.feed_data(data)
            else:
                self._end()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_whole:
                raise httpx2.RemoteProtocolError(f"the server answered no HTTP: {error}") from None
            self.keeps_connection = False
        if self.is_whole:
            self._parser = None  # each holds the other, and neither would go

    def take(self) -> bytes:
        """What there is of the body that was not taken before."""
        part = b"".join(self._parts)
        self._parts.clear()
        return part

    def _end(self) -> None:
        if not self.has_head:
            raise httpx2.RemoteProtocolError("the server closed the connection without an answer")
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            raise httpx2.RemoteProtocolError("the server closed the connection before its answer's end")
        self.is_whole = True

    # what the parser calls

    def on_message_begin(self) -> None:
        if self.is_whole:
            self.keeps_connection = False
        else:
            self.reason = ""

    def on_status(self, part: bytes) -> None:
        if not self.is_whole:
            self.reason += part.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        # not those behind a body in chunks
        if not self.has_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status // 100 == 1:
            # "100 Continue" and its like: the answer itself comes after it
            self.headers.clear()
        elif not self.has_head:
            self.status, self.has_head = status, True
            self.keeps_connection = self._parser.should_keep_alive()
            self.is_whole = self._method == "HEAD" or (self._method == "CONNECT" and status // 100 == 2)

    def on_body(self, part: bytes) -> None:
        if not self.is_whole:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        self.is_whole = self.has_head
