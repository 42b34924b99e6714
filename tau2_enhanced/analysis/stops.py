"""When no runner ran: between the end of a part of a run and the moment at which the run was resumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from tau2_enhanced.analysis.simulations import ended_ms
from tau2_enhanced.analysis.table import EventTable


class Stop(NamedTuple):
    """Times are in ms since the run's start."""

    start_ms: float
    """When the last event before it ended."""
    end_ms: float
    """When the run was resumed."""


Stops = Mapping[str | None, Sequence[Stop]]
"""Of each run that was resumed."""


def stops(table: EventTable) -> Stops:
    """The stops of the table's runs, told by all events that were logged, whichever were chosen."""
    resumed = table.logged.of("run_start").filter("resumed").select("run", "start_ms").drop_nulls("start_ms").unique()
    found: dict[str | None, list[Stop]] = {}
    for run, resumed_ms in resumed.sort("start_ms").iter_rows():
        last_ms = _last_ended_ms(table.logged, run, resumed_ms)
        if last_ms is not None:
            found.setdefault(run, []).append(Stop(last_ms, resumed_ms))
    return found


def stopped_ms(stops: Iterable[Stop], start_ms: float, end_ms: float) -> float:
    """How long of the time from `start_ms` to `end_ms` these stops took."""
    return sum(max(0.0, min(stop.end_ms, end_ms) - max(stop.start_ms, start_ms)) for stop in stops)


def _last_ended_ms(logged: EventTable, run: str | None, before_ms: float) -> float | None:
    ends = [
        frame.lazy()
        .filter(pl.col("run").eq_missing(pl.lit(run, pl.String())))
        .select(ended_ms(frame.schema).alias("end_ms"))
        .filter(pl.col("end_ms") < before_ms)
        .max()
        for frame in logged.frames.values()
    ]
    return max((end for frame in pl.collect_all(ends) if (end := frame.item()) is not None), default=None)
