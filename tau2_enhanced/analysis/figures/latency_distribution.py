"""How long calls of the agent's model and of tools take: a histogram of each with its cumulative curve."""

from __future__ import annotations

import math
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tau2_enhanced.analysis.figures.style import (
    INK,
    count_axis,
    darker,
    duration_axis,
    duration_text,
    event_colour,
    new_figure,
    spans_decades,
)
from tau2_enhanced.analysis.table import EventTable

KINDS = ("llm_call", "tool_call")
PERCENTILES = (50, 90, 99)
_BINS = 50
_BINS_PER_DECADE = 16
_CURVE_POINTS = 500
_HEIGHT = 1.3
"""How high a panel is, where bars and curve reach 1; from `_NAMES_AT` on it belongs to the percentiles' names."""
_NAMES_AT = 1.1
_NAME_WIDTH = 0.13
_MARGIN = 0.02
"""Shares of a panel's width."""


class Distribution(NamedTuple):
    """The durations of one type of calls, in ms."""

    kind: str
    n: int
    edges_ms: list[float]
    """Of the bins."""
    log: bool
    counts: list[int]
    """Calls in each bin."""
    curve: list[tuple[float, float]]
    """Durations, and the share of calls that took no longer."""
    percentiles: dict[int, float]


def select(table: EventTable) -> list[Distribution]:
    """Durations of answered model calls and of all tool calls, each type's over bins of its own."""
    found = {kind: durations for kind in KINDS if (durations := _durations(table, kind)).len()}
    return [_distribution(kind, values) for kind, values in found.items()]


def _durations(table: EventTable, kind: str) -> pl.Series:
    frame = table.of(kind)
    if "error_type" in frame.columns and kind != "tool_call":
        frame = frame.filter(pl.col("error_type").is_null())
    return frame["duration_ms"].drop_nulls().sort()


def _edges(lowest: float, highest: float, log: bool) -> list[float]:
    if not log:
        return [highest * index / _BINS if highest else index / _BINS for index in range(_BINS + 1)]
    first = math.floor(math.log10(lowest) * _BINS_PER_DECADE)
    last = math.floor(math.log10(highest) * _BINS_PER_DECADE) + 1
    return [10 ** (index / _BINS_PER_DECADE) for index in range(first, last + 1)]


def _distribution(kind: str, values: pl.Series) -> Distribution:
    positive = values.filter(values > 0)
    lowest, highest = float(positive[0]) if positive.len() else 0.0, float(values[-1])
    log = spans_decades([lowest, highest])
    edges = _edges(lowest, highest, log)
    shown = pl.col("ms").clip(edges[0], edges[-1])
    place = shown.log10() * _BINS_PER_DECADE if log else shown / (edges[1] - edges[0])
    first = round(math.log10(edges[0]) * _BINS_PER_DECADE) if log else 0
    last = len(edges) - 2
    bins = pl.DataFrame({"ms": values}).select((place.floor().cast(pl.Int64) - first).clip(0, last).alias("bin"))
    counted = dict(bins.group_by("bin").len().iter_rows())
    percentiles = {p: float(values.quantile(p / 100, interpolation="linear") or 0.0) for p in PERCENTILES}
    counts = [counted.get(index, 0) for index in range(last + 1)]
    return Distribution(kind, values.len(), edges, log, counts, _curve(values), percentiles)


def _curve(values: pl.Series) -> list[tuple[float, float]]:
    n = values.len()
    steps = min(n, _CURVE_POINTS)
    places = sorted({(n - 1) * index // max(1, steps - 1) for index in range(steps)} | {n - 1})
    return [(float(values[place]), (place + 1) / n) for place in places]


def draw(parts: list[Distribution], source: str) -> Figure:
    """One panel for each type, each over its own durations."""
    counts = " and ".join(f"{part.n:,} {part.kind}" for part in parts)
    own = " · each panel has an axis of its own" if len(parts) > 1 else ""
    caption = f"n = {counts} · failed model calls left out{own} · {source}"
    figure = new_figure("How long calls take", caption, 0.7 + 2.7 * len(parts))
    panels = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    for axes, part in zip(panels, parts, strict=True):
        _draw_part(axes, part)
    return figure


def _draw_part(axes: Axes, part: Distribution) -> None:
    edges, colour = part.edges_ms, event_colour(part.kind)
    axes.stairs(part.counts, edges, fill=True, facecolor=colour, edgecolor=darker(colour), linewidth=0.5, alpha=0.75)
    duration_axis(axes, log=part.log)
    axes.set_xlabel("duration of a call" + (" (logarithmic)" if part.log else ""))
    axes.set_xlim(_limits(part))
    axes.set_ylim(0, max(part.counts) * _HEIGHT)
    count_axis(axes.yaxis)
    axes.set_title(f"{part.kind} · n = {part.n:,}")
    axes.set_ylabel("calls")
    share = axes.twinx()
    share.grid(False)
    share.spines["right"].set_visible(True)
    points = [(edges[0], 0.0), *((max(at, edges[0]), reached) for at, reached in part.curve), (edges[-1], 1.0)]
    share.step(*zip(*points, strict=True), where="post", color=INK, linewidth=1.2)
    share.set_ylim(0, _HEIGHT)
    share.set_yticks([0, 0.25, 0.5, 0.75, 1])
    share.yaxis.set_major_formatter(PercentFormatter(1.0))
    share.set_ylabel("calls that took no longer")
    _mark_percentiles(share, part)


def _limits(part: Distribution) -> tuple[float, float]:
    """The axis' ends, a little beyond the bins, so that no mark lies on the frame."""
    first, last = part.edges_ms[0], part.edges_ms[-1]
    if part.log:
        return first * (first / last) ** _MARGIN, last * (last / first) ** _MARGIN
    margin = (last - first) * _MARGIN
    return first - margin, last + margin


def _mark_percentiles(axes: Axes, part: Distribution) -> None:
    """Points on the curve, and above all that is drawn their names, side by side."""
    to_share = axes.transAxes.inverted()
    at_ms = {percentile: max(ms, part.edges_ms[0]) for percentile, ms in part.percentiles.items()}
    shares = [float(to_share.transform(axes.transData.transform((x, 0)))[0]) for x in at_ms.values()]
    for (percentile, x), middle in zip(at_ms.items(), _side_by_side(shares, _NAME_WIDTH), strict=True):
        y = percentile / 100
        axes.plot([x, x], [0, _NAMES_AT], color=INK, linewidth=0.7, linestyle=(0, (3, 2)))
        axes.plot([x], [y], marker="o", markersize=4, color=INK, markerfacecolor="white")
        axes.annotate(
            f"P{percentile}  {duration_text(part.percentiles[percentile])}", (x, _NAMES_AT), (middle, 0.99),
            textcoords="axes fraction", size=8, color=INK, ha="center", va="top",
            arrowprops={"arrowstyle": "-", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0, "relpos": (0.5, 0)},
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip


def _side_by_side(middles: list[float], width: float) -> list[float]:
    """Where the middles of things so wide go, as near as can be, so that none lies on another or beyond 0 and 1.

    `middles` are sorted.
    """
    placed: list[float] = []
    for middle in middles:
        placed.append(max(middle, placed[-1] + width if placed else width / 2))
    most = 1 - width / 2
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], most)
        most = placed[place] - width
    return placed
