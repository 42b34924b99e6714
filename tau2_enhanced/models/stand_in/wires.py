"""What the stand-in speaks: requests read as a conversation, a turn written as an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.stand_in.gold import Turn


@dataclass(frozen=True)
class Tokens:
    """What one answer took; `cached` is a part of `prompt`."""

    prompt: int
    cached: int
    completion: int


class Wire(Protocol):
    """A provider's format. Reading raises LookupError, TypeError or ValueError for what is no request."""

    path: str

    def conversation(self, body: Mapping[str, Any]) -> Sequence[ChatMessage]:
        """A request's messages in the shape of chat completions."""

    def answer(self, number: int, turn: Turn, tokens: Tokens, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the answer to request `number`, whose body is given."""

    def error(self, status: int, text: str) -> dict[str, Any]:
        """The body of an answer that is an error."""
