"""Goodput: the share of calls within a limit, as `vllm bench serve` uses the word."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import polars as pl

from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable
from tau2_enhanced.errors import UserMistake

_COLUMNS = {
    **{kind: ((kind,), "duration_ms") for kind in (*MODEL_CALLS, "tool_call", "task_complete")},
    "step_complete": (("step_complete",), "total_duration_ms"),
    "ttft": (MODEL_CALLS, "ttft_ms"),
}
"""What may be limited: which events, and which of their columns."""
_FAILED = {
    **dict.fromkeys(MODEL_CALLS, pl.col("error_type").is_not_null()),
    "task_complete": pl.col("reward").is_null(),
}
"""Which events are within no limit, however quick."""


def parse_limits(texts: Iterable[str]) -> dict[str, float]:
    """`NAME:MS` as limits in milliseconds. Raises UserMistake."""
    limits = {}
    for text in texts:
        name, _, number = text.rpartition(":")
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if name not in _COLUMNS or not 0 <= limit < math.inf:
            raise UserMistake(f"--slo {text}: expected NAME:MS with NAME one of {', '.join(_COLUMNS)}")
        limits[name] = limit
    return limits


def goodput(table: EventTable, limits: dict[str, float]) -> list[dict[str, Any]]:
    """For each limit how many were measured, and which share of them stayed within it.

    A call that failed for good is not within any limit, nor is a simulation without a verdict; one that failed, be it
    by its model's own fault, is as quick as it is. `share` is None where nothing was measured.
    """
    rows = []
    for name, limit_ms in limits.items():
        kinds, column = _COLUMNS[name]
        measured = within = 0
        for kind in kinds:
            frame = table.of(kind).filter(pl.col(column).is_not_null())
            failed = _FAILED.get(kind, pl.lit(False))
            measured += frame.height
            within += frame.filter((pl.col(column) <= limit_ms) & ~failed).height
        share = within / measured if measured else None
        rows.append({"name": name, "limit_ms": limit_ms, "n": measured, "within": within, "share": share})
    return rows
