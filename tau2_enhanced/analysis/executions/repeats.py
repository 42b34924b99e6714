"""Calls that ask again what was answered already."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import share
from tau2_enhanced.analysis.executions.values import CALLS, MOST, TOOL


def redundant_calls(found: Executions) -> dict[str, Any]:
    """How many calls ask again what was answered, by tool, and those that were asked most often.

    `after_success` repeat a call that had succeeded: its answer was known. `after_error` repeat one that had
    failed, with nothing changed: it can only fail again, unless the tool is not deterministic. Rates are of the
    calls of which it is known whether they repeat another, and there is no number without such calls.
    """
    calls = found.calls_with_repeats.with_columns(TOOL)
    examined = calls.drop_nulls("repeated")
    repeated = examined.filter("repeated")
    errors = int(repeated["repeats_error"].sum())
    by_tool = (
        calls.group_by("tool")
        .agg(
            CALLS,
            pl.col("repeated").sum().cast(pl.Int64).alias("repeated_calls"),
            pl.col("repeated").mean().alias("repeated_rate"),
        )
        .filter(pl.col("repeated_calls") > 0)
        .sort("repeated_calls", "tool", descending=[True, False])
    )
    most = (
        repeated.group_by("simulation", "task", "tool", "arguments", maintain_order=True)
        .agg((pl.len() + 1).cast(pl.Int64).alias("times"))
        .sort("times", descending=True, maintain_order=True)
        .head(MOST)
    )
    return {
        "redundant_calls": repeated.height if examined.height else None,
        "redundant_rate": share(repeated.height, examined.height),
        "after_success": repeated.height - errors if examined.height else None,
        "after_error": errors if examined.height else None,
        "by_tool": by_tool.to_dicts(),
        "most_repeated": most.to_dicts(),
        "calls_not_examined": calls.height - examined.height,
    }
