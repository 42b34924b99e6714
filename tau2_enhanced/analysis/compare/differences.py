"""The differences of all measures with their intervals, as a forest plot: pass^1 in points, all else in per cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tau2_enhanced.analysis.compare.measures import MEASURES
from tau2_enhanced.analysis.compare.run_style import RunStyle, run_style
from tau2_enhanced.analysis.compare.sentences import Amounts
from tau2_enhanced.analysis.compare.tables import difference_of, interval_text
from tau2_enhanced.analysis.figures.style import FAINT, INK, TRACK, label, new_figure
from tau2_enhanced.analysis.number_texts import counted

_ROW_IN = 0.235
_FARTHEST = 160.0
"""Per cent beyond which intervals are cut, so that the others stay readable."""


class Row(NamedTuple):
    """One measure of one run against the baseline."""

    measure: str
    place: int
    """Of the run among the runs; the baseline is 0."""
    estimate: float
    low: float | None
    high: float | None
    decided: bool
    text: str
    """The difference in the measure's own unit."""


class Differences(NamedTuple):
    points: list[Row]
    """pass^1, in points."""
    percent: list[Row]
    """All else, in per cent of the baseline."""
    baseline: str
    runs: list[str]
    """Those that are compared with it."""
    tasks: list[int]


def select(found: Mapping[str, Any]) -> Differences | None:
    """The measures whose difference can be told in per cent; None where there are none."""
    points: list[Row] = []
    percent: list[Row] = []
    pairs: Sequence[Mapping[str, Any]] = found["comparisons"]
    for measure in MEASURES:
        for place, pair in enumerate(pairs, 1):
            row = pair["measures"].get(measure.key)
            if row is None or (measure.unit != "points" and row["percent"] is None):
                continue
            difference = difference_of(row)
            amounts = Amounts(difference, measure)
            text = f"{amounts.signed(difference.estimate, unit=True)}  ({interval_text(difference, amounts)})"
            if measure.unit == "points":
                ends = [None if end is None else 100 * end for end in difference[3:]]
            else:
                ends = [row[name] for name in ("percent", "percent_low", "percent_high")]
            to = points if measure.unit == "points" else percent
            to.append(Row(measure.name, place, ends[0] or 0.0, ends[1], ends[2], difference.decided, text))
    if not points and not percent:
        return None
    return Differences(
        points, percent, pairs[0]["baseline"], [pair["run"] for pair in pairs], [pair["tasks"] for pair in pairs]
    )


def draw(selected: Differences) -> Figure:
    """A row for each measure and run: its difference as a mark, its 95 % interval as a line."""
    parts = [
        (rows, unit)
        for rows, unit in ((selected.points, "points"), (selected.percent, "per cent of the baseline's mean"))
        if rows
    ]
    heights = [_ROW_IN * len(rows) + 0.12 for rows, _ in parts]
    least, most = min(selected.tasks), max(selected.tasks)
    tasks = counted(most, "task") if least == most else f"{least:,} to {counted(most, 'task')}"
    caption = (
        f"run less baseline, paired by task, {tasks} · lines: 95 % intervals, each by itself · filled marks: "
        f"0 is outside · arrows: the interval goes on · baseline: {label(selected.baseline, 40)}"
    )
    legend = [_handle(run, run_style(place)) for place, run in enumerate(selected.runs, 1)]
    figure = new_figure("What differs", caption, 1.15 + sum(heights) + 0.5 * len(parts), legend)
    panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (rows, unit) in zip(panels, parts, strict=True):
        _draw_rows(axes, rows, unit)
    return figure


def _handle(run: str, style: RunStyle) -> Line2D:
    return Line2D([], [], color=style.colour, marker=style.mark, markersize=5, linewidth=1.4, label=label(run, 30))


def _draw_rows(axes: Axes, rows: Sequence[Row], unit: str) -> None:
    low, high = _limits(rows)
    beside = axes.get_yaxis_transform()
    for place, row in enumerate(rows):
        style = run_style(row.place)
        if row.low is not None and row.high is not None:
            ends = [min(max(end, low), high) for end in (row.low, row.high)]
            axes.plot(ends, [place, place], color=style.colour, linewidth=1.5)
            for end, beyond, mark in ((low, row.low < low, "<"), (high, row.high > high, ">")):
                if beyond:
                    axes.plot([end], [place], marker=mark, color=style.colour, markersize=5, clip_on=False)
        if low <= row.estimate <= high:
            filling = style.colour if row.decided else "white"
            axes.plot([row.estimate], [place], style.mark, color=style.colour, markerfacecolor=filling, markersize=5.5)
        axes.annotate(row.text, (1, place), (8, 0), beside, "offset points", va="center", size=8, color=INK)
    axes.axvline(0, color=FAINT, linewidth=0.9, zorder=0)
    firsts = [place for place, row in enumerate(rows) if place == 0 or row.measure != rows[place - 1].measure]
    for place in firsts[1:]:
        axes.axhline(place - 0.5, color=TRACK, linewidth=0.6, zorder=0)
    axes.set_yticks(firsts, [rows[place].measure for place in firsts])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    axes.set_xlabel(unit)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    ends = [end for row in rows for end in (row.low, row.estimate, row.high) if end is not None]
    low, high = max(min(ends), -_FARTHEST), min(max(ends), _FARTHEST)
    room = 0.05 * max(high, -low, 1.0)
    return min(low, -room), max(high, room)
