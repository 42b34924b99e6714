"""Which tools and which calls take the time, and which tools do their work at the first go. Times are in ms."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import share
from tau2_enhanced.analysis.executions.values import (
    CALLS,
    ENDED,
    ERRORS,
    MOST,
    TOOL,
    known_sum,
    summary,
    summary_columns,
)

_FENCE = 3.0
"""How many interquartile ranges beyond the third quartile a value is far out (Tukey 1977)."""
_CALL = ("tool", "duration_ms", "success", "simulation", "domain", "task", "trial", "step", "tool_call_id", "timestamp")


def performance(found: Executions) -> dict[str, Any]:
    """Times of all calls, and of each tool, the slowest by its median first: one slow call makes no slow tool."""
    calls = found.calls.with_columns(TOOL)
    tools = _tools(calls)
    return {
        "execution_time": summary(calls["duration_ms"], "ms"),
        "slowest_tools": [row for row in tools if row["n"]],
        "untimed_calls": calls["duration_ms"].null_count(),
    }


def bottlenecks(found: Executions) -> dict[str, Any]:
    """Where the tools' time goes.

    `slowest_operations` are the slowest single calls, with how many times their tool's median they took;
    `by_total_time` are the tools by the time they took together, with the share of it that they and those before
    them have; `outliers` are the calls of each tool that took longer than its third quartile and three
    interquartile ranges (Tukey 1977), where there are at least four.
    """
    calls = found.calls.with_columns(TOOL).drop_nulls("duration_ms")
    median = pl.col("duration_ms").median().over("tool")
    slowest = calls.with_columns((pl.col("duration_ms") / median).alias("times_median"))
    slowest = slowest.sort("duration_ms", descending=True, maintain_order=True).head(MOST)
    return {
        "slowest_operations": slowest.select(*_CALL, "times_median").to_dicts(),
        "by_total_time": _by_total_time(_tools(calls)),
        "outliers": _outliers(calls),
        "total_ms": float(calls["duration_ms"].sum()),
    }


def efficiency(found: Executions) -> dict[str, Any]:
    """Which tools' calls are worth making.

    A call is useful where it succeeded and its answer was not known: from the same call since the last change of
    state, which had succeeded. `efficiency` is the lower end of Wilson's 95 % interval of the useful share, so
    that few calls don't make a top performer; `top_performers` has the best first, `least_efficient` the worst.
    What was not said to fail is taken for a success, what is not known to repeat another call for a new one.
    """
    calls = found.calls_with_repeats.with_columns(TOOL)
    useful = pl.col("success").fill_null(True) & (~pl.col("repeated").fill_null(False) | pl.col("repeats_error"))
    rows = (
        calls.group_by("tool")
        .agg(
            CALLS,
            ERRORS,
            ENDED,
            known_sum("repeated").cast(pl.Int64).alias("repeated_calls"),
            useful.sum().cast(pl.Int64).alias("useful_calls"),
            pl.col("duration_ms").median().alias("p50_ms"),
        )
        .to_dicts()
    )
    for row in rows:
        ended, useful_share = row.pop("ended"), share(row["useful_calls"], row["calls"])
        row["success_rate"] = share(ended - row["errors"], ended)["value"]
        row["useful_rate"], row["efficiency"] = useful_share["value"], useful_share["low"]
    rows.sort(key=lambda row: (-row["efficiency"], -row["calls"], row["tool"]))
    useful_calls = sum(row["useful_calls"] for row in rows)
    return {
        "top_performers": rows[:MOST],
        "least_efficient": rows[::-1][:MOST],
        "useful_rate": share(useful_calls, calls.height),
        "wasted_calls": calls.height - useful_calls,
    }


def _tools(calls: pl.DataFrame) -> list[dict[str, Any]]:
    whole = float(calls["duration_ms"].sum())
    part = pl.col("total_ms") / whole if whole else pl.lit(None, dtype=pl.Float64)
    return (
        calls.group_by("tool")
        .agg(CALLS, ERRORS, *summary_columns("duration_ms", "ms"))
        .with_columns(part.alias("share_of_time"))
        .sort(pl.col("p50_ms"), pl.col("tool"), descending=[True, False], nulls_last=True)
        .to_dicts()
    )


def _by_total_time(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = sorted(tools, key=lambda row: (-row["total_ms"], row["tool"]))
    made, cumulative = [], 0.0
    for row in rows:
        part = row["share_of_time"]
        cumulative += part or 0.0
        made.append(
            {
                "tool": row["tool"],
                "calls": row["calls"],
                "total_ms": row["total_ms"],
                "share": part,
                "cumulative_share": None if part is None else min(cumulative, 1.0),
            }
        )
    return made


def _outliers(calls: pl.DataFrame) -> list[dict[str, Any]]:
    duration = pl.col("duration_ms")
    low, high = (duration.quantile(q, interpolation="linear").over("tool") for q in (0.25, 0.75))
    fenced = calls.with_columns((high + _FENCE * (high - low)).alias("fence_ms"), pl.len().over("tool").alias("calls"))
    return (
        fenced.group_by("tool")
        .agg(
            pl.col("calls").first().cast(pl.Int64),
            pl.col("fence_ms").first(),
            (duration > pl.col("fence_ms")).sum().cast(pl.Int64).alias("outliers"),
            duration.filter(duration > pl.col("fence_ms")).max().alias("max_ms"),
        )
        .filter((pl.col("outliers") > 0) & (pl.col("calls") >= 4))
        .sort("outliers", "tool", descending=[True, False])
        .to_dicts()
    )
