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


class Distribution(NamedTuple):
    """The durations of one type of calls, in ms."""

    kind: str
    n: int
    counts: list[int]
    """Calls in each bin."""
    curve: list[tuple[float, float]]
    """Durations, and the share of calls that took no longer."""
    percentiles: dict[int, float]


class Distributions(NamedTuple):
    edges_ms: list[float]
    """Of the bins, which all distributions share."""
    log: bool
    parts: list[Distribution]


def select(table: EventTable) -> Distributions | None:
    """Durations of answered model calls and of all tool calls; None where there are none."""
    found = {kind: durations for kind in KINDS if (durations := _durations(table, kind)).len()}
    if not found:
        return None
    lowest, highest = _range(found)
    log = spans_decades([lowest, highest])
    edges = _edges(lowest, highest, log)
    return Distributions(edges, log, [_distribution(kind, values, edges, log) for kind, values in found.items()])


def _durations(table: EventTable, kind: str) -> pl.Series:
    frame = table.of(kind)
    if "error_type" in frame.columns and kind != "tool_call":
        frame = frame.filter(pl.col("error_type").is_null())
    return frame["duration_ms"].drop_nulls().sort()


def _range(found: dict[str, pl.Series]) -> tuple[float, float]:
    """The shortest positive and the longest duration."""
    shortest = [float(positive[0]) for values in found.values() if (positive := values.filter(values > 0)).len()]
    return min(shortest, default=0.0), max(float(values[-1]) for values in found.values())


def _edges(lowest: float, highest: float, log: bool) -> list[float]:
    if not log:
        return [highest * index / _BINS if highest else index / _BINS for index in range(_BINS + 1)]
    first = math.floor(math.log10(lowest) * _BINS_PER_DECADE)
    last = math.floor(math.log10(highest) * _BINS_PER_DECADE) + 1
    return [10 ** (index / _BINS_PER_DECADE) for index in range(first, last + 1)]


def _distribution(kind: str, values: pl.Series, edges: list[float], log: bool) -> Distribution:
    shown = pl.col("ms").clip(edges[0], edges[-1])
    place = shown.log10() * _BINS_PER_DECADE if log else shown / (edges[1] - edges[0])
    first = round(math.log10(edges[0]) * _BINS_PER_DECADE) if log else 0
    last = len(edges) - 2
    bins = pl.DataFrame({"ms": values}).select((place.floor().cast(pl.Int64) - first).clip(0, last).alias("bin"))
    counted = dict(bins.group_by("bin").len().iter_rows())
    percentiles = {p: float(values.quantile(p / 100, interpolation="linear") or 0.0) for p in PERCENTILES}
    counts = [counted.get(index, 0) for index in range(last + 1)]
    return Distribution(kind, values.len(), counts, _curve(values), percentiles)


def _curve(values: pl.Series) -> list[tuple[float, float]]:
    n = values.len()
    steps = min(n, _CURVE_POINTS)
    places = sorted({(n - 1) * index // max(1, steps - 1) for index in range(steps)} | {n - 1})
    return [(float(values[place]), (place + 1) / n) for place in places]


def draw(selected: Distributions, source: str) -> Figure:
    """One panel for each type, over the same durations."""
    parts = selected.parts
    counts = " and ".join(f"{part.n:,} {part.kind}" for part in parts)
    caption = f"n = {counts} · failed model calls left out · {source}"
    figure = new_figure("How long calls take", caption, 0.9 + 2.35 * len(parts))
    panels = figure.subplots(len(parts), 1, sharex=True, squeeze=False)[:, 0]
    for axes, part in zip(panels, parts, strict=True):
        _draw_part(axes, part, selected)
    duration_axis(panels[-1], log=selected.log)
    panels[-1].set_xlabel("duration of a call" + (" (logarithmic)" if selected.log else ""))
    return figure


def _draw_part(axes: Axes, part: Distribution, selected: Distributions) -> None:
    edges, colour = selected.edges_ms, event_colour(part.kind)
    axes.stairs(part.counts, edges, fill=True, facecolor=colour, edgecolor=darker(colour), linewidth=0.5, alpha=0.75)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max(part.counts) * 1.16)
    count_axis(axes.yaxis)
    axes.set_title(f"{part.kind} · n = {part.n:,}")
    axes.set_ylabel("calls")
    share = axes.twinx()
    share.grid(False)
    share.spines["right"].set_visible(True)
    points = [(edges[0], 0.0), *((max(at, edges[0]), reached) for at, reached in part.curve), (edges[-1], 1.0)]
    share.step(*zip(*points, strict=True), where="post", color=INK, linewidth=1.2)
    share.set_ylim(0, 1.16)
    share.set_yticks([0, 0.25, 0.5, 0.75, 1])
    share.yaxis.set_major_formatter(PercentFormatter(1.0))
    share.set_ylabel("calls that took no longer")
    for percentile, at_ms in part.percentiles.items():
        _mark(share, percentile, max(at_ms, edges[0]), duration_text(at_ms), selected)


def _mark(axes: Axes, percentile: int, x: float, text: str, selected: Distributions) -> None:
    """A point on the curve and its name, on the side that a rising curve leaves free."""
    edges = [selected.edges_ms[0], x, selected.edges_ms[-1]]
    low, at, high = (math.log10(edge) for edge in edges) if selected.log else edges
    right = (at - low) / (high - low) < 0.8
    y = percentile / 100
    axes.plot([x, x], [0, y], color=INK, linewidth=0.7, linestyle=(0, (3, 2)))
    axes.plot([x], [y], marker="o", markersize=4, color=INK, markerfacecolor="white", clip_on=False)
    axes.annotate(
        f"P{percentile}  {text}", (x, y), (6, -2) if right else (-6, 2), textcoords="offset points", size=8, color=INK,
        ha="left" if right else "right", va="top" if right else "bottom",
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )  # fmt: skip
