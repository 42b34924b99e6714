"""What the tests of streamed answers share: bodies of server-sent events, cut and framed in any way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tau2_enhanced.models.http import Received

NOISE = ["", ": keep-alive", ":", "id: 7", "retry: 10", "event: x"]


def pieces_of(draw: st.DrawFn, text: str) -> list[str]:
    """The text, cut anywhere; perhaps within a character, as servers do whose strings are of 16-bit units."""
    if draw(st.booleans()):
        units = text.encode("utf-16-le", "surrogatepass")
        text = "".join(chr(low | high << 8) for low, high in zip(units[::2], units[1::2], strict=True))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


def interleaved(draw: st.DrawFn, sequences: Sequence[Sequence[Any]]) -> list[Any]:
    """The items of all sequences, each in its own order."""
    left = [list(sequence) for sequence in sequences if sequence]
    merged = []
    while left:
        taken = draw(st.sampled_from(left))
        merged.append(taken.pop(0))
        left = [sequence for sequence in left if sequence]
    return merged


def framed(draw: st.DrawFn, chunks: Sequence[Any], last: str | None = "[DONE]") -> bytes:
    """The chunks as events: any ends of lines, comments and other fields between, JSON written in any way."""
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    dumped = _dumped_ascii if draw(st.booleans()) else _dumped
    lines: list[str] = []
    for text in [*map(dumped, chunks), *([last] if last else [])]:
        lines += draw(st.lists(st.sampled_from(NOISE), max_size=2))
        lines += [draw(st.sampled_from(["data: ", "data:"])) + text, ""]
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return bom + (newline.join(lines) + newline).encode()


def _dumped_ascii(chunk: Any) -> str:
    return json.dumps(chunk)


def _dumped(chunk: Any) -> str:
    text = json.dumps(chunk, ensure_ascii=False)
    # half characters have no other form
    return json.dumps(chunk) if any("\ud800" <= character <= "\udfff" for character in text) else text


def received(draw: st.DrawFn, body: bytes) -> Received:
    """The body, come in any number of reads, one a millisecond."""
    cuts = sorted(draw(st.lists(st.integers(1, max(1, len(body) - 1)), max_size=6)))
    return Received(body, [(size, float(number)) for number, size in enumerate([*cuts, len(body)])])


def events(*chunks: Any, done: bool = True) -> bytes:
    """The chunks as events, in the usual form."""
    return b"".join(_events(chunks)) + (b"data: [DONE]\n\n" if done else b"")


def _events(chunks: Sequence[Any]) -> Iterator[bytes]:
    for chunk in chunks:
        name = f"event: {chunk['type']}\n" if "type" in chunk else ""
        yield f"{name}data: {json.dumps(chunk)}\n\n".encode()
