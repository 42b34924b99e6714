"""How many simulations ran, and how many model calls were under way, at each moment."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures.intervals import Timeline
from tau2_enhanced.analysis.figures.style import FAINT, count_axis, counted, duration_text, event_colour, new_figure
from tau2_enhanced.analysis.table import MODEL_CALLS

MOST_STEPS = 1000
_PANELS = (
    ("simulations running", "#444444"),
    ("model calls under way", event_colour("llm_call")),
    ("model calls waiting to retry", FAINT),
)


class Level(NamedTuple):
    """How many there were from each moment to the next; the last one only ends the curve."""

    n: int
    """How many came and went in all."""
    at_s: list[float]
    mean: list[float]
    low: list[int]
    high: list[int]
    bin_s: float | None
    """How long each moment is where there were too many changes to show each; then mean, low and high differ."""

    @property
    def peak(self) -> int:
        return max(self.high)

    @property
    def average(self) -> float:
        """Over the time, from the first moment to the last."""
        lengths = [later - sooner for sooner, later in zip(self.at_s, self.at_s[1:], strict=False)]
        total = sum(lengths)
        return sum(length * value for length, value in zip(lengths, self.mean, strict=False)) / total if total else 0.0


class Concurrency(NamedTuple):
    simulations: Level
    calls: Level | None
    """Model calls under way."""
    waits: Level | None
    """Model calls waiting to be tried again; None where none did."""


def select(timeline: Timeline) -> Concurrency | None:
    """None where nothing lasted."""
    simulations = level_of(timeline.simulations)
    if simulations is None:
        return None
    calls = timeline.calls.filter(pl.col("kind").is_in(MODEL_CALLS))
    start = pl.col("start_ms")
    waits = calls.filter(pl.col("wait_ms") > 0).select((start - pl.col("wait_ms")), start.alias("end_ms"))
    return Concurrency(simulations, level_of(calls), level_of(waits))


def steps(intervals: pl.DataFrame) -> pl.DataFrame:
    """From each moment `at_ms` on, how many of the half-open intervals hold it, as `running`.

    Where one ends as another begins nothing changes; one of no length is nowhere.
    """
    changes = pl.concat(
        [
            intervals.select(pl.col("start_ms").alias("at_ms"), pl.lit(1, pl.Int64).alias("change")),
            intervals.select(pl.col("end_ms").alias("at_ms"), pl.lit(-1, pl.Int64).alias("change")),
        ]
    )
    changes = changes.group_by("at_ms").agg(pl.col("change").sum()).filter(pl.col("change") != 0).sort("at_ms")
    return changes.select("at_ms", pl.col("change").cum_sum().alias("running"))


def level_of(intervals: pl.DataFrame) -> Level | None:
    """The steps of the intervals; None where none of them lasts."""
    found = steps(intervals)
    if not found.height:
        return None
    if found.height <= MOST_STEPS:
        running = found["running"].to_list()
        return Level(intervals.height, (found["at_ms"] / 1000).to_list(), running, running, running, None)
    return binned(found, MOST_STEPS // 2, intervals.height)


def binned(found: pl.DataFrame, bins: int, n: int) -> Level:
    """The steps in equal bins: the mean over time of each, and its lowest and highest value."""
    first, last = found["at_ms"][0], found["at_ms"][-1]
    width = (last - first) / bins
    edges = pl.DataFrame({"at_ms": [first + width * index for index in range(bins)], "bin": range(bins)})
    pieces = (
        pl.concat([found, edges], how="diagonal")
        .sort("at_ms", "bin", nulls_last=False)
        .with_columns(pl.col("running", "bin").forward_fill(), pl.col("at_ms").shift(-1).alias("until"))
        .with_columns((pl.col("until") - pl.col("at_ms")).alias("length"))
        .filter(pl.col("length") > 0)
    )
    weighted = (pl.col("running") * pl.col("length")).sum() / pl.col("length").sum()
    running = pl.col("running")
    made = (
        pieces.group_by("bin")
        .agg(weighted.alias("mean"), running.min().alias("low"), running.max().alias("high"))
        .sort("bin")
    )
    at_s = [*((first + width * index) / 1000 for index in made["bin"]), last / 1000]
    mean, low, high = ([*made[name].to_list(), 0] for name in ("mean", "low", "high"))
    return Level(n, at_s, mean, low, high, width / 1000)


def draw(selected: Concurrency, source: str) -> Figure:
    """Simulations, model calls under way and those that wait, one above the other over the same time."""
    parts = [
        (level, f"{name}: {_rounded(level.average)} on average, {level.peak:,} at most", colour)
        for level, (name, colour) in zip(selected, _PANELS, strict=True)
        if level
    ]
    bins = [level.bin_s for level, _, _ in parts if level.bin_s]
    thinned = f" · line: mean of each {duration_text(max(bins) * 1000)}; band: lowest to highest" if bins else ""
    n = ", ".join(
        counted(level.n, noun) for level, noun in zip(selected[:2], ("simulation", "model call"), strict=True) if level
    )
    figure = new_figure("What ran at once", f"n = {n}{thinned} · {source}", 1.1 + 1.75 * len(parts))
    panels = figure.subplots(len(parts), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (level, title, colour) in zip(panels, parts, strict=True):
        _draw_level(axes, level, colour)
        axes.set_title(title)
    panels[-1].set_xlabel("seconds since the run's start")
    return figure


def _draw_level(axes: Axes, shown: Level, colour: str) -> None:
    if shown.bin_s:
        axes.fill_between(shown.at_s, shown.low, shown.high, step="post", color=colour, alpha=0.25, linewidth=0)
    else:
        axes.fill_between(shown.at_s, shown.mean, step="post", color=colour, alpha=0.25, linewidth=0)
    axes.step(shown.at_s, shown.mean, where="post", color=colour, linewidth=0.8)
    axes.set_ylim(0, 1.08 * shown.peak)
    count_axis(axes.yaxis)
    axes.margins(x=0.01)


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"
