"""What every provider's client takes and gives: one protocol, and plain data on both sides.

Conversations and tools have the shape of OpenAI's chat completions, which most servers speak; a client
for another wire format translates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

ChatMessage = dict[str, Any]
ToolSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model."""

    model: str
    messages: Sequence[ChatMessage]
    tools: Sequence[ToolSchema] = ()
    tool_choice: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Sampling parameters, as the provider names them: temperature, seed, max_tokens, … and `stream`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A tool call as the model wrote it; `arguments` is its JSON text, broken or not."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, and what else decides on its price; None where the provider did not say."""

    input_tokens: int | None = None
    """All tokens of the prompt, those read from a cache included."""
    output_tokens: int | None = None
    """All tokens of the answer, those of reasoning included."""
    cached_tokens: int | None = None
    """Those of `input_tokens` that were read from the provider's cache."""
    cache_write_tokens: int | None = None
    """Those of `input_tokens` that were written to the cache, where the provider has a price for that."""
    cache_write_1h_tokens: int | None = None
    """Those of `cache_write_tokens` that are kept for an hour, which is dearer."""
    service: Mapping[str, str] = field(default_factory=dict)
    """How the provider says it served the call, where that has prices of its own: by `service_tier` or `speed`."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer."""

    content: str | None
    tool_calls: Sequence[RequestedCall]
    usage: Usage
    raw: dict[str, Any]
    """The provider's own form of the answer, kept in the message's `raw_data`."""
    ttft_ms: float | None = None
    """Of a streamed answer: from sending the request to the first token."""
    decode_ms: float | None = None
    """From the first token to the last."""


def call_of(id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call as an assistant's message has it; `arguments` is JSON text."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def whole(value: Any) -> Any:
    """JSON values with half characters (lone surrogates, which no UTF-8 can hold) replaced by `?`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {whole(key): whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [whole(inner) for inner in value]
    return value


class Client(Protocol):
    """A connection to one server. Used from many threads at once."""

    call_type: str

    def check(self, model: str) -> None:
        """Raise UserMistake if the server can't be reached, refuses the key or has no such model."""

    def complete(self, request: Request) -> Reply:
        """One attempt at an answer. Raises a ModelCallError."""

    def close(self) -> None:
        """Give the connections back."""
