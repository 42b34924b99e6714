"""Where the wall time went, in sum and on the critical path, and which simulations and calls were slowest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import polars as pl

from tau2_enhanced.analysis.simulations import MORE_PARTS, PARTS
from tau2_enhanced.analysis.stops import Stop, Stops, stopped_ms
from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable

_ALL_PARTS = (*PARTS, *MORE_PARTS)
_REASONS = {
    "unlogged_calls": "their calls were not logged, run with --log-level PROFILE",
    "untimed_calls": "some calls have no time",
}
_LISTED = 10
_OF_A_SIMULATION = ("run", "domain", "task", "trial", "sim")


def where_time_went(simulations: pl.DataFrame) -> dict[str, float] | None:
    """Milliseconds of all simulations together, by what they waited for; of those that never ended what is logged.

    A simulation does one thing at a time, so the parts add up to `total_ms`: calls of the models, of the
    user simulator and of the judge, tools, waits before a call that was tried again, calls that were never
    answered, and `framework_ms`, which is the rest: tau2's own work and the runner's. Simulations with unknown
    parts are left out; None where no other ended.
    """
    known = simulations.drop_nulls("framework_ms")
    if not _ended(known).height:
        return None
    timed = known.filter(pl.col("begun") & pl.col("duration_ms").is_not_null())
    return _parts(timed) | {"total_ms": float(timed["duration_ms"].sum())}


def unknown_parts(simulations: pl.DataFrame) -> dict[str, int]:
    """How many simulations ended of which it is unknown where their time went, by why."""
    unknown = _ended(simulations).filter(pl.col("framework_ms").is_null())
    unlogged = unknown["llm_calls"].null_count()
    return {"unlogged_calls": unlogged, "untimed_calls": unknown.height - unlogged}


def why_unknown(unknown: Mapping[str, int]) -> list[str]:
    """A sentence for each reason of `unknown_parts`."""
    return [
        f"it is unknown where the time of {n:,} simulation{'s' * (n > 1)} went: {_REASONS[key]}"
        for key, n in unknown.items()
        if n
    ]


def critical_path(simulations: pl.DataFrame, stops: Stops = MappingProxyType({})) -> dict[str, float] | None:
    """Milliseconds of a run from its first simulation's start to its last one's end, by what it waited for.

    What the run as a whole waited for is the simulation that ended last, before that one the simulation that
    its worker had ended last before, and so on to the run's start; `idle_ms` is when that worker had none.
    `stopped_ms` is when no runner ran, before the run was resumed; it is no part of `total_ms`.
    Where workers are unknown, any simulation that ended before it began may precede. Several runs are added
    up. None where no simulation has times, and where the parts of one on the path are unknown.
    """
    timed = simulations.filter(pl.col("start_ms").is_not_null() & pl.col("end_ms").is_not_null())
    by_run = timed.partition_by("run", as_dict=True)
    runs = [path for (run,), own in by_run.items() if (path := _path(own, stops.get(run, ()))) is not None]
    if not runs or len(runs) < len(by_run):
        return None
    return {name: sum(run[name] for run in runs) for name in runs[0]}


def _path(simulations: pl.DataFrame, stops: Sequence[Stop]) -> dict[str, float] | None:
    begin, end = float(simulations["start_ms"].min()), float(simulations["end_ms"].max())  # type: ignore[arg-type]  # numbers
    last_first = simulations.sort("end_ms", descending=True).to_dicts()
    path = [last_first[0]]
    for simulation in last_first[1:]:
        after = path[-1]
        if simulation["end_ms"] <= after["start_ms"] and simulation["thread"] == after["thread"]:
            path.append(simulation)
    on_path = pl.DataFrame(path, schema=simulations.schema)
    if on_path["framework_ms"].null_count():
        return None
    found = _parts(on_path)
    stopped = stopped_ms(stops, begin, end)
    total = end - begin - stopped
    return found | {"idle_ms": max(0.0, total - sum(found.values())), "total_ms": total, "stopped_ms": stopped}


def _ended(simulations: pl.DataFrame) -> pl.DataFrame:
    """Those that ended and of which it is known how long they took."""
    return simulations.filter(pl.col("ended") & pl.col("duration_ms").is_not_null())


def _parts(simulations: pl.DataFrame) -> dict[str, float]:
    return {name: float(simulations[name].sum()) for name in _ALL_PARTS}


def slowest_simulations(simulations: pl.DataFrame) -> list[dict[str, Any]]:
    """The simulations that took longest, with what they came to."""
    wanted = [pl.col("simulation").alias("sim") if name == "sim" else pl.col(name) for name in _OF_A_SIMULATION]
    came_to = ("duration_ms", "steps", "reward", "termination_reason", "error_type", "cost_usd")
    ended = _ended(simulations).sort("duration_ms", descending=True)
    return ended.head(_LISTED).select(*wanted, *came_to).to_dicts()


def slowest_calls(table: EventTable) -> list[dict[str, Any]]:
    """The calls of models and tools that took longest."""
    parts = []
    for kind, name in (*((kind, "model") for kind in MODEL_CALLS), ("tool_call", "function")):
        frame = table.of(kind).filter(pl.col("duration_ms").is_not_null())
        if frame.height:
            longest = frame.top_k(_LISTED, by="duration_ms")
            parts.append(
                longest.select(
                    pl.lit(kind).alias("type"), pl.col(name).alias("name"), *_OF_A_SIMULATION, "step", "duration_ms"
                )
            )
    if not parts:
        return []
    return pl.concat(parts).sort("duration_ms", descending=True).head(_LISTED).to_dicts()
