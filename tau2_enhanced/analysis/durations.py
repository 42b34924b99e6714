"""How long each kind of work took: one series for each model, tool function and role."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from tau2_enhanced.logging.events import ExecutionEvent, ModelCallEvent, StepCompleteEvent, ToolCallEvent

_PERCENTILES = (50, 90, 95, 99)


def duration_series(events: Iterable[ExecutionEvent]) -> list[dict[str, Any]]:
    """Statistics of each series in milliseconds, the largest total first; std has ddof 1."""
    series: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if isinstance(event, ModelCallEvent) and event.duration_ms is not None:
            series[event.type, event.model or ""].append(event.duration_ms)
        elif isinstance(event, ToolCallEvent) and event.duration_ms is not None:
            series[event.type, event.function or ""].append(event.duration_ms)
        elif isinstance(event, StepCompleteEvent) and event.total_duration_ms is not None:
            series[event.type, event.from_role or ""].append(event.total_duration_ms)
    rows = [{"type": kind, "name": name, **_statistics(values)} for (kind, name), values in series.items()]
    return sorted(rows, key=lambda row: -float(row["total_ms"]))


def _statistics(values: Sequence[float]) -> dict[str, float | int | None]:
    cuts = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return {
        "n": len(values),
        "mean_ms": statistics.fmean(values),
        "std_ms": statistics.stdev(values) if len(values) > 1 else None,
        "min_ms": min(values),
        **{f"p{percent}_ms": cuts[percent - 1] for percent in _PERCENTILES},
        "max_ms": max(values),
        "total_ms": sum(values),
    }
