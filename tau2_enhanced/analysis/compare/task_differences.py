"""The difference of each task, sorted: whether all tasks moved, or a few moved much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tau2_enhanced.analysis.compare.comparison import by_task, comparable
from tau2_enhanced.analysis.compare.measures import MEASURES
from tau2_enhanced.analysis.compare.paired import mean_difference
from tau2_enhanced.analysis.compare.run_style import run_style
from tau2_enhanced.analysis.compare.runs import TASK, Run
from tau2_enhanced.analysis.figures.style import FAINT, label, new_figure

_DRAWN = {"duration_s": ("duration of a task", "seconds"), "cost_usd": ("cost of a task", "USD")}
_MEASURES = [(measure, *_DRAWN[measure.key]) for measure in MEASURES if measure.key in _DRAWN]


class Dots(NamedTuple):
    """The differences of one run's tasks to the baseline's."""

    place: int
    """Of the run among the runs; the baseline is 0."""
    run: str
    values: list[float]
    """Sorted."""
    mean: float
    low: float | None
    high: float | None


class Panel(NamedTuple):
    title: str
    unit: str
    runs: list[Dots]


def select(runs: Sequence[Run]) -> list[Panel]:
    """The differences in duration and in cost, where any are known."""
    by_run = list(map(by_task, runs))
    panels = []
    for measure, title, unit in _MEASURES:
        places = [place for place in range(1, len(runs)) if comparable(measure, [runs[0], runs[place]])]
        found = [_dots(measure.key, place, runs[place].name, by_run[0], by_run[place]) for place in places]
        known = [dots for dots in found if dots is not None and any(dots.values)]
        if known:
            panels.append(Panel(title, unit, known))
    return panels


def _dots(key: str, place: int, run: str, baseline: pl.DataFrame, tasks: pl.DataFrame) -> Dots | None:
    pairs = baseline.join(tasks, on=TASK, suffix="_run").select(key, f"{key}_run").drop_nulls()
    if not pairs.height:
        return None
    here, there = pairs[key].to_list(), pairs[f"{key}_run"].to_list()
    difference = mean_difference(here, there)
    values = sorted(after - before for before, after in zip(here, there, strict=True))
    return Dots(place, run, values, difference.estimate, difference.low, difference.high)


def draw(panels: Sequence[Panel]) -> Figure:
    """A panel for each measure, a mark for each task, the mean and its interval across them."""
    n = sorted({len(dots.values) for panel in panels for dots in panel.runs})
    counts = f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"
    caption = f"run less baseline, a mark for each of {counts} tasks, sorted · line, band: mean and its 95 % interval"
    shown = {dots.place: dots.run for panel in panels for dots in panel.runs}
    legend = [
        Line2D([], [], color=run_style(at).colour, marker=run_style(at).mark, markersize=4.5, label=label(run, 30))
        for at, run in shown.items()
    ]
    figure = new_figure("How each task differs", caption, 1.0 + 2.3 * len(panels), legend)
    for axes, panel in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _draw_panel(axes, panel)
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for dots in panel.runs:
        style = run_style(dots.place)
        n = len(dots.values)
        share = [(place + 0.5) / n for place in range(n)]
        axes.plot(share, dots.values, style.mark, color=style.colour, markersize=3.2, alpha=0.85, linewidth=0)
        axes.axhline(dots.mean, color=style.colour, linewidth=1.2, linestyle=style.line)
        if dots.low is not None and dots.high is not None:
            axes.axhspan(dots.low, dots.high, color=style.colour, alpha=0.14, linewidth=0)
    axes.axhline(0, color=FAINT, linewidth=0.9, zorder=0)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["least", "", "median task", "", "most"])
    axes.set_title(panel.title)
    axes.set_ylabel(f"difference, {panel.unit}")
