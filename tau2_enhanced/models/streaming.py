"""Answers that come as a stream of server-sent events, read when they are whole.

While a stream comes, its bytes are kept and the time of each read is noted; nothing else is done between two
tokens. When it has ended, its events are parsed, and how many bytes stood before a token tells when that came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from tau2_enhanced.models.client import Request, whole
from tau2_enhanced.models.failures import CallFailed, ModelCallError, RequestRefused, TransientFailure
from tau2_enhanced.models.http import Received

Chunk = dict[str, Any]

_DONE = b"[DONE]"
_STREAM = re.compile(r"\bstream", re.IGNORECASE)


class StreamedError(Exception):
    """An error object in the stream, in place of the rest of the answer."""

    def __init__(self, chunk: Chunk) -> None:
        super().__init__("the stream holds an error")
        self.chunk = chunk


class Stream(NamedTuple):
    """A stream that has ended."""

    chunks: Sequence[Chunk]
    ttft_ms: float | None
    """From sending the request to the first token; None where there was none."""
    decode_ms: float | None
    """From the first token to the last."""
    is_done: bool
    """Whether it says itself that this was all (`[DONE]`)."""


def is_stream(body: bytes) -> bool:
    """Whether these are events: a server may answer a request for a stream by a plain JSON object."""
    return not body.lstrip().startswith(b"{")


def read_stream(received: Received, holds_token: Callable[[Chunk], bool]) -> Stream:
    """The chunks of a stream, and when its tokens came.

    Raises TransientFailure where it breaks off within an event, ValueError or TypeError where it is none.
    """
    chunks = []
    token_ends = []
    is_done = False
    for data, end in read_events(received.body):
        if data == _DONE:
            is_done = True
            break
        try:
            chunk = parsed(data)
        except ValueError:
            if end == len(received.body):
                raise cut_off() from None
            raise
        if not isinstance(chunk, dict):
            raise TypeError("an event of the stream is no object")
        chunks.append(chunk)
        if holds_token(chunk):
            token_ends.append(end)
    if not chunks and not is_done:
        raise ValueError("there is no event in it")
    if not token_ends:
        return Stream(chunks, None, None, is_done)
    first, last = received.arrived_ms(token_ends[0]), received.arrived_ms(token_ends[-1])
    return Stream(chunks, first, last - first, is_done)


def read_events(stream: bytes) -> Iterator[tuple[bytes, int]]:
    """The data of each event, and how many bytes of the stream there were when it was whole.

    Lines end with LF, CR LF or CR; a line that begins with a colon is a comment. Data that no blank line ends
    is given too: some servers leave out the last one.
    """
    data: list[bytes] = []
    end = 0
    for line in stream.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True):
        end += len(line)
        text = line.rstrip(b"\r\n")
        if text.startswith(b"data:"):
            data.append(text[5:].removeprefix(b" "))
        elif not text and data:
            yield b"\n".join(data), end
            data = []
    if data:
        yield b"\n".join(data), end


def parsed(data: bytes) -> Any:
    """The JSON of one event. Half characters, whose other half another event may hold, are kept."""
    try:
        return orjson.loads(data)
    except ValueError:
        return json.loads(data)


def joined(pieces: Sequence[str]) -> str:
    """The text of these pieces. Halves of a character that stood in two of them are one again."""
    text = "".join(pieces)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return str(whole(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")))
    return text


def cut_off() -> ModelCallError:
    """The failure of a stream that ended too early: half an answer is none."""
    return TransientFailure("connection lost: the stream broke off within the answer", error_type="connection")


def is_streamed(request: Request) -> bool:
    """Whether the request asks for a stream."""
    return bool(request.arguments.get("stream"))


def refused_as_stream(failure: ModelCallError, request: Request) -> ModelCallError:
    """The failure, which names `stream` as the refused parameter where the server's words are about streaming."""
    if not is_streamed(request):
        return failure
    named = failure.parameter if isinstance(failure, RequestRefused) else None
    # "method not allowed", "not implemented" and the like are told from other failures by their words alone
    refuses = isinstance(failure, RequestRefused) or type(failure) is CallFailed or failure.error_type == "http_501"
    if named == "stream_options" or (refuses and named is None and _STREAM.search(str(failure))):
        return RequestRefused(str(failure), parameter="stream")
    return failure
