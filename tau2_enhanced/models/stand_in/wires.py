"""What the stand-in speaks: requests read as a conversation, a turn written as an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tau2_enhanced.models.client import ChatMessage


@dataclass(frozen=True)
class Call:
    """A tool call of a turn."""

    name: str
    arguments: Mapping[str, Any]
    id: str | None = None
    """None: it gets a new one."""


@dataclass(frozen=True)
class Turn:
    """What to answer: a text, tool calls or both."""

    text: str | None = None
    calls: Sequence[Call] = ()
    broken: bool = False
    """The last call's arguments are to be no JSON."""


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


def calls_with_ids(turn: Turn, new_id: str) -> list[tuple[str, Call]]:
    """The turn's calls, each with its id: its own, or else the new one, numbered from the second call on."""
    ids = [new_id if index == 0 else f"{new_id}_{index + 1}" for index in range(len(turn.calls))]
    return [(call.id or made, call) for made, call in zip(ids, turn.calls, strict=True)]


def tokens_of(turn: Turn) -> int:
    """How many tokens an answer has, at four characters each."""
    said = (turn.text or "") + "".join(json.dumps(call.arguments) for call in turn.calls)
    return len(said) // CHARACTERS_PER_TOKEN + 1


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
