"""Events that two of the files have: a run's events and its log tell the same, so one of them is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from tau2_enhanced.analysis.log_lines import Lines

_EVENT = ("run", "sim", "timestamp", "start_ms")
"""What is the same of two events of a type only where they are one."""
DOUBLED = "events that stand in more than one of the files count once"
"""What has to be said of numbers where something was left out."""


def join_file(into: Lines, file: Lines) -> None:
    """Add what was read of one more file, but for events of simulations that an earlier file has; they are counted.

    Within a file every event is kept, and so is one that names no simulation.
    """
    for kind, parts in file.frames.items():
        known = _named(into.frames.get(kind, []))
        if known and _simulations(known) & _simulations(_named(parts)):
            there = pl.concat([frame.select(_EVENT).drop_nulls(["sim", "timestamp"]) for frame in known])
            file.frames[kind] = list(_new(parts, there))
            into.doubled += sum(part.height for part in parts) - sum(part.height for part in file.frames[kind])
    into.join(file)


def _new(parts: Iterable[pl.DataFrame], there: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for part in parts:
        compared = all(name in part.columns for name in _EVENT)
        yield part.join(there, on=_EVENT, how="anti", nulls_equal=True, maintain_order="left") if compared else part


def _named(frames: Iterable[pl.DataFrame]) -> list[pl.DataFrame]:
    return [frame for frame in frames if all(name in frame.columns for name in _EVENT)]


def _simulations(frames: Iterable[pl.DataFrame]) -> set[str]:
    return {sim for frame in frames for sim in frame["sim"].unique().drop_nulls()}
