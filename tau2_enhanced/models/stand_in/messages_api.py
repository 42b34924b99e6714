"""Anthropic's Messages API, as the stand-in speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tau2_enhanced.models.anthropic_messages import OPENING
from tau2_enhanced.models.client import ChatMessage, call_of
from tau2_enhanced.models.stand_in.wires import Event, Tokens, Turn, calls_with_ids, pieces

_ERRORS = {400: "invalid_request_error", 404: "not_found_error", 500: "api_error"}
_UNCACHED = 4
"""Tokens that the API counts as its own after the last breakpoint."""


class MessagesAPI:
    path = "/v1/messages"

    def conversation(self, body: Mapping[str, Any]) -> Sequence[ChatMessage]:
        turns = body["messages"]
        if body["max_tokens"] < 1:
            raise ValueError("an answer needs max_tokens")
        if len(turns) > 1 and _blocks(turns[0])[0].get("text") == OPENING:
            turns = turns[1:]
        told = body.get("system") or []
        prompts = [told] if isinstance(told, str) else [block["text"] for block in told]
        system = [{"role": "system", "content": prompt} for prompt in prompts]
        return [*system, *(message for turn in turns for message in _messages(turn))]

    def answer(self, number: int, turn: Turn, tokens: Tokens, body: Mapping[str, Any]) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if turn.text or not turn.calls:
            content.append({"type": "text", "text": turn.text or "", "citations": None})
        for made, call in calls_with_ids(turn, f"toolu_{number}"):
            content.append({"type": "tool_use", "id": made, "name": call.name, "input": dict(call.arguments)})
        if turn.broken:
            # a call that is cut off has lost its arguments
            content[-1]["input"] = {}
        ended = "tool_use" if turn.calls else "end_turn"
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "gold"),
            "content": content,
            "stop_reason": "max_tokens" if turn.broken else ended,
            "stop_sequence": None,
            "usage": _usage(tokens, caching=_is_cached(body)),
        }

    def events(self, answer: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Event]:
        begun: dict[str, Any] = {"content": [], "stop_reason": None, "usage": {**answer["usage"], "output_tokens": 1}}
        yield _event("message_start", message={**answer, **begun})
        for index, block in enumerate(answer["content"]):
            call = block["type"] == "tool_use"
            empty = {**block, "input": {}} if call else {**block, "text": ""}
            yield _event("content_block_start", is_token=call, index=index, content_block=empty)
            yield _event("ping")
            text = json.dumps(block["input"]) if call else block["text"]
            for piece in pieces(text):
                delta = {"type": "input_json_delta", "partial_json": piece}
                delta = delta if call else {"type": "text_delta", "text": piece}
                yield _event("content_block_delta", is_token=True, index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        ended = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
        yield _event("message_delta", delta=ended, usage={"output_tokens": answer["usage"]["output_tokens"]})
        yield _event("message_stop")

    def error(self, status: int, text: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": _ERRORS[status], "message": text}}


def _event(kind: str, *, is_token: bool = False, **fields: Any) -> Event:
    return Event(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode(), is_token)


def _blocks(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _is_cached(body: Mapping[str, Any]) -> bool:
    """Whether the request asks to be cached up to its last turn."""
    return any("cache_control" in block for block in _blocks(body["messages"][-1]))


def _messages(turn: Mapping[str, Any]) -> Iterator[ChatMessage]:
    blocks = _blocks(turn)
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    if turn["role"] == "user":
        for block in blocks:
            if block["type"] == "tool_result":
                yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": block.get("content", "")}
        yield from ({"role": "user", "content": text} for text in texts)
        return
    calls = [
        call_of(block["id"], block["name"], json.dumps(block["input"]))
        for block in blocks
        if block["type"] == "tool_use"
    ]
    if calls:
        yield {"role": "assistant", "content": "".join(texts) or None, "tool_calls": calls}
    else:
        yield from ({"role": "assistant", "content": text} for text in texts)


def _usage(tokens: Tokens, *, caching: bool) -> dict[str, Any]:
    """Tokens as the API counts them: `input_tokens` without what was read from the cache or written to it."""
    uncached = min(_UNCACHED, tokens.prompt - tokens.cached) if caching else tokens.prompt
    read = tokens.cached if caching else 0
    written = tokens.prompt - read - uncached
    return {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.completion,
        "service_tier": "standard",
    }
