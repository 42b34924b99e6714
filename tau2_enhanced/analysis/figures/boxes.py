"""Box plots of durations, a row for each name: what `latency_by_model` and `latency_by_function` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures.style import (
    FAINT,
    INK,
    darker,
    duration_axis,
    duration_text,
    event_colour,
    new_figure,
    spans_decades,
)

MOST_ROWS = 25
_COLUMN_POINTS = 50
"""How wide the columns of numbers are, in points."""
_PERCENTILES = (5, 25, 50, 75, 95)


class Box(NamedTuple):
    """The durations of one name's calls, in ms."""

    kind: str
    name: str
    n: int
    errors: int
    p5_ms: float
    p25_ms: float
    p50_ms: float
    p75_ms: float
    p95_ms: float


class Boxes(NamedTuple):
    rows: list[Box]
    """By median, the slowest first."""
    more: int
    """How many names there are beyond these."""
    n: int
    """Calls of all names."""


def boxes(calls: pl.LazyFrame) -> Boxes | None:
    """The percentiles of each kind and name in `calls` (kind, name, duration_ms, timed, failed); None without any.

    Only durations that are `timed` count; percentiles are linear between the two nearest values.
    """
    duration = pl.col("duration_ms").filter(pl.col("timed"))
    found = (
        calls.filter(pl.col("duration_ms").is_not_null())
        .group_by("kind", pl.col("name").fill_null(""))
        .agg(
            duration.len().alias("n"),
            pl.col("failed").sum().cast(pl.Int64).alias("errors"),
            *(duration.quantile(p / 100, interpolation="linear").alias(f"p{p}_ms") for p in _PERCENTILES),
        )
        .filter(pl.col("n") > 0)
        .sort("p50_ms", "kind", "name", descending=[True, False, False])
        .collect()
    )
    if not found.height:
        return None
    rows = [Box(**row) for row in found.head(MOST_ROWS).to_dicts()]
    return Boxes(rows, found.height - len(rows), int(found["n"].sum()))


def draw_boxes(selected: Boxes, title: str, caption: str, name: Callable[[Box], str]) -> Figure:
    """A row for each box, with its number of calls and its median beside it."""
    rows, listed = selected.rows, len(selected.rows) + bool(selected.more)
    figure = new_figure(title, caption, 1.35 + 0.29 * max(listed, 2))
    axes = figure.subplots()
    log = spans_decades(value for row in rows for value in row[4:])
    least = min((value for row in rows for value in row[4:] if value > 0), default=0.0) if log else 0.0
    drawn = axes.bxp(
        [_statistics(row, least) for row in rows], positions=range(len(rows)), widths=0.58, orientation="horizontal",
        patch_artist=True, showfliers=False, manage_ticks=False,
        medianprops={"color": INK, "linewidth": 1.6}, capprops={"linewidth": 0.9}, whiskerprops={"linewidth": 0.9},
    )  # fmt: skip
    for row, box in zip(rows, drawn["boxes"], strict=True):
        colour = event_colour(row.kind)
        box.set(facecolor=colour, edgecolor=darker(colour), linewidth=0.8)
    names = [name(row) for row in rows] + ([f"and {selected.more} more"] if selected.more else [])
    axes.set_yticks(range(listed), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(listed - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    if not log:
        axes.set_xlim(0, 1.05 * max(row.p95_ms for row in rows) or 1.0)
    duration_axis(axes, log=log)
    axes.set_xlabel("duration of a call" + (" (logarithmic)" if log else ""))
    _write_columns(axes, rows)
    return figure


def _write_columns(axes: Axes, rows: list[Box]) -> None:
    """Numbers beside the boxes."""
    columns = [("n", [f"{row.n:,}" for row in rows]), ("median", [duration_text(row.p50_ms) for row in rows])]
    if any(row.errors for row in rows):
        columns.append(("errors", [f"{row.errors:,}" if row.errors else "–" for row in rows]))
    beside = axes.get_yaxis_transform()
    for number, (heading, texts) in enumerate(columns, 1):
        right = (number * _COLUMN_POINTS, 0)
        axes.annotate(heading, (1, -0.7), right, beside, "offset points", ha="right", va="bottom", color=FAINT)
        for place, text in enumerate(texts):
            axes.annotate(text, (1, place), right, beside, "offset points", ha="right", va="center", size=8.5)


def _statistics(row: Box, least: float) -> dict[str, Any]:
    """A box as matplotlib wants it; on a logarithmic axis nothing is shorter than `least`."""
    low, q1, median, q3, high = (max(value, least) for value in row[4:])
    return {"whislo": low, "q1": q1, "med": median, "q3": q3, "whishi": high}
