"""What changes while a run goes on, and within its simulations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import correct, mann_kendall, share
from tau2_enhanced.analysis.executions.values import CALLS, ENDED, ERRORS, TOOL, span_of, summary

_BUCKETS = 20
_POSITIONS = 20
_FEWEST = 8
"""Calls of a tool whose trend is worth a test."""


def temporal_analysis(found: Executions) -> dict[str, Any]:
    """Trends over time, a timeline, and how calls lie within simulations.

    `trends` tests whether a tool's time, all tools' times and errors rise or fall (Mann-Kendall, p-values
    corrected for the number of tests; a tool needs eight calls). `timeline` has up to twenty equal parts of the
    time from the first to the last call. `by_position` are the calls by their place in their simulation, from 0,
    those from 19 on together. `between_calls_s` is the time from the end of a call to the beginning of the next
    in its simulation: models, the user and waits.
    """
    calls = found.calls.with_columns(TOOL)
    timed = calls.drop_nulls("timestamp")
    span = span_of(timed["timestamp"])
    return {
        "first_event": span.first,
        "last_event": span.last,
        "span_s": span.seconds,
        "calls_per_minute": (timed.height - 1) / span.seconds * 60 if span.seconds else None,
        "trends": _trends(timed),
        "timeline": _timeline(timed),
        "by_position": _by_position(calls),
        "between_calls_s": summary(_between(timed), "s"),
        "calls_without_time": calls.height - timed.height,
    }


def _trends(timed: pl.DataFrame) -> list[dict[str, Any]]:
    seconds = timed.with_columns(pl.col("timestamp").dt.epoch("ms").truediv(1000).alias("seconds"))
    errors = seconds.drop_nulls("success").with_columns(pl.col("success").not_().cast(pl.Float64).alias("failed"))
    times = seconds.drop_nulls("duration_ms")
    rows = [_trend("errors", None, errors, "failed"), _trend("duration_ms", None, times, "duration_ms")]
    for part in sorted(times.partition_by("tool"), key=lambda part: str(part["tool"][0])):
        if part.height >= _FEWEST:
            rows.append(_trend("duration_ms", part["tool"][0], part, "duration_ms"))
    correct(rows)
    for row in rows:
        rises = row["tau"] is not None and row["tau"] > 0
        row["direction"] = ("rising" if rises else "falling") if row["significant"] else "none"
    return rows


def _trend(measure: str, tool: str | None, rows: pl.DataFrame, column: str) -> dict[str, Any]:
    return {"measure": measure, "tool": tool, **mann_kendall(rows["seconds"].to_list(), rows[column].to_list())}


def _timeline(timed: pl.DataFrame) -> list[dict[str, Any]]:
    span = span_of(timed["timestamp"])
    if span.first is None or span.seconds is None:
        return []
    elapsed_ms = (timed["timestamp"] - span.first).dt.total_milliseconds()
    span_ms = round(span.seconds * 1000)
    buckets = min(_BUCKETS, span_ms) or 1
    width_ms = span_ms / buckets
    places = (elapsed_ms / width_ms if width_ms else elapsed_ms * 0.0).floor().cast(pl.Int64).clip(0, buckets - 1)
    grouped = (
        timed.with_columns(places.alias("bucket"))
        .group_by("bucket")
        .agg(CALLS, ERRORS, pl.col("duration_ms").median().alias("p50_ms"))
    )
    found = {row.pop("bucket"): row for row in grouped.to_dicts()}
    return [
        {
            "start": span.first + timedelta(milliseconds=place * width_ms),
            "length_s": width_ms / 1000,
            **found.get(place, {"calls": 0, "errors": 0, "p50_ms": None}),
        }
        for place in range(buckets)
    ]


def _by_position(calls: pl.DataFrame) -> list[dict[str, Any]]:
    place = pl.int_range(pl.len()).over("simulation").clip(0, _POSITIONS - 1).cast(pl.Int64).alias("position")
    rows = (
        calls.drop_nulls("simulation")
        .with_columns(place)
        .group_by("position")
        .agg(CALLS, ERRORS, ENDED, pl.col("duration_ms").median().alias("p50_ms"))
        .sort("position")
        .to_dicts()
    )
    for row in rows:
        row["error_rate"] = share(row["errors"], row.pop("ended"))
    return rows


def _between(timed: pl.DataFrame) -> pl.Series:
    took = pl.duration(microseconds=(pl.col("duration_ms").fill_null(0.0) * 1000).cast(pl.Int64))
    pauses = timed.drop_nulls("simulation").select(
        (pl.col("began") - (pl.col("began") + took).shift(1)).over("simulation").alias("pause")
    )["pause"]
    # times of day are kept to the millisecond, so calls of one turn may seem to overlap
    return (pauses.drop_nulls().dt.total_microseconds() / 1_000_000).clip(0.0)
