"""How long each kind of work took, what it used and what it cost: a series for each model, tool and role."""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from tau2_enhanced.analysis.sums import total
from tau2_enhanced.analysis.table import MODEL_CALLS, RETRIES, EventTable

PERCENTILES = (50, 90, 95, 99)
ROLES = {"llm_call": "agent", "expert_call": "expert", "user_sim": "user_simulator", "evaluator": "judge"}
"""Who calls a model, by the type of the call's event."""

_TOKENS = ("input_tokens", "cached_tokens", "output_tokens")


class _Series(NamedTuple):
    type: str
    measure: str
    column: str
    name_column: str
    """By which events of a type are told apart."""


_SERIES = (
    *(_Series(kind, "duration", "duration_ms", "model") for kind in MODEL_CALLS),
    *(_Series(kind, measure, f"{measure}_ms", "model") for kind in MODEL_CALLS for measure in ("ttft", "decode")),
    _Series("tool_call", "duration", "duration_ms", "function"),
    _Series("step_complete", "duration", "total_duration_ms", "from_role"),
)


def duration_series(table: EventTable, simulated_ms: float | None = None) -> list[dict[str, Any]]:
    """Statistics of each series in milliseconds, the largest total first.

    `measure` is `duration`, or where a stream was timed `ttft` (to the first token) and `decode` (from there to
    the last). The standard deviation has ddof 1 and is None for a single value; percentiles are linear between
    the two nearest values (numpy's default). Calls that failed for good are counted in `errors` and leave the
    times alone: a refused connection says nothing of how fast a model is. `share` is the total's part of
    `simulated_ms`, the time of all simulations; None where that is unknown.
    """
    rows: list[dict[str, Any]] = []
    for series in _SERIES:
        frame = table.of(series.type).filter(pl.col(series.column).is_not_null())
        if frame.height:
            rows += _statistics(frame, series)
    for row in rows:
        row["share"] = (row["total_ms"] or 0.0) / simulated_ms if simulated_ms else None
    return sorted(rows, key=lambda row: -float(row["total_ms"] or 0.0))


def _statistics(frame: pl.DataFrame, series: _Series) -> list[dict[str, Any]]:
    failed = pl.col("error_type").is_not_null() if series.type in MODEL_CALLS else pl.lit(False)
    errors = pl.col("error").sum() if series.type == "tool_call" else failed.sum()
    sound = pl.col(series.column).filter(~failed)
    return (
        frame.group_by(pl.col(series.name_column).fill_null("").alias("name"))
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
        .select(pl.lit(series.type).alias("type"), pl.lit(series.measure).alias("measure"), pl.all())
        .to_dicts()
    )


def usage_series(table: EventTable) -> list[dict[str, Any]]:
    """Tokens, cost and retries of each model in each role.

    A cost is None where a part of it is unknown, tokens where no call says any. `decode_tokens_per_s` is of the tokens
    after the first, over the time from the first to the last, of calls whose answers came in more than one read.
    """
    rows: list[dict[str, Any]] = []
    for kind in MODEL_CALLS:
        frame = table.of(kind)
        if frame.height:
            rows += _usage(frame, kind)
    return sorted(rows, key=lambda row: -int(row["input_tokens"] or 0))


def _usage(frame: pl.DataFrame, kind: str) -> list[dict[str, Any]]:
    answered = pl.col("error_type").is_null()
    decoded = answered & (pl.col("decode_ms") > 0) & (pl.col("output_tokens") > 0)
    decode_s = pl.col("decode_ms").filter(decoded).sum() / 1000
    cost = pl.col("cost_usd").filter(answered)
    return (
        frame.group_by(pl.col("model").fill_null("").alias("model"))
        .agg(
            pl.len().alias("calls"),
            (~answered).sum().cast(pl.Int64).alias("failed_calls"),
            RETRIES.sum().alias("retries"),
            pl.col("retry_wait_ms").sum().alias("retry_wait_ms"),
            *(pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name) for name in _TOKENS),
            *(_per_second(name, answered).alias(f"{name}_per_s") for name in ("input_tokens", "output_tokens")),
            pl.when(decode_s > 0)
            .then((pl.col("output_tokens") - 1).filter(decoded).sum() / decode_s)
            .alias("decode_tokens_per_s"),
            pl.when(cost.null_count() == 0).then(cost.sum()).alias("cost_usd"),
        )
        .select(pl.lit(kind).alias("type"), pl.lit(ROLES.get(kind, kind)).alias("role"), pl.all())
        .to_dicts()
    )


def _per_second(tokens: str, answered: pl.Expr) -> pl.Expr:
    """Of the calls whose tokens and time are both known; None where there are none."""
    known = answered & pl.col(tokens).is_not_null() & pl.col("duration_ms").is_not_null()
    seconds = pl.col("duration_ms").filter(known).sum() / 1000
    return pl.when(seconds > 0).then(pl.col(tokens).filter(known).sum() / seconds)


def cost_by_role(usage: list[dict[str, Any]]) -> dict[str, float | None]:
    """USD of each role that called a model, and of all together; None where a part is unknown."""
    called = [row["role"] for row in usage]
    roles = dict.fromkeys(role for role in (*ROLES.values(), *called) if role in called)
    costs = {f"{role}_usd": total(row["cost_usd"] for row in usage if row["role"] == role) for role in roles}
    return costs | {"total_usd": total(costs.values())}


def error_series(table: EventTable) -> list[dict[str, Any]]:
    """How often each error ended a call of a model or of a tool, or a simulation; the most frequent first."""
    found = []
    for kind in (*MODEL_CALLS, "tool_call", "task_complete"):
        frame = table.of(kind)
        if kind == "tool_call":  # a results file does not tell what a tool raised
            unnamed = pl.when("error").then(pl.lit("unknown"))
            frame = frame.with_columns(pl.coalesce("error_type", unnamed).alias("error_type"))
        counted = frame.filter(pl.col("error_type").is_not_null()).group_by("error_type").len("n")
        found += counted.select(pl.lit(kind).alias("type"), "error_type", pl.col("n").cast(pl.Int64)).to_dicts()
    return sorted(found, key=lambda row: (-row["n"], row["type"], row["error_type"]))
