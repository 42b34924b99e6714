"""How much there is, how much of it succeeded, and how sure that is."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.outcomes import simulation_rows
from tau2_enhanced.analysis.executions.statistics import bootstrap_mean, clustered_share, share
from tau2_enhanced.analysis.executions.values import CALLS, ENDED, ERRORS, TOOL, known_sum, span_of, summary
from tau2_enhanced.analysis.pass_k import CONFIDENCE

_CLUSTER = pl.coalesce("simulation", pl.format("call {}", pl.int_range(pl.len())))
"""The simulation of a call; a call that names none stands alone."""


def basic_statistics(found: Executions) -> dict[str, Any]:
    """Counts, the success rate, and times in milliseconds.

    `success_rate` is the share of the calls that said whether they succeeded, `state_changing_calls` the number of
    those that said so; None where there is none.
    """
    calls = found.calls
    failed = int(calls["success"].eq(False).sum())
    succeeded = int(calls["success"].sum())
    span = span_of(calls["timestamp"])
    simulations = simulation_rows(found)
    return {
        "total_tool_calls": calls.height,
        "successful_calls": succeeded,
        "failed_calls": failed,
        "calls_without_outcome": calls.height - succeeded - failed,
        "success_rate": succeeded / (succeeded + failed) if succeeded + failed else None,
        "execution_time": summary(calls["duration_ms"], "ms"),
        "tools": calls["tool_name"].drop_nulls().n_unique(),
        "simulations": simulations.height,
        "tasks": simulations.select("domain", "task").drop_nulls("task").n_unique(),
        "domains": sorted(calls["domain"].drop_nulls().unique()),
        "calls_by_requestor": dict(sorted(calls["requestor"].drop_nulls().value_counts().iter_rows())),
        "calls_per_simulation": summary(simulations["calls"]),
        "calls_without_simulation": calls["simulation"].null_count(),
        "state_changing_calls": calls.select(known_sum("state_changed").cast(pl.Int64)).item(),
        "first_event": span.first,
        "last_event": span.last,
        "span_s": span.seconds,
        "events_by_type": {kind: found.live(kind).height for kind in sorted(found.table.frames)},
        "set_aside": found.set_aside._asdict(),
        "broken_lines": found.table.broken,
    }


def confidence_intervals(found: Executions) -> dict[str, Any]:
    """95 % intervals: of success rates, and of mean times in milliseconds.

    `success_rate` and `mean_execution_time_ms` allow for the calls of one simulation being alike: Wilson's
    interval for the effective number of calls, and a bootstrap that draws simulations. `by_tool` has Wilson's
    interval of each tool's calls and the same bootstrap of its mean time.
    """
    calls = found.calls.with_columns(_CLUSTER.alias("cluster"), TOOL)
    tools = calls.group_by("tool").agg(ERRORS, ENDED).sort("tool")
    return {
        "confidence": CONFIDENCE,
        "success_rate": clustered_share(
            (ended - errors, ended) for errors, ended in _by_cluster(calls).select("errors", "ended").iter_rows()
        ),
        "mean_execution_time_ms": _mean_time(calls),
        "mean_calls_per_simulation": bootstrap_mean([(float(count), 1) for count in simulation_rows(found)["calls"]]),
        "by_tool": [
            {
                "tool": tool,
                "success_rate": share(ended - errors, ended),
                "mean_execution_time_ms": _mean_time(calls.filter(pl.col("tool") == tool)),
            }
            for tool, errors, ended in tools.iter_rows()
        ],
    }


def _by_cluster(calls: pl.DataFrame) -> pl.DataFrame:
    return calls.group_by("cluster", maintain_order=True).agg(CALLS, ERRORS, ENDED)


def _mean_time(calls: pl.DataFrame) -> dict[str, Any]:
    timed = calls.drop_nulls("duration_ms").group_by("cluster", maintain_order=True)
    rows = timed.agg(pl.col("duration_ms").sum(), pl.len())
    return bootstrap_mean(list(rows.select("duration_ms", "len").iter_rows()))
