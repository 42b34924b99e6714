"""When calls and simulations ran: what the timelines are drawn from. Times are in ms since the run's start."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable

CALLS = (*MODEL_CALLS, "tool_call")
VERDICTS = ("passed", "failed", "no verdict")
_REWARD_TOLERANCE = 1e-6
_CALL_COLUMNS = {
    "kind": pl.String(),
    "simulation": pl.String(),
    "start_ms": pl.Float64(),
    "end_ms": pl.Float64(),
    "wait_ms": pl.Float64(),
    "failed": pl.Boolean(),
}
_SIMULATION_COLUMNS = {
    "simulation": pl.String(),
    "domain": pl.String(),
    "task": pl.String(),
    "trial": pl.Int64(),
    "thread": pl.String(),
    "start_ms": pl.Float64(),
    "end_ms": pl.Float64(),
    "reward": pl.Float64(),
}


class Timeline(NamedTuple):
    """What happened when in one run."""

    run: str | None
    runs: int
    """How many runs the table holds; this one has most events."""
    calls: pl.DataFrame
    """Calls of models and tools: kind, simulation, start_ms, end_ms, wait_ms (before the start), failed."""
    simulations: pl.DataFrame
    """Each attempt at a task's trial: simulation, domain, task, trial, thread, start_ms, end_ms, reward, verdict."""


def run_ids(table: EventTable) -> list[str | None]:
    """The table's runs, the one with most events first. Events that name none are a run called None."""
    counts = [frame.group_by("run").len() for frame in table.frames.values()]
    if not counts:
        return []
    total = pl.concat(counts).group_by("run").agg(pl.col("len").sum())
    return total.sort("len", "run", descending=[True, False])["run"].to_list()


def timeline(table: EventTable) -> Timeline:
    """The timeline of the run with most events."""
    runs = run_ids(table)
    run = runs[0] if runs else None
    timed = pl.col("start_ms").is_not_null()
    chosen = timed if len(runs) < 2 else timed & pl.col("run").eq_missing(pl.lit(run, pl.String()))
    frames = {kind: frame.lazy().filter(chosen) for kind, frame in table.frames.items()}
    made = pl.collect_all(
        [*(_calls(kind, frames[kind]) for kind in CALLS if kind in frames)]
        + [_simulations(frame) for frame in frames.values()]
    )
    n_calls = sum(kind in frames for kind in CALLS)
    calls = pl.concat(made[:n_calls]) if n_calls else pl.DataFrame(schema=_CALL_COLUMNS)
    return Timeline(run, len(runs), calls, _joined(made[n_calls:]))


_SIMULATION = pl.coalesce(
    "sim", pl.when(pl.col("task").is_not_null()).then(pl.concat_str("domain", "task", "trial", ignore_nulls=True))
)
"""Which simulation an event belongs to; by its task where a log has no ids."""


def _calls(kind: str, frame: pl.LazyFrame) -> pl.LazyFrame:
    model_call = kind in MODEL_CALLS
    wait = pl.col("retry_wait_ms").fill_null(0.0) if model_call else pl.lit(0.0)
    return frame.filter(pl.col("duration_ms").is_not_null()).select(
        pl.lit(kind).alias("kind"),
        _SIMULATION.alias("simulation"),
        "start_ms",
        (pl.col("start_ms") + pl.col("duration_ms")).alias("end_ms"),
        wait.alias("wait_ms"),
        (pl.col("error_type").is_not_null() if model_call else pl.col("error").fill_null(False)).alias("failed"),
    )


def _simulations(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The span of each simulation as one type of event knows it."""
    schema = frame.collect_schema()
    numbers = {name for name, kind in schema.items() if kind.is_numeric()}
    length = next((name for name in ("duration_ms", "total_duration_ms") if name in numbers), None)
    took = pl.col(length).fill_null(0.0) if length else pl.lit(0.0)
    waited = pl.col("retry_wait_ms").fill_null(0.0) if "retry_wait_ms" in numbers else pl.lit(0.0)
    reward = pl.col("reward") if "reward" in numbers else pl.lit(None, pl.Float64())
    named = frame.with_columns(_SIMULATION.alias("simulation"), reward.alias("reward"))
    return (
        named.filter(pl.col("simulation").is_not_null())
        .group_by("simulation")
        .agg(
            *(pl.col(name).drop_nulls().first() for name in ("domain", "task", "trial", "thread")),
            (pl.col("start_ms") - waited).min().alias("start_ms"),
            (pl.col("start_ms") + took).max().alias("end_ms"),
            pl.col("reward").drop_nulls().last(),
        )
    )


def _joined(parts: list[pl.DataFrame]) -> pl.DataFrame:
    whole = pl.concat(parts) if parts else pl.DataFrame(schema=_SIMULATION_COLUMNS)
    reward = pl.col("reward")
    verdict = (
        pl.when(reward.is_null())
        .then(pl.lit("no verdict"))
        .when((reward - 1.0).abs() <= _REWARD_TOLERANCE)
        .then(pl.lit("passed"))
        .otherwise(pl.lit("failed"))
    )
    return (
        whole.group_by("simulation")
        .agg(
            *(pl.col(name).drop_nulls().first() for name in ("domain", "task", "trial", "thread")),
            pl.col("start_ms").min(),
            pl.col("end_ms").max(),
            reward.drop_nulls().last(),
        )
        .with_columns(verdict.alias("verdict"))
        .sort("start_ms", "simulation")
    )


def merged(intervals: pl.DataFrame, by: list[str], gap_ms: float) -> pl.DataFrame:
    """The intervals of each group, those that overlap or lie no further apart than `gap_ms` made one.

    What a picture can't tell apart needs no shapes of its own.
    """
    before = pl.col("end_ms").cum_max().shift(1).over(by)
    apart = (pl.col("start_ms") > before + gap_ms).fill_null(True)
    return (
        intervals.sort("start_ms")
        .with_columns(apart.alias("apart"))
        .with_columns(pl.col("apart").cum_sum().over(by).alias("group"))
        .group_by(*by, "group", maintain_order=True)
        .agg(pl.col("start_ms").min(), pl.col("end_ms").max())
        .drop("group")
    )
