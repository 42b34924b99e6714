"""Loops: a participant that makes one tool call again and again, and learns nothing from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tau2_enhanced.logging import emit, get_logger
from tau2_enhanced.logging.events import LoopEvent
from tau2_enhanced.models.failures import Looped

if TYPE_CHECKING:
    from tau2.data_model.message import ToolCall, ToolMessage

FEWEST = 3
"""The same call with the same answer so many times in a row is a loop."""

_logger = get_logger(__name__)
_JSON = json.JSONEncoder(sort_keys=True, default=str)


class LoopWatch:
    """Compares each tool call of a simulation with its participant's one before. Words between them do not matter."""

    def __init__(self, stop_after: int | None) -> None:
        """`stop_after` is how many times in a row end the simulation; None lets it go on."""
        self._stop_after = stop_after
        self._last: dict[str, tuple[str, str, str | None]] = {}
        self._row: dict[str, int] = {}
        self.longest: dict[str, int] = {}
        """By function that was called in a loop, how many times in a row at most."""

    def look(self, calls: Sequence[ToolCall], answers: Sequence[ToolMessage]) -> None:
        """Count calls and their answers, in order. Raises Looped where the simulation is to end."""
        for call, answer in zip(calls, answers, strict=False):
            arguments = _JSON.encode(call.arguments)
            made = (call.name, arguments, answer.content)
            row = self._row[call.requestor] = (
                self._row.get(call.requestor, 0) + 1 if made == self._last.get(call.requestor) else 1
            )
            self._last[call.requestor] = made
            if row >= FEWEST:
                self._found(call, row)

    def _found(self, call: ToolCall, row: int) -> None:
        self.longest[call.name] = max(row, self.longest.get(call.name, 0))
        emit(LoopEvent(function=call.name, requestor=call.requestor, repeats=row))
        said = f"{call.name} was called {row} times in a row with the same arguments and the same answer"
        if row == FEWEST:
            _logger.warning("in a loop: %s", said)
        if self._stop_after is not None and row >= self._stop_after:
            raise Looped(said)
