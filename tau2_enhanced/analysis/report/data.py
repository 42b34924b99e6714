"""The data of a report: its head, its tables, and each simulation with its calls, in compact columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tau2_enhanced.analysis.report.columns import packed, usd, whole
from tau2_enhanced.analysis.report.head import Head
from tau2_enhanced.analysis.report.lanes import lanes
from tau2_enhanced.analysis.report.tables import Table, tables
from tau2_enhanced.analysis.simulations import SIMULATION
from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable
from tau2_enhanced.analysis.timeline import CALLS, OUTCOME

MOST_CALLS = 80_000
"""Of how many calls a report tells; beyond it those of the fastest simulations are left out."""
_US_OF_MS = 1000.0
_PLACED = SIMULATION.is_not_null() & pl.col("start_ms").is_finite() & pl.col("duration_ms").is_finite()
"""Calls that belong to a simulation and whose time is known."""
_NUMBERS = ("ttft_ms", "retry_wait_ms", "input_tokens", "cached_tokens", "output_tokens", "attempts")


def report_data(
    table: EventTable,
    found: pl.DataFrame,
    summary: Mapping[str, Any],
    head: Head,
    most_calls: int = MOST_CALLS,
    more: Sequence[Table] = (),
) -> dict[str, Any]:
    """What the page shows, as JSON. Times are whole µs, those of starts since the run's start.

    `calls` are in the order of the simulations and of their beginning; the first `n` belong to the first simulation,
    and so on. A call's `start_us` counts from the call before it, the first one's from its simulation's start.
    """
    kept = _kept(found, _counts(table), most_calls)
    shown = _calls(table, kept.filter("shown").select("simulation", "row"))
    placed = lanes(found)
    left_out = kept.filter(~pl.col("shown"))
    return {
        "head": _head(head),
        "tables": [_table(table) for table in (*tables(summary), *more)],
        "concurrency": summary.get("concurrency"),
        "lanes": [lane._asdict() for lane in placed.lanes],
        "simulations": {"n": found.height, **packed(_simulations(found, kept, placed.rows))},
        "calls": {"n": shown.height, **packed(_from_the_one_before(shown, found))},
        "left_out": {"simulations": left_out.height, "calls": int(left_out["calls"].sum())},
    }


def _head(head: Head) -> dict[str, Any]:
    return head._asdict() | {
        "began": head.began and head.began.isoformat(" ", "seconds"),
        "ended": head.ended and head.ended.isoformat(" ", "seconds"),
        "facts": [fact._asdict() for fact in head.facts],
    }


def _table(table: Table) -> dict[str, Any]:
    return table._asdict() | {"columns": [column._asdict() for column in table.columns]}


def _counts(table: EventTable) -> pl.DataFrame:
    """How many calls whose time is known each simulation made."""
    named = SIMULATION.alias("simulation")
    frames = [table.frames[kind].lazy() for kind in CALLS if kind in table.frames]
    counts = pl.collect_all([frame.filter(_PLACED).group_by(named).len("calls") for frame in frames])
    none = pl.DataFrame(schema={"simulation": pl.String(), "calls": pl.UInt32()})
    return pl.concat([none, *counts], how="vertical_relaxed").group_by("simulation").agg(pl.col("calls").sum())


def _calls(table: EventTable, of: pl.DataFrame) -> pl.DataFrame:
    """The calls of some simulations, in the order of their `row` and of their beginning."""
    parts = []
    for kind in CALLS:
        placed = table.of(kind).filter(_PLACED).with_columns(SIMULATION.alias("simulation"))
        parts.append(_of_kind(kind, placed.join(of, on="simulation", maintain_order="left")))
    return pl.concat(parts).sort("row", "start_us", "duration_us", maintain_order=True)


def _of_kind(kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    is_model = kind in MODEL_CALLS
    unnamed = pl.lit(None, pl.String()) if is_model else pl.when("error").then(pl.lit("unknown"))
    absent = pl.lit(None, pl.Int64())
    return frame.select(
        "row",
        pl.lit(kind).alias("kind"),
        pl.col("model" if is_model else "function").alias("name"),
        whole(pl.col("step")).alias("step"),
        whole(pl.col("start_ms"), _US_OF_MS).alias("start_us"),
        whole(pl.col("duration_ms"), _US_OF_MS).alias("duration_us"),
        *(_number(name) if is_model else absent.alias(_named(name)) for name in _NUMBERS),
        (usd(pl.col("cost_usd")) if is_model else pl.lit(None, pl.Float64())).alias("cost_usd"),
        (pl.lit(None, pl.String()) if is_model else pl.col("requestor")).alias("requestor"),
        pl.coalesce("error_type", unnamed).alias("error"),
    )


def _number(name: str) -> pl.Expr:
    value = whole(pl.col(name), _US_OF_MS if name.endswith("_ms") else 1.0)
    return pl.when(value != 0).then(value).alias(_named(name))


def _named(name: str) -> str:
    return f"{name.removesuffix('_ms')}_us" if name.endswith("_ms") else name


def _kept(found: pl.DataFrame, counts: pl.DataFrame, most_calls: int) -> pl.DataFrame:
    """Each simulation's `row`, how many `calls` it made, and whether they are `shown`."""
    durations = found.select("simulation", "duration_ms").with_row_index("row")
    joined = durations.join(counts, on="simulation", how="left")
    slowest_first = joined.sort(pl.col("duration_ms").neg(), "row", nulls_last=True)
    calls = pl.col("calls").fill_null(0).cast(pl.Int64())
    return slowest_first.with_columns(calls, (calls.cum_sum() <= most_calls).alias("shown")).sort("row")


def _simulations(found: pl.DataFrame, kept: pl.DataFrame, rows: list[int | None]) -> pl.DataFrame:
    return found.select(
        *("run", "domain", "task", "trial"),
        OUTCOME,
        "agent_model",
        pl.coalesce("error_type", "termination_reason").alias("ended_by"),
        pl.when(pl.col("reward").is_finite()).then("reward").alias("reward"),
        whole(pl.col("start_ms"), _US_OF_MS).alias("start_us"),
        whole(pl.col("end_ms") - pl.col("start_ms"), _US_OF_MS).alias("span_us"),
        whole(pl.col("duration_ms"), _US_OF_MS).alias("duration_us"),
        *("steps", "llm_calls", "tool_calls", "tool_errors", "retries"),
        *("input_tokens", "cached_tokens", "output_tokens"),
        usd(pl.col("cost_usd")).alias("cost_usd"),
        pl.col("counts").cast(pl.Int8()),
        pl.Series("lane", rows, pl.Int64()),
        pl.when(kept["shown"]).then(kept["calls"]).otherwise(0).alias("calls"),
    )


def _from_the_one_before(calls: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    begins = found.with_row_index("row").select("row", whole(pl.col("start_ms"), _US_OF_MS).alias("begin_us"))
    before = pl.coalesce(pl.col("start_us").shift(1).over("row"), "begin_us")
    deltas = calls.join(begins, on="row", how="left", maintain_order="left").with_columns(pl.col("start_us") - before)
    return deltas.drop("row", "begin_us")
