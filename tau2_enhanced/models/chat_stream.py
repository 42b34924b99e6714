"""A chat completion put together from the chunks in which it was streamed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tau2_enhanced.models.streaming import Chunk, Stream, StreamedError, cut_off, joined


def holds_token(chunk: Chunk) -> bool:
    """Whether there is text, reasoning or a piece of a tool call in it, and not a role alone."""
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        if any(value for name, value in delta.items() if name != "role"):
            return True
    return False


def completion_of(stream: Stream) -> dict[str, Any]:
    """What the server would have answered without streaming, as far as it has said it.

    Raises StreamedError for an error in the stream, TransientFailure where the answer broke off, and LookupError,
    TypeError or AttributeError where these are no chunks of a completion.
    """
    body: dict[str, Any] = {}
    choice = _Choice()
    for chunk in stream.chunks:
        if chunk.get("error") or chunk.get("object") == "error":
            raise StreamedError(chunk)
        body |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for piece in chunk.get("choices") or ():
            # one answer is asked for
            if not piece.get("index"):
                choice.add(piece)
    if not choice.rest.get("finish_reason") and not stream.is_done:
        raise cut_off()
    return {**body, "object": "chat.completion", "choices": [choice.whole()]}


class _Choice:
    """The answer so far."""

    def __init__(self) -> None:
        self.rest: dict[str, Any] = {"index": 0}
        """What stands beside the message, the reason for its end among it."""
        self._fields: dict[str, Any] = {"role": "assistant", "content": None}
        self._texts: dict[str, list[str]] = {}
        self._calls: list[_Call] = []

    def add(self, piece: Mapping[str, Any]) -> None:
        for name, value in piece.items():
            if name == "logprobs" and value and self.rest.get("logprobs"):
                self.rest["logprobs"] = _appended(self.rest["logprobs"], value)
            elif name != "delta" and (value is not None or name not in self.rest):
                self.rest[name] = value
        for name, value in (piece.get("delta") or {}).items():
            if name == "tool_calls":
                for call in value or ():
                    self._call(call).add(call)
            elif isinstance(value, str) and name != "role":
                self._texts.setdefault(name, []).append(value)
            elif isinstance(value, list):
                self._fields[name] = (self._fields.get(name) or []) + value
            elif value is not None or name not in self._fields:
                self._fields[name] = value

    def _call(self, delta: Mapping[str, Any]) -> _Call:
        """The call that a delta belongs to: by its index, or where servers give none or always the same, the last
        one, unless the delta begins another call by an id and a name of its own."""
        index = delta.get("index")
        known = next((call for call in reversed(self._calls) if index is None or call.index == index), None)
        begins = bool(delta.get("id") and (delta.get("function") or {}).get("name"))
        if known is None or (begins and delta["id"] != known.fields.get("id")):
            known = _Call(index)
            self._calls.append(known)
        return known

    def whole(self) -> dict[str, Any]:
        message = {**self._fields, **{name: joined(pieces) for name, pieces in self._texts.items()}}
        # many servers begin every stream with an empty text, one of calls alone too
        message["content"] = message["content"] or None
        if self._calls:
            message["tool_calls"] = [call.whole() for call in self._calls]
        return {**self.rest, "message": message}


class _Call:
    """One tool call so far. Its id, type and name come whole, perhaps more than once; its arguments in pieces."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.fields: dict[str, Any] = {}
        self._name: str | None = None
        self._arguments: list[str] = []

    def add(self, delta: Mapping[str, Any]) -> None:
        function = delta.get("function") or {}
        self._name = self._name or function.get("name")
        arguments = function.get("arguments")
        if arguments:
            self._arguments.append(arguments)
        for name, value in delta.items():
            if name not in ("index", "function") and value and name not in self.fields:
                self.fields[name] = value

    def whole(self) -> dict[str, Any]:
        return {
            "type": "function",
            **self.fields,
            "function": {"name": self._name, "arguments": joined(self._arguments)},
        }


def _appended(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Two mappings of lists as one."""
    return {name: (known.get(name) or []) + (more.get(name) or []) or None for name in {**known, **more}}
