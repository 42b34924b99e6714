"""When the stand-in's agent lets an expert take its turn: at the first and at each third answer after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_EVERY = 3


def expert_to_ask(experts: Sequence[str], messages: Sequence[Mapping[str, Any]]) -> str | None:
    """The expert whose turn it is, of all in turns; None where the agent answers by itself."""
    answers = sum(message["role"] == "assistant" for message in messages)
    # the agent's greeting, which tau2 gives it, is the first
    turn, rest = divmod(answers - 1, _EVERY)
    return experts[turn % len(experts)] if experts and rest == 0 else None
