"""The calls of each task, each domain and each simulation."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.outcomes import simulation_rows
from tau2_enhanced.analysis.executions.statistics import share
from tau2_enhanced.analysis.executions.values import ENDED, ERRORS, TOOL, known_sum, sorted_counts, summary

_TASK = ["domain", "task"]


def task_analysis(found: Executions) -> dict[str, Any]:
    """Each task's simulations, calls, errors and passes; those whose calls fail most first.

    `unsteady_tasks` are those whose trials passed and failed. Simulations that name no task are left out.
    """
    rows = simulation_rows(found)
    simulations = rows.drop_nulls("task")
    return {
        "tasks": _groups(simulations, found.calls.drop_nulls("task"), _TASK),
        "unsteady_tasks": _unsteady(simulations),
        "simulations_without_task": rows["task"].null_count(),
    }


def domain_analysis(found: Executions) -> dict[str, Any]:
    """Each domain's simulations, calls, errors, passes and tools."""
    simulations = simulation_rows(found)
    return {
        "domains": _groups(simulations.drop_nulls("domain"), found.calls.drop_nulls("domain"), ["domain"]),
        "simulations_without_domain": simulations["domain"].null_count(),
    }


def simulation_analysis(found: Executions) -> dict[str, Any]:
    """A row for each simulation: calls, errors, repeated calls, different tools, state changes, time and reward."""
    return {"simulations": simulation_rows(found).to_dicts()}


def _groups(simulations: pl.DataFrame, calls: pl.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    of_calls = calls.with_columns(TOOL).partition_by(by, as_dict=True)
    rows = []
    for name, part in simulations.partition_by(by, as_dict=True, maintain_order=True).items():
        own = of_calls.get(name, calls.clear().with_columns(TOOL))
        rows.append(dict(zip(by, name, strict=True)) | _group(part, own))
    return sorted(rows, key=lambda row: (-row["errors"], -row["calls"], *(str(row[key]) for key in by)))


def _group(simulations: pl.DataFrame, calls: pl.DataFrame) -> dict[str, Any]:
    errors, ended = calls.select(ERRORS, ENDED).row(0)
    verdicts = simulations["passed"].drop_nulls()
    return {
        "simulations": simulations.height,
        "calls": calls.height,
        "errors": errors,
        "success_rate": share(ended - errors, ended),
        "repeated_calls": simulations.select(known_sum("repeated_calls")).item(),
        "state_changing_calls": simulations.select(known_sum("state_changing_calls")).item(),
        "calls_per_simulation": summary(simulations["calls"]),
        "tools": sorted_counts(calls["tool"]),
        "pass_rate": share(int(verdicts.sum()), verdicts.len()),
    }


def _unsteady(simulations: pl.DataFrame) -> list[dict[str, Any]]:
    both = simulations.group_by(_TASK).agg(pl.col("passed").drop_nulls().n_unique().alias("verdicts"))
    return both.filter(pl.col("verdicts") > 1).select(_TASK).sort(_TASK).to_dicts()
