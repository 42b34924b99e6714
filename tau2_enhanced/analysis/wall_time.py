"""Where the wall time of simulations went, and which of them and of their calls were slowest."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable

_PARTS = {
    "model_ms": ("llm_call", "expert_call"),
    "user_simulator_ms": ("user_sim",),
    "judge_ms": ("evaluator",),
    "tools_ms": ("tool_call",),
}
_LISTED = 10
_OF_A_SIMULATION = ("run", "domain", "task", "trial", "sim")


def where_time_went(table: EventTable) -> dict[str, float] | None:
    """Milliseconds of all finished simulations together, by what they waited for.

    A simulation does one thing at a time, so the parts add up to `total_ms`: calls of the models, of the
    user simulator and of the judge, tools, waits before a call that was tried again, and `framework_ms`,
    which is the rest: tau2's own work and the runner's. None where no simulation ended.
    """
    ended = table.of("task_complete").filter(pl.col("duration_ms").is_not_null())
    if not ended.height:
        return None
    sims = ended.select("sim").unique()
    found = {name: sum(_total(table, kind, "duration_ms", sims) for kind in kinds) for name, kinds in _PARTS.items()}
    found["retry_wait_ms"] = sum(_total(table, kind, "retry_wait_ms", sims) for kind in MODEL_CALLS)
    total = float(ended["duration_ms"].sum())
    return {**found, "framework_ms": max(0.0, total - sum(found.values())), "total_ms": total}


def _total(table: EventTable, kind: str, column: str, sims: pl.DataFrame) -> float:
    return float(table.of(kind).join(sims, on="sim", how="semi")[column].sum() or 0.0)


def slowest_simulations(table: EventTable) -> list[dict[str, Any]]:
    """The simulations that took longest, with what they came to."""
    ended = table.of("task_complete").filter(pl.col("duration_ms").is_not_null())
    wanted = (*_OF_A_SIMULATION, "duration_ms", "steps", "reward", "termination_reason", "error_type", "cost_usd")
    return ended.sort("duration_ms", descending=True).head(_LISTED).select(wanted).to_dicts()


def slowest_calls(table: EventTable) -> list[dict[str, Any]]:
    """The calls of models and tools that took longest."""
    parts = []
    for kind, name in (*((kind, "model") for kind in MODEL_CALLS), ("tool_call", "function")):
        frame = table.of(kind).filter(pl.col("duration_ms").is_not_null())
        if frame.height:
            longest = frame.sort("duration_ms", descending=True).head(_LISTED)
            parts.append(
                longest.select(
                    pl.lit(kind).alias("type"), pl.col(name).alias("name"), *_OF_A_SIMULATION, "step", "duration_ms"
                )
            )
    if not parts:
        return []
    return pl.concat(parts).sort("duration_ms", descending=True).head(_LISTED).to_dicts()
