"""Who decides what the stand-in answers: one protocol, whatever it plays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.stand_in.wires import Tokens, Turn


@dataclass(frozen=True)
class Question:
    """A request, whatever its wire format."""

    header: str | None
    """`X-Tau2-Simulation`, where the request has it."""
    conversation: Sequence[ChatMessage]
    seed: int | None = None
    size: int = 0
    """Bytes of the request."""

    def named(self) -> Mapping[str, Any]:
        """What the header names; nothing where it can't be read."""
        try:
            named = json.loads(self.header or "")
        except ValueError:
            return {}
        return named if isinstance(named, dict) else {}


class NoAnswer(LookupError):
    """There is nothing to say to a request; the text tells why."""


class Player(Protocol):
    """Plays simulations."""

    def answer(self, question: Question) -> tuple[Turn, Tokens]:
        """What to say next, and what that takes.

        Raises NoAnswer where there is nothing to say, and LookupError, TypeError, AttributeError or ValueError
        for what is no request.
        """
