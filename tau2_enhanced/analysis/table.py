"""All events of some logs, one frame for each type, and the questions that are asked of them most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tau2_enhanced.analysis.inputs import pieces
from tau2_enhanced.analysis.log_lines import Lines, column_types, read_lines
from tau2_enhanced.analysis.output import written_whole
from tau2_enhanced.logging.events import EVENT_TYPES, ModelCallEvent

MODEL_CALLS = tuple(name for name, cls in EVENT_TYPES.items() if issubclass(cls, ModelCallEvent))
"""The types of events that are calls of a model."""


@dataclass(frozen=True)
class Choice:
    """Which events are meant; None is all."""

    run: Sequence[str] | None = None
    domain: Sequence[str] | None = None
    task: Sequence[str] | None = None
    trial: Sequence[int] | None = None

    def expression(self) -> pl.Expr:
        named = [(name, wanted) for name, wanted in self.__dict__.items() if wanted is not None]
        return pl.all_horizontal([pl.lit(True), *(pl.col(name).is_in(list(wanted)) for name, wanted in named)])


@dataclass
class EventTable:
    """The events, by type. Every frame has its type's columns, and `extra` ones that a file held beyond them."""

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    broken: int = 0
    broken_examples: list[str] = field(default_factory=list)
    general: int = 0

    def of(self, kind: str) -> pl.DataFrame:
        """The events of a type; an empty frame with its columns where there are none."""
        return self.frames.get(kind, pl.DataFrame(schema=column_types(kind)))

    @property
    def count(self) -> int:
        return sum(frame.height for frame in self.frames.values())

    def whole(self) -> pl.DataFrame:
        """All events in one frame, with their `type`, in the order in which they began."""
        if not self.frames:
            return pl.DataFrame(schema={"type": pl.String(), **column_types("execution")})
        typed = [frame.with_columns(pl.lit(kind).alias("type")) for kind, frame in self.frames.items()]
        return pl.concat(typed, how="diagonal").sort("run", "start_ms", nulls_last=True)

    def chosen(self, choice: Choice) -> EventTable:
        """The table of the chosen events alone."""
        kept = {kind: frame.filter(choice.expression()) for kind, frame in self.frames.items()}
        frames = {kind: frame for kind, frame in kept.items() if frame.height}
        return EventTable(frames, self.broken, self.broken_examples, self.general)


def export_events(table: EventTable, path: Path) -> None:
    """Write all events into one file, Parquet or CSV by its name. Raises UserMistake where it can't be written."""
    events = table.whole()
    with written_whole(path) as temporary:
        if path.suffix == ".parquet":
            events.write_parquet(temporary)
        else:
            events.write_csv(temporary)


def read_table(paths: Iterable[Path]) -> EventTable:
    """The table of log files. Raises UserMistake for a file that can't be read."""
    lines = Lines()
    for path in paths:
        for piece in pieces(path):
            read_lines(piece, lines)
    return to_table(lines)


def to_table(lines: Lines) -> EventTable:
    """The table of what was read."""
    frames = {kind: _complete(kind, pl.concat(parts, how="diagonal")) for kind, parts in lines.frames.items()}
    return EventTable(frames, lines.broken, lines.broken_examples, lines.general)


def _complete(kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with every column of its type."""
    missing = {name: of for name, of in column_types(kind).items() if name not in frame.columns}
    return frame.with_columns(pl.lit(None, dtype=of).alias(name) for name, of in missing.items())
