"""Numbers over events, kept up to date event by event in a space that does not grow with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tau2_enhanced.logging.events import (
    ContextReductionEvent,
    ExecutionEvent,
    StateChangeEvent,
    ToolExecutionEvent,
)

LIVE = (None, "live")
"""The phases in which a tool call is one of the simulation's."""


@dataclass
class Times:
    """Durations in seconds. What was not measured is not counted."""

    count: int = 0
    total: float = 0.0
    shortest: float | None = None
    longest: float | None = None

    def add(self, seconds: float | None) -> None:
        if seconds is not None:
            self.count += 1
            self.total += seconds
            self.shortest = seconds if self.shortest is None else min(self.shortest, seconds)
            self.longest = seconds if self.longest is None else max(self.longest, seconds)

    def to_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "total": self.total,
            "mean": self.total / self.count if self.count else None,
            "min": self.shortest,
            "max": self.longest,
        }


@dataclass
class Calls:
    """Calls of one tool, or of all."""

    succeeded: int = 0
    failed: int = 0
    times: Times = field(default_factory=Times)

    def add(self, event: ToolExecutionEvent) -> None:
        self.succeeded += event.success is True
        self.failed += event.success is False
        self.times.add(event.execution_time)

    def to_dict(self) -> dict[str, Any]:
        """`success_rate` is None where no call has ended."""
        ended = self.succeeded + self.failed
        return {
            "total": ended,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "success_rate": self.succeeded / ended if ended else None,
            "execution_time": self.times.to_dict(),
        }


@dataclass
class EventStatistics:
    """The numbers of all events added. Tool calls that the evaluator replays are events, not calls."""

    total: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    by_phase: Counter[str] = field(default_factory=Counter)
    calls: Calls = field(default_factory=Calls)
    tools: dict[str, Calls] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    sensitive: Counter[str] = field(default_factory=Counter)
    state_changes: int = 0
    context_reductions: int = 0
    tokens_saved: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, event: ExecutionEvent) -> None:
        self.total += 1
        self.by_type[event.type] += 1
        self.by_phase[event.phase or "live"] += 1
        if event.timestamp is not None:
            self.first = event.timestamp if self.first is None else min(self.first, event.timestamp)
            self.last = event.timestamp if self.last is None else max(self.last, event.timestamp)
        if event.phase not in LIVE:
            return
        if isinstance(event, ToolExecutionEvent):
            self._add_call(event)
        elif isinstance(event, StateChangeEvent):
            self.state_changes += 1
        elif isinstance(event, ContextReductionEvent):
            self.context_reductions += 1
            self.tokens_saved += (event.tokens_before or 0) - (event.tokens_after or 0)

    def _add_call(self, event: ToolExecutionEvent) -> None:
        self.calls.add(event)
        self.tools.setdefault(event.tool_name or "?", Calls()).add(event)
        if event.success is False:
            self.errors[event.error_type or "?"] += 1
        self.sensitive.update((event.sensitive_args or {}).keys())

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON; what has no value is None, never NaN."""
        return {
            "total_events": self.total,
            "events_by_type": dict(self.by_type),
            "events_by_phase": dict(self.by_phase),
            "tool_calls": self.calls.to_dict(),
            "tools": {name: calls.to_dict() for name, calls in sorted(self.tools.items())},
            "errors_by_type": dict(self.errors),
            "sensitive_args_by_kind": dict(self.sensitive),
            "state_changes": self.state_changes,
            "context_reductions": self.context_reductions,
            "tokens_saved": self.tokens_saved,
            "first_event": self.first.isoformat(timespec="milliseconds") if self.first else None,
            "last_event": self.last.isoformat(timespec="milliseconds") if self.last else None,
        }
