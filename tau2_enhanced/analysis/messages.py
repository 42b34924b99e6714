"""Which of tau2's messages were made in a simulation, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_FIRST_YEAR = 2000
_MADE_BY_A_MODEL = ("usage", "raw_data", "tool_calls")


def moment(text: str | None) -> datetime | None:
    """A time as tau2 writes it, in local time where it names a zone; None for what is none."""
    try:
        found = datetime.fromisoformat(text or "")
        found = found.astimezone().replace(tzinfo=None) if found.tzinfo is not None else found
    except (ValueError, OverflowError):
        return None
    return found if found.year >= _FIRST_YEAR else None


def first_own(messages: Sequence[Mapping[str, Any]], begin: datetime | None) -> int:
    """The place of the first message made in the simulation; a task's history, which is from before it, leads up to it.

    The clock may be set back later, so only what comes first is looked at.
    """
    if begin is None:
        return 0
    moments = [moment(message.get("timestamp")) for message in messages]
    own = next((at for at, found in enumerate(moments) if found is not None and found >= begin), len(messages))
    return own if any(moments[:own]) else 0


def is_greeting(first: Mapping[str, Any]) -> bool:
    """Whether a simulation's first message is the one that tau2 says for the agent: no model was asked."""
    return first["role"] == "assistant" and not any(first.get(name) for name in _MADE_BY_A_MODEL)
