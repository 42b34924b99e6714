"""What the stand-in speaks: requests read as a conversation, a turn written as an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.stand_in.gold import Turn


@dataclass(frozen=True)
class Tokens:
    """What one answer took; `cached` is a part of `prompt`."""

    prompt: int
    cached: int
    completion: int


CHARACTERS_PER_TOKEN = 4


class Event(NamedTuple):
    """A piece of a streamed answer, as it goes over the wire."""

    data: bytes
    is_token: bool


def pieces(text: str) -> Iterator[str]:
    """The text as its tokens."""
    return (text[start : start + CHARACTERS_PER_TOKEN] for start in range(0, len(text), CHARACTERS_PER_TOKEN))


class Wire(Protocol):
    """A provider's format. Reading raises LookupError, TypeError or ValueError for what is no request."""

    path: str

    def conversation(self, body: Mapping[str, Any]) -> Sequence[ChatMessage]:
        """A request's messages in the shape of chat completions."""

    def answer(self, number: int, turn: Turn, tokens: Tokens, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the answer to request `number`, whose body is given."""

    def events(self, answer: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Event]:
        """An answer as it is streamed to who asks for that in the body of the request."""

    def error(self, status: int, text: str) -> dict[str, Any]:
        """The body of an answer that is an error."""
