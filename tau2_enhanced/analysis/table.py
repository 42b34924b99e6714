"""All events of some logs, one frame for each type, and the questions that are asked of them most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from tau2_enhanced.analysis.log_lines import Lines, column_types
from tau2_enhanced.logging.events import EVENT_TYPES, ModelCallEvent

MODEL_CALLS = tuple(name for name, cls in EVENT_TYPES.items() if issubclass(cls, ModelCallEvent))
"""The types of events that are calls of a model."""
RETRIES = (pl.col("attempts").fill_null(1) - 1).clip(0)
"""How often a model's call was tried again; a call that was given up before its first attempt was not."""


@dataclass(frozen=True)
class Choice:
    """Which events are meant; None is all."""

    type: Sequence[str] | None = None
    run: Sequence[str] | None = None
    domain: Sequence[str] | None = None
    task: Sequence[str] | None = None
    trial: Sequence[int] | None = None
    since: datetime | None = None
    """Events that ended at this time or later, in local time."""
    until: datetime | None = None
    """Events that ended before this time."""

    def expression(self) -> pl.Expr:
        """What holds for the chosen events, their type apart."""
        chosen = [pl.lit(True), self.in_time("timestamp")]
        for name in ("run", "domain", "task", "trial"):
            if (wanted := getattr(self, name)) is not None:
                chosen.append(pl.col(name).is_in(list(wanted)))
        return pl.all_horizontal(chosen)

    def in_time(self, column: str) -> pl.Expr:
        """Whether a column of times lies between `since` and `until`."""
        inside = [pl.lit(True)]
        if self.since is not None:
            inside.append(pl.col(column) >= self.since)
        if self.until is not None:
            inside.append(pl.col(column) < self.until)
        return pl.all_horizontal(inside)


@dataclass
class EventTable:
    """The events, by type. Every frame has its type's columns, and `extra` ones that a file held beyond them."""

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    broken: int = 0
    broken_examples: list[str] = field(default_factory=list)
    general: int = 0
    partial: bool = False
    """Types were left out by choice, so that parts do not make a whole."""
    doubled: int = 0
    """Events that several files have, each time after the first."""
    chosen_of: EventTable | None = None
    """All events, where these were chosen of them."""

    def of(self, kind: str) -> pl.DataFrame:
        """The events of a type; an empty frame with its columns where there are none."""
        return self.frames.get(kind, pl.DataFrame(schema=column_types(kind)))

    @property
    def count(self) -> int:
        return sum(frame.height for frame in self.frames.values())

    @property
    def logged(self) -> EventTable:
        """All events, those too that were left out by choice."""
        return self if self.chosen_of is None else self.chosen_of

    def chosen(self, choice: Choice) -> EventTable:
        """The table of the chosen events alone."""
        if choice == Choice():
            return self
        wanted = [kind for kind in self.frames if choice.type is None or kind in choice.type]
        kept = {kind: self.frames[kind].filter(choice.expression()) for kind in wanted}
        frames = {kind: frame for kind, frame in kept.items() if frame.height}
        partial = self.partial or len(wanted) < len(self.frames)
        return replace(self, frames=frames, partial=partial, chosen_of=self.logged)


def to_table(lines: Lines) -> EventTable:
    """The table of what was read."""
    frames = {kind: _whole(kind, parts) for kind, parts in lines.frames.items()}
    return EventTable(frames, lines.broken, lines.broken_examples, lines.general, doubled=lines.doubled)


def _whole(kind: str, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The parts as one frame, with every column of its type."""
    return pl.concat([*parts, pl.DataFrame(schema=column_types(kind))], how="diagonal")
