"""How calls spread over tools, simulations and times: frequencies, inequality and diversity."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.arguments import argument_names
from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.outcomes import simulation_rows
from tau2_enhanced.analysis.executions.statistics import diversity, finite, gini, share
from tau2_enhanced.analysis.executions.values import CALLS, ERRORS, TOOL, counts_by, histogram, sorted_counts, summary


def distributions(found: Executions) -> dict[str, Any]:
    """How often each tool is used, how many calls simulations have, and how times are spread.

    Times are skewed, so their histogram has equal parts of log10 ms, and `geometric_mean_ms` with
    `geometric_std` stands beside `skewness` (third standardised moment, Fisher-Pearson; 0 for symmetric times).
    """
    calls = found.calls.with_columns(TOOL)
    per_simulation = simulation_rows(found)["calls"]
    return {
        "tool_usage": [
            {"tool": tool, "count": count, "share": share(count, calls.height)}
            for tool, count in sorted_counts(calls["tool"]).items()
        ],
        "calls_per_simulation": [
            {"calls": size, "simulations": count} for size, count in sorted(per_simulation.value_counts().iter_rows())
        ],
        "result_types": sorted_counts(calls["result_type"]),
        "execution_time": _times(calls["duration_ms"].drop_nulls()),
    }


def inequality(found: Executions) -> dict[str, Any]:
    """Gini's coefficient of how calls, errors and time are shared out: 0 evenly, towards 1 where one has all.

    Over the tools that were called, and over simulations that called any. `execution_time_by_call` is that of
    the times of single calls. None where there is nothing to share out.
    """
    calls = found.calls.with_columns(TOOL)
    sums = [CALLS, ERRORS, pl.col("duration_ms").sum().alias("time_ms")]
    tools = calls.group_by("tool").agg(sums)
    simulations = calls.drop_nulls("simulation").group_by("simulation").agg(sums)
    return {
        "calls_by_tool": gini(tools["calls"]),
        "errors_by_tool": gini(tools["errors"]),
        "execution_time_by_tool": gini(tools["time_ms"]),
        "calls_by_simulation": gini(simulations["calls"]),
        "errors_by_simulation": gini(simulations["errors"]),
        "execution_time_by_simulation": gini(simulations["time_ms"]),
        "execution_time_by_call": gini(calls["duration_ms"].drop_nulls()),
    }


def diversities(found: Executions) -> dict[str, Any]:
    """Shannon's entropy, in bits, of tools, of argument patterns (a tool and the names given) and of error types.

    `tools_by_simulation` summarises the entropy of each simulation's own calls; `arguments_by_tool` has, for each
    tool, how its calls spread over different arguments: 0 bits where all ask the same.
    """
    calls = found.calls.with_columns(TOOL)
    own = [diversity(counts)["shannon_bits"] for _, counts in counts_by(calls, "simulation", "tool")]
    patterns = calls.drop_nulls("args_types").select(pl.concat_str("tool", argument_names(calls), separator=" "))
    return {
        "tools": diversity(sorted_counts(calls["tool"]).values()),
        "argument_patterns": diversity(sorted_counts(patterns.to_series()).values()),
        "error_types": diversity(sorted_counts(calls["error_type"]).values()),
        "tools_by_simulation_bits": summary(pl.Series(own, dtype=pl.Float64)),
        "arguments_by_tool": [
            {"tool": tool, **diversity(counts)} for tool, counts in counts_by(calls, "tool", "tool_args")
        ],
        "tools_by_domain": [
            {"domain": domain, **diversity(counts)} for domain, counts in counts_by(calls, "domain", "tool")
        ],
    }


def _times(times: pl.Series) -> dict[str, Any]:
    positive = times.filter(times > 0)
    logs = positive.log10()
    found: dict[str, Any] = {**summary(times, "ms"), "skewness": None, "geometric_mean_ms": None, "geometric_std": None}
    if times.n_unique() > 1:
        found["skewness"] = finite(times.skew())
    if positive.len():
        found["geometric_mean_ms"] = finite(10 ** logs.mean())  # type: ignore[operator]  # a number
    if positive.len() > 1:
        found["geometric_std"] = finite(10 ** logs.std(ddof=1))  # type: ignore[operator]  # a number
    found["histogram"] = [
        {"low_ms": 10 ** part["low"], "high_ms": 10 ** part["high"], "count": part["count"]}
        for part in (histogram(logs, logs.min(), logs.max()) if positive.len() else [])  # type: ignore[arg-type]
    ]
    found["without_duration"] = times.len() - positive.len()
    return found
