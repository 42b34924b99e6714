"""Conversations that no longer fit the agent's model, made shorter.

Never cut: system prompts, the first message of the user, the newest message, and a tool call from its results.
There is no tokenizer here, and none that would be right for every server: how many tokens a conversation has is
estimated from what the server said of the last one, by its characters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tau2_enhanced.logging import emit
from tau2_enhanced.logging.events import ContextReductionEvent
from tau2_enhanced.models.client import ChatMessage, ToolSchema

_TOKENS_PER_CHARACTER = 0.25
"""Until the server has said how many tokens a prompt had."""


@dataclass
class _Unit:
    """Messages that stay or go together."""

    messages: list[ChatMessage]
    size: int
    must_stay: bool = False


def shortened(messages: Sequence[ChatMessage], strategy: str, most_characters: float) -> list[ChatMessage]:
    """The messages, in their order, without those that have no room. All of them where they fit.

    `middle` keeps the beginning and the end, about as much of each, `window` the end, `none` everything.
    Characters are those of the messages' JSON. What must stay stays, also where it alone is too much.
    """
    units = _units(messages)
    room = most_characters - sum(unit.size for unit in units)
    if room >= 0 or strategy == "none":
        return list(messages)
    optional = [unit for unit in units if not unit.must_stay]
    room += sum(unit.size for unit in optional)
    beginning = _fitting(optional, room / 2) if strategy == "middle" else []
    room -= sum(unit.size for unit in beginning)
    end = _fitting(optional[len(beginning) :][::-1], room)
    kept = {id(unit) for unit in (*beginning, *end)}
    return [message for unit in units if unit.must_stay or id(unit) in kept for message in unit.messages]


def size_of(value: Any) -> int:
    """Characters of its JSON."""
    return len(json.dumps(value, ensure_ascii=False))


def _units(messages: Sequence[ChatMessage]) -> list[_Unit]:
    units: list[_Unit] = []
    for message in messages:
        if message["role"] == "tool" and units:
            units[-1].messages.append(message)
            units[-1].size += size_of(message)
        else:
            units.append(_Unit([message], size_of(message), must_stay=message["role"] == "system"))
    first = next((unit for unit in units if unit.messages[0]["role"] == "user"), None)
    for unit in (first, units[-1] if units else None):
        if unit is not None:
            unit.must_stay = True
    return units


def _fitting(units: Sequence[_Unit], room: float) -> list[_Unit]:
    """The first of them, as many as there is room for."""
    fitting: list[_Unit] = []
    for unit in units:
        room -= unit.size
        if room < 0:
            break
        fitting.append(unit)
    return fitting


@dataclass
class ContextWindow:
    """How much of its conversation the agent's model is sent, in one simulation."""

    limit: int
    """Tokens of a prompt, tools included."""
    strategy: str
    """As `shortened` knows it."""
    _tokens_per_character: float = field(default=_TOKENS_PER_CHARACTER, repr=False)

    def fit(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSchema]) -> Sequence[ChatMessage]:
        """The conversation as it is to be sent; where it is shorter, that is an event."""
        for_tools = size_of(tools)
        sent = shortened(messages, self.strategy, self.limit / self._tokens_per_character - for_tools)
        if len(sent) < len(messages):
            before, after = (self._tokens(size + for_tools) for size in (_sizes(messages), _sizes(sent)))
            emit(
                ContextReductionEvent(
                    strategy=self.strategy,
                    reason=f"about {before} tokens, and {self.limit} fit",
                    messages_before=len(messages),
                    messages_after=len(sent),
                    tokens_before=before,
                    tokens_after=after,
                    reduction_ratio=1 - after / before,
                )
            )
        return sent

    def learn(self, sent: Sequence[ChatMessage], tools: Sequence[ToolSchema], tokens: int | None) -> None:
        """How many tokens the server counted in what was sent to it; None where it does not say."""
        if tokens:
            self._tokens_per_character = tokens / (_sizes(sent) + size_of(tools))

    def _tokens(self, characters: int) -> int:
        return round(characters * self._tokens_per_character)


def _sizes(messages: Sequence[ChatMessage]) -> int:
    return sum(size_of(message) for message in messages)
