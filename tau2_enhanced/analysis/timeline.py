"""When the calls and simulations of one run were under way. Times are in ms since the run's start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from tau2_enhanced.analysis.simulations import SIMULATION, VERDICTS, simulations
from tau2_enhanced.analysis.stops import Stop, stops
from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable

CALLS = (*MODEL_CALLS, "tool_call")
UNFINISHED = "unfinished"
OUTCOMES = (*VERDICTS, UNFINISHED)
OUTCOME = pl.when(pl.col("begun") & ~pl.col("ended")).then(pl.lit(UNFINISHED)).otherwise("verdict").alias("outcome")
"""What simulations came to: a verdict, or UNFINISHED where one never ended: killed, or still running."""
CALLERS = {"llm_call": "agent", "user_sim": "user", "evaluator": "judge", "expert_call": "expert"}
"""Who calls a model, by event type."""
_WAITED_FOR = {caller: kind for kind, caller in CALLERS.items()} | {"tool": "tool_call"}
"""Which call was under way, by the first word of what a heartbeat waits for."""
_CALL_COLUMNS = {
    "kind": pl.String(),
    "simulation": pl.String(),
    "start_ms": pl.Float64(),
    "end_ms": pl.Float64(),
    "wait_ms": pl.Float64(),
    "failed": pl.Boolean(),
}


class Timeline(NamedTuple):
    """What happened when in one run."""

    run: str | None
    runs: int
    """How many runs the table holds; this one has most events."""
    calls: pl.DataFrame
    """Calls of models and tools: kind, simulation, start_ms, end_ms, wait_ms (before the start), failed.

    Of one that was never answered, `end_ms` is the end of its simulation.
    """
    simulations: pl.DataFrame
    """Each attempt at a task's trial, as `simulations` has it, where it is known when it began.

    `outcome` is as OUTCOME says.
    """
    stops: Sequence[Stop]
    """When no runner ran."""
    partial: bool
    """Types were left out by choice, so that simulations seem to begin later and to end sooner than they did."""


def run_ids(table: EventTable) -> list[str | None]:
    """The table's runs, the one with most events first. Events that name none are a run called None."""
    counts = [frame.group_by("run").len() for frame in table.frames.values()]
    if not counts:
        return []
    total = pl.concat(counts).group_by("run").agg(pl.col("len").sum())
    return total.sort("len", "run", descending=[True, False])["run"].to_list()


def timeline(table: EventTable, found: pl.DataFrame | None = None) -> Timeline:
    """The timeline of the run with most events; `found` are the table's simulations, where they are known already."""
    found = simulations(table) if found is None else found
    runs = run_ids(table)
    run = runs[0] if runs else None
    timed = pl.col("start_ms").is_not_null()
    chosen = timed if len(runs) < 2 else timed & pl.col("run").eq_missing(pl.lit(run, pl.String()))
    own = found.filter(chosen)
    kinds = [kind for kind in CALLS if kind in table.frames]
    calls = pl.collect_all([_calls(kind, table.frames[kind].lazy().filter(chosen)) for kind in kinds])
    return Timeline(
        run,
        len(runs),
        pl.concat([pl.DataFrame(schema=_CALL_COLUMNS), *calls, _unfinished_calls(own)]),
        own.with_columns(OUTCOME),
        stops(table).get(run, ()),
        table.partial,
    )


def _calls(kind: str, frame: pl.LazyFrame) -> pl.LazyFrame:
    model_call = kind in MODEL_CALLS
    wait = pl.col("retry_wait_ms").fill_null(0.0) if model_call else pl.lit(0.0)
    return frame.filter(pl.col("duration_ms").is_not_null()).select(
        pl.lit(kind).alias("kind"),
        SIMULATION.alias("simulation"),
        "start_ms",
        (pl.col("start_ms") + pl.col("duration_ms")).alias("end_ms"),
        wait.alias("wait_ms"),
        (pl.col("error_type").is_not_null() if model_call else pl.col("error").fill_null(False)).alias("failed"),
    )


def _unfinished_calls(found: pl.DataFrame) -> pl.DataFrame:
    named = pl.col("waiting_for").str.extract(r"^(\w+) ")
    return (
        found.filter(pl.col("unfinished_call_ms") > 0)
        .select(
            named.replace_strict(_WAITED_FOR, default=None, return_dtype=pl.String()).alias("kind"),
            "simulation",
            (pl.col("end_ms") - pl.col("unfinished_call_ms")).alias("start_ms"),
            "end_ms",
            pl.lit(0.0).alias("wait_ms"),
            pl.lit(False).alias("failed"),
        )
        .drop_nulls("kind")
    )
