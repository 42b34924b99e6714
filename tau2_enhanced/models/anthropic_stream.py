"""A message of Anthropic's API put together from the events in which it was streamed."""

from __future__ import annotations

from typing import Any

from tau2_enhanced.models.client import whole
from tau2_enhanced.models.streaming import Chunk, Stream, StreamedError, cut_off, joined, parsed

_TEXTS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
"""What each kind of delta carries a piece of, by the name of its field; all but `partial_json` are the block's."""
_EMPTY_AT_FIRST = ("text", "thinking")


def holds_token(event: Chunk) -> bool:
    """Whether there is text, thinking or a piece of a tool call in it. The beginning of a call is one."""
    if event.get("type") == "content_block_start":
        return event["content_block"]["type"] not in _EMPTY_AT_FIRST
    delta = event["delta"] if event.get("type") == "content_block_delta" else {}
    return bool(delta.get("text") or delta.get("thinking") or delta.get("partial_json"))


def message_of(stream: Stream) -> dict[str, Any]:
    """What the API would have answered without streaming.

    The input of a call that is no JSON, because it was cut off, is given as the text that it is.

    Raises StreamedError for an error in the stream, TransientFailure where the answer broke off, and LookupError,
    TypeError or AttributeError where these are no events of a message.
    """
    message: dict[str, Any] = {}
    blocks: dict[int, _Block] = {}
    for event in stream.chunks:
        kind = event.get("type")
        if kind == "error":
            raise StreamedError(event)
        if kind == "message_start":
            message = dict(event["message"])
        elif kind == "content_block_start":
            blocks[event["index"]] = _Block(event["content_block"])
        elif kind == "content_block_delta":
            blocks[event["index"]].add(event["delta"])
        elif kind == "message_delta":
            more = {name: value for name, value in event.items() if name not in ("type", "delta", "usage")}
            counted = {name: count for name, count in (event.get("usage") or {}).items() if count is not None}
            message |= {**more, **event["delta"], "usage": {**(message.get("usage") or {}), **counted}}
    if not message.get("stop_reason"):
        raise cut_off()
    return {**message, "content": [blocks[index].whole() for index in sorted(blocks)]}


class _Block:
    """One block of the content so far."""

    def __init__(self, start: dict[str, Any]) -> None:
        self._fields = dict(start)
        self._pieces: dict[str, list[str]] = {}

    def add(self, delta: dict[str, Any]) -> None:
        if delta["type"] == "citations_delta":
            self._fields["citations"] = [*(self._fields.get("citations") or ()), delta["citation"]]
        elif name := _TEXTS.get(delta["type"]):
            self._pieces.setdefault(name, []).append(delta[name])

    def whole(self) -> dict[str, Any]:
        made = dict(self._fields)
        for name, pieces in self._pieces.items():
            if name != "partial_json":
                made[name] = (made.get(name) or "") + joined(pieces)
            elif text := joined(pieces):
                made["input"] = _input(text)
        return made


def _input(text: str) -> Any:
    try:
        return whole(parsed(text.encode()))
    except ValueError:
        return text
