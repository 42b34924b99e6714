"""OpenAI's chat completions, as the stand-in speaks them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.stand_in.gold import Turn
from tau2_enhanced.models.stand_in.wires import Tokens


class ChatCompletions:
    path = "/v1/chat/completions"

    def conversation(self, body: Mapping[str, Any]) -> Sequence[ChatMessage]:
        messages: Sequence[ChatMessage] = body["messages"]
        return messages

    def answer(self, number: int, turn: Turn, tokens: Tokens, body: Mapping[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if turn.call is not None:
            arguments = json.dumps(turn.call.arguments)
            if turn.broken:
                arguments = arguments[:-1] + ',"'
            function = {"name": turn.call.name, "arguments": arguments}
            message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 0,
            "model": "gold",
            "choices": [
                {"index": 0, "message": message, "finish_reason": "stop" if turn.call is None else "tool_calls"}
            ],
            "usage": {
                "prompt_tokens": tokens.prompt,
                "completion_tokens": tokens.completion,
                "total_tokens": tokens.prompt + tokens.completion,
                "prompt_tokens_details": {"cached_tokens": tokens.cached},
            },
        }

    def error(self, status: int, text: str) -> dict[str, Any]:
        return {"error": {"message": text, "type": "stand_in", "code": None}}
