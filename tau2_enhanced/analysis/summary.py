"""All numbers of an analysis as plain data: what `summary.json` holds, and every report shows.

Keys are stable; units stand at their ends: `_ms`, `_s`, `_usd`, `_tokens`, `_per_s`. Shares are between 0 and 1.
What is unknown is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tau2_enhanced.analysis import concurrency
from tau2_enhanced.analysis.goodput import goodput
from tau2_enhanced.analysis.results_events import times_between_messages
from tau2_enhanced.analysis.series import cost_by_role, duration_series, error_series, usage_series
from tau2_enhanced.analysis.simulations import count_attempts, simulations
from tau2_enhanced.analysis.stops import stops
from tau2_enhanced.analysis.table import EventTable
from tau2_enhanced.analysis.timeline import run_ids, timeline
from tau2_enhanced.analysis.wall_time import (
    critical_path,
    slowest_calls,
    slowest_simulations,
    unknown_parts,
    where_time_went,
)
from tau2_enhanced.errors import UserMistake


def summarise(
    table: EventTable, limits: Mapping[str, float] | None = None, found: pl.DataFrame | None = None
) -> dict[str, Any]:
    """The numbers of a table of events. Raises UserMistake where it holds neither a timed event nor a model's call.

    Of a part of a run (one domain's log of several, a choice of its simulations) there is no critical path, and where
    types were left out by choice there are no parts of the wall time.

    `limits` are those of `goodput`, in ms; `found` are the table's simulations, where they are known already.
    """
    found = simulations(table) if found is None else found
    durations = duration_series(table, None if table.partial else float(found["duration_ms"].sum()))
    usage = usage_series(table)
    if not durations and not usage:
        raise UserMistake("no timed events in these logs: run with --log-level PROFILE")
    return {
        "runs": run_ids(table),
        "events": {kind: frame.height for kind, frame in sorted(table.frames.items())},
        "times_between_messages": times_between_messages(table),
        "durations": durations,
        "usage": usage,
        "cost_by_role": cost_by_role(usage),
        "errors": error_series(table),
        "attempts": count_attempts(found),
        "wall_time": None if table.partial else where_time_went(found),
        "unknown_parts": {} if table.partial else unknown_parts(found),
        "critical_path": None
        if table.partial or _is_part_of_a_run(table, found)
        else critical_path(found, stops(table)),
        "concurrency": concurrency.numbers(timeline(table, found)),
        "goodput": goodput(table, dict(limits or {})),
        "slowest_simulations": slowest_simulations(found),
        "slowest_calls": slowest_calls(table),
        "lines": {"broken": table.broken, "broken_examples": table.broken_examples, "read_singly": table.general},
    }


def _is_part_of_a_run(table: EventTable, found: pl.DataFrame) -> bool:
    """Whether a run has simulations that the table lacks: what its workers did besides is not known.

    They were left out by choice, or the run has ended with more verdicts than these logs know.
    """
    logged = table.logged
    everything = found if logged is table else simulations(logged)
    told = logged.of("run_complete").drop_nulls("finished").group_by("run").agg(pl.col("finished").max())
    judged = (pl.col("reward").is_not_null() & pl.col("counts")).sum().alias("judged")
    begun = everything.group_by("run").agg(pl.len().alias("begun"), judged)
    runs = pl.DataFrame({"run": run_ids(table)}, schema={"run": pl.String()})
    for counts in (told, begun, found.group_by("run").len("kept")):
        runs = runs.join(counts, on="run", how="left", nulls_equal=True)
    runs = runs.fill_null(0)
    return bool(((runs["finished"] > runs["judged"]) | (runs["begun"] > runs["kept"])).any())
