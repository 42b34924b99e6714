"""How long each kind of work took, what it used and what it cost: a series for each model, tool and role."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable

PERCENTILES = (50, 90, 95, 99)


def duration_series(table: EventTable) -> list[dict[str, Any]]:
    """Statistics of each series in milliseconds, the largest total first.

    The standard deviation has ddof 1 and is None for a single value; percentiles are linear between the
    two nearest values (numpy's default). Calls that failed for good are counted in `errors` and leave the
    times alone: a refused connection says nothing of how fast a model is.
    """
    named = [(kind, "model", "duration_ms", pl.col("error_type").is_not_null()) for kind in MODEL_CALLS]
    named.append(("tool_call", "function", "duration_ms", pl.lit(False)))
    named.append(("step_complete", "from_role", "total_duration_ms", pl.lit(False)))
    rows: list[dict[str, Any]] = []
    for kind, name, duration, failed in named:
        frame = table.of(kind).filter(pl.col(duration).is_not_null())
        if frame.height:
            rows += _statistics(frame, kind, name, duration, failed)
    return sorted(rows, key=lambda row: -float(row["total_ms"] or 0.0))


def _statistics(frame: pl.DataFrame, kind: str, name: str, duration: str, failed: pl.Expr) -> list[dict[str, Any]]:
    sound = pl.col(duration).filter(~failed)
    errors = pl.col("error").sum() if kind == "tool_call" else failed.sum()
    return (
        frame.group_by(pl.col(name).fill_null("").alias("name"))
        .agg(
            sound.len().alias("n"),
            errors.cast(pl.Int64).alias("errors"),
            sound.mean().alias("mean_ms"),
            sound.std(ddof=1).alias("std_ms"),
            sound.min().alias("min_ms"),
            *(sound.quantile(p / 100, interpolation="linear").alias(f"p{p}_ms") for p in PERCENTILES),
            sound.max().alias("max_ms"),
            sound.sum().alias("total_ms"),
        )
        .select(pl.lit(kind).alias("type"), pl.all())
        .to_dicts()
    )


def usage_series(table: EventTable) -> list[dict[str, Any]]:
    """Tokens, cost and retries of each model in each role. A cost is None where a part of it is unknown."""
    rows: list[dict[str, Any]] = []
    for kind in MODEL_CALLS:
        frame = table.of(kind)
        if frame.height:
            rows += _usage(frame, kind)
    return sorted(rows, key=lambda row: -int(row["input_tokens"]))


def _usage(frame: pl.DataFrame, kind: str) -> list[dict[str, Any]]:
    answered = pl.col("error_type").is_null()
    seconds = pl.col("duration_ms").filter(answered).sum() / 1000
    cost = pl.col("cost_usd").filter(answered)
    return (
        frame.group_by(pl.col("model").fill_null("").alias("model"))
        .agg(
            pl.len().alias("calls"),
            (~answered).sum().cast(pl.Int64).alias("failed_calls"),
            (pl.col("attempts").fill_null(1) - 1).sum().alias("retries"),
            pl.col("retry_wait_ms").sum().alias("retry_wait_ms"),
            pl.col("input_tokens").sum(),
            pl.col("cached_tokens").sum(),
            pl.col("output_tokens").sum(),
            pl.when(seconds > 0).then(pl.col("output_tokens").sum() / seconds).alias("output_tokens_per_s"),
            pl.when(cost.null_count() == 0).then(cost.sum()).alias("cost_usd"),
        )
        .select(pl.lit(kind).alias("type"), pl.all())
        .to_dicts()
    )
