"""Which tool follows which, never across simulations."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import diversity
from tau2_enhanced.analysis.executions.values import MOST, TOOL, counts_by, sorted_counts

_PATTERN_LENGTH = 3


def transitions(found: Executions) -> dict[str, Any]:
    """How often each tool is followed by each within a simulation, with what simulations begin and end.

    `probability` is the share of a tool's successors, `lift` how many times more often the second follows the
    first than it follows any (1: the first says nothing of it). `next_tool_bits` is the entropy of the next tool
    where the present one is known, to be compared with `any_tool_bits` where it is not (Shannon 1948): the
    difference is what a tool tells of its successor. Calls that name no simulation have no neighbours.
    """
    calls = found.calls.drop_nulls("simulation").with_columns(TOOL)
    following = calls.select(
        "simulation", pl.col("tool").alias("from"), pl.col("tool").shift(-1).over("simulation").alias("to")
    )
    pairs = following.drop_nulls("to")
    ends = calls.group_by("simulation", maintain_order=True).agg(
        pl.col("tool").first().alias("first"), pl.col("tool").last().alias("last")
    )
    rows = _pairs(pairs)
    total = pairs.height
    entropy = sum(diversity(counts)["shannon_bits"] * sum(counts) for _, counts in counts_by(pairs, "from", "to"))
    return {
        "transitions": rows,
        "total_transitions": total,
        "simulations": ends.height,
        "first_tools": sorted_counts(ends["first"]),
        "last_tools": sorted_counts(ends["last"]),
        "same_tool_again_rate": int((pairs["from"] == pairs["to"]).sum()) / total if total else None,
        "next_tool_bits": entropy / total if total else None,
        "any_tool_bits": diversity(sorted_counts(pairs["to"]).values())["shannon_bits"],
        "patterns": _patterns(calls),
        "calls_without_simulation": found.calls["simulation"].null_count(),
    }


def _pairs(pairs: pl.DataFrame) -> list[dict[str, Any]]:
    of_source = pl.col("count").sum().over("from")
    of_target = pl.col("count").sum().over("to") / pl.col("count").sum()
    return (
        pairs.group_by("from", "to")
        .agg(pl.len().cast(pl.Int64).alias("count"))
        .with_columns((pl.col("count") / of_source).alias("probability"), of_target.alias("expected"))
        .with_columns((pl.col("probability") / pl.col("expected")).alias("lift"))
        .drop("expected")
        .sort("count", "from", "to", descending=[True, False, False])
        .to_dicts()
    )


def _patterns(calls: pl.DataFrame) -> list[dict[str, Any]]:
    """The most frequent three tools in a row."""
    ahead = [pl.col("tool").shift(-step).over("simulation").alias(f"tool_{step}") for step in range(_PATTERN_LENGTH)]
    names = [f"tool_{step}" for step in range(_PATTERN_LENGTH)]
    counted = calls.select(ahead).drop_nulls().group_by(names).len("count")
    rows = counted.sort("count", *names, descending=[True] + [False] * len(names))
    return [{"tools": list(tools), "count": count} for *tools, count in rows.head(MOST).iter_rows()]
