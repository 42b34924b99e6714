"""How long simulations and model calls take in each run, and what simulations cost: cumulative curves, overlaid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from tau2_enhanced.analysis.compare.run_style import run_style
from tau2_enhanced.analysis.compare.runs import TASK, Run
from tau2_enhanced.analysis.figures.style import (
    FAINT,
    duration_axis,
    duration_text,
    label,
    new_figure,
    short_number,
    spans_decades,
)
from tau2_enhanced.analysis.number_texts import counted

_POINTS = 600
_PANELS = (("duration of a simulation", "ms"), ("duration of an llm_call", "ms"), ("cost of a simulation", "USD"))


class Curve(NamedTuple):
    """The values of one run."""

    place: int
    """Of the run among the runs."""
    run: str
    n: int
    median: float
    points: list[tuple[float, float]]
    """Values, and the share of all that are no larger."""


class Panel(NamedTuple):
    title: str
    unit: str
    """ms or USD."""
    curves: list[Curve]
    log: bool


class Distributions(NamedTuple):
    panels: list[Panel]
    missing: list[str]
    """A sentence for each run whose values are unknown."""
    common_tasks: int
    """How many tasks the values are of, those that all runs have; 0 where they are of all tasks of each run."""
    between_messages: bool
    """Whether durations are the times between messages, for want of logs."""


def select(runs: Sequence[Run]) -> Distributions:
    """Durations and costs of the tasks that all runs have; where they share none, of all."""
    common = reduce(lambda left, right: left.join(right, on=TASK, how="semi"), map(_tasks, runs))
    wanted = [_values(run, common if common.height else _tasks(run)) for run in runs]
    panels: list[Panel] = []
    missing: list[str] = []
    alike = len({run.logged for run in runs}) == 1
    if not alike:
        missing.append("durations: a log and a results file tell them differently")
    for index, (title, unit) in enumerate(_PANELS):
        if unit == "ms" and not alike:
            continue
        curves = [
            _curve(place, run.name, values[index])
            for place, (run, values) in enumerate(zip(runs, wanted, strict=True))
            if values[index].len()
        ]
        shown = {curve.place for curve in curves}
        missing += [f"{title} of {run.name}: unknown" for place, run in enumerate(runs) if place not in shown]
        if any(value > 0 for curve in curves for value, _ in curve.points):
            log = spans_decades(value for curve in curves for value, _ in curve.points)
            panels.append(Panel(title, unit, curves, log))
    return Distributions(panels, missing, common.height, not any(run.logged for run in runs))


def _tasks(run: Run) -> pl.DataFrame:
    return run.simulations.select(TASK).unique()


def _values(run: Run, tasks: pl.DataFrame) -> tuple[pl.Series, pl.Series, pl.Series]:
    simulations = run.simulations.join(tasks, on=TASK, how="semi")
    calls = run.llm_calls.join(tasks, on=TASK, how="semi")
    return (
        (simulations["duration_s"].drop_nulls() * 1000).sort(),
        calls["duration_ms"].sort(),
        simulations["cost_usd"].drop_nulls().sort(),
    )


def _curve(place: int, run: str, values: pl.Series) -> Curve:
    n = values.len()
    places = sorted({(n - 1) * index // max(1, _POINTS - 1) for index in range(_POINTS)} | {n - 1})
    points = [(float(values[at]), (at + 1) / n) for at in places]
    return Curve(place, run, n, float(values.median() or 0.0), points)  # type: ignore[arg-type]  # a number


def draw(selected: Distributions) -> Figure:
    """A panel for each thing measured, a curve for each run."""
    common = selected.common_tasks
    of = f"of the {counted(common, 'task')} that all runs have" if common else "of all tasks"
    times = " · times between messages" if selected.between_messages else ""
    caption = f"cumulative distributions {of} · failed model calls left out{times} · the first run is the baseline"
    most = max(len(panel.curves) for panel in selected.panels)
    height = 0.8 + len(selected.panels) * max(2.0, 0.75 + 0.19 * most)
    figure = new_figure("How the runs compare", caption, height)
    panels = figure.subplots(len(selected.panels), 1, squeeze=False)[:, 0]
    for axes, panel in zip(panels, selected.panels, strict=True):
        _draw_panel(axes, panel)
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    values = [value for curve in panel.curves for value, _ in curve.points]
    least = min((value for value in values if value > 0), default=0.0) if panel.log else 0.0
    highest = max(values)
    for curve in panel.curves:
        style = run_style(curve.place)
        points = [(max(curve.points[0][0], least), 0.0), *((max(at, least), share) for at, share in curve.points)]
        points.append((highest, 1.0))
        told = duration_text(curve.median) if panel.unit == "ms" else f"{short_number(curve.median)} USD"
        axes.step(
            *zip(*points, strict=True), where="post", color=style.colour, linestyle=style.line, linewidth=1.4,
            label=f"{label(curve.run, 28)}: n = {curve.n:,}, median {told}",
        )  # fmt: skip
    if panel.unit == "ms":
        duration_axis(axes, log=panel.log)
    else:
        _cost_axis(axes, log=panel.log)
        axes.set_xlabel("USD")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("share no larger")
    axes.set_title(panel.title + (" (logarithmic)" if panel.log else ""))
    beside = axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, handlelength=2.6)
    for text in beside.get_texts():
        text.set_text(text.get_text().replace(": ", "\n", 1))
        text.set_linespacing(1.25)
    axes.tick_params(colors=FAINT, which="both", labelcolor="#222222")


def _cost_axis(axes: Axes, *, log: bool) -> None:
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=12))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value) if value > 0 else "0"))
