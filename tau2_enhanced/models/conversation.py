"""Whose words a conversation's answers are, where several models give them.

A model's reasoning goes back to the model that thought it, and to no other: another provider refuses
foreign blocks and signatures, and another model is not meant to see them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tau2_enhanced.models.client import ChatMessage

CALL_EXPERT = "call_expert"
"""The tool by which the agent lets an expert take its turn."""
EXPERT = "expert"
"""Names, on an assistant's message and in its raw data, the expert that wrote it; absent where the agent did."""
_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "content_blocks")
"""Under which names servers give a model's reasoning, and want it back; the last one is Claude's whole answer."""
_SIGNED = "extra_content"
"""Under which name Google's servers sign a tool call. Gemini 3 refuses a conversation whose calls have lost that."""


def kept_of(raw: Mapping[str, Any]) -> ChatMessage:
    """What goes back with an answer, out of its raw data: its reasoning, and the expert that wrote it."""
    said = raw.get("message") or {}
    kept = {key: said[key] for key in _REASONING if said.get(key)}
    return {**kept, EXPERT: raw[EXPERT]} if raw.get(EXPERT) else kept


def with_signatures(calls: Sequence[dict[str, Any]], raw: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """An answer's tool calls with what signs them, out of its raw data."""
    message = raw.get("message")
    signed = [call for call in (message and message.get("tool_calls")) or () if _SIGNED in call]
    if not signed:
        return calls
    signatures = {call.get("id"): call[_SIGNED] for call in signed}
    return [{**call, _SIGNED: signatures[call["id"]]} if call["id"] in signatures else call for call in calls]


def seen_by(expert: str | None, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The conversation as an expert (None: the agent) may see it: without the reasoning of others."""
    return [_seen(expert, message) if message["role"] == "assistant" else message for message in messages]


def _seen(expert: str | None, message: ChatMessage) -> ChatMessage:
    if message.get(EXPERT) == expert:
        return {key: value for key, value in message.items() if key != EXPERT}
    seen = {key: value for key, value in message.items() if key != EXPERT and key not in _REASONING}
    if "tool_calls" in seen:
        seen["tool_calls"] = [{key: call[key] for key in call if key != _SIGNED} for call in seen["tool_calls"]]
    return seen
