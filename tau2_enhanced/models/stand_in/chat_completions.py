"""OpenAI's chat completions, as the stand-in speaks them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tau2_enhanced.models.client import ChatMessage, call_of
from tau2_enhanced.models.stand_in.wires import Event, Tokens, Turn, calls_with_ids, pieces


class ChatCompletions:
    path = "/v1/chat/completions"

    def conversation(self, body: Mapping[str, Any]) -> Sequence[ChatMessage]:
        messages: Sequence[ChatMessage] = body["messages"]
        return messages

    def answer(self, number: int, turn: Turn, tokens: Tokens, body: Mapping[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if turn.calls:
            texts = [json.dumps(call.arguments) for call in turn.calls]
            if turn.broken:
                texts[-1] = texts[-1][:-1] + ',"'
            message["tool_calls"] = [
                call_of(made, call.name, text)
                for (made, call), text in zip(calls_with_ids(turn, f"call_{number}"), texts, strict=True)
            ]
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 0,
            "model": "gold",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if turn.calls else "stop"}],
            "usage": {
                "prompt_tokens": tokens.prompt,
                "completion_tokens": tokens.completion,
                "total_tokens": tokens.prompt + tokens.completion,
                "prompt_tokens_details": {"cached_tokens": tokens.cached},
            },
        }

    def events(self, answer: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Event]:
        (choice,) = answer["choices"]
        counts = bool((body.get("stream_options") or {}).get("include_usage"))
        head = {name: answer[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        head |= {"usage": None} if counts else {}

        def event(delta: Mapping[str, Any], finish_reason: str | None = None, *, is_token: bool = False) -> Event:
            piece = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            return Event(_line({**head, "choices": [piece]}), is_token)

        calls, text = choice["message"].get("tool_calls") or (), choice["message"]["content"] or ""
        yield event({"role": "assistant", "content": None if calls and not text else ""})
        for piece in pieces(text):
            yield event({"content": piece}, is_token=True)
        for index, call in enumerate(calls):
            function = {"name": call["function"]["name"], "arguments": ""}
            yield event({"tool_calls": [{**call, "index": index, "function": function}]}, is_token=True)
            for piece in pieces(call["function"]["arguments"]):
                yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, is_token=True)
        yield event({}, choice["finish_reason"])
        if counts:
            yield Event(_line({**head, "choices": [], "usage": answer["usage"]}), is_token=False)
        yield Event(b"data: [DONE]\n\n", is_token=False)

    def error(self, status: int, text: str) -> dict[str, Any]:
        return {"error": {"message": text, "type": "stand_in", "code": None}}


def _line(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
