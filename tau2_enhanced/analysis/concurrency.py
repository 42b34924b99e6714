"""How many simulations ran, and how many model calls were under way, at each moment."""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from tau2_enhanced.analysis.stops import stopped_ms
from tau2_enhanced.analysis.table import MODEL_CALLS
from tau2_enhanced.analysis.timeline import Timeline

MOST_STEPS = 1000
BINS = 60
"""Into how many equal parts of the run `numbers` divides the time."""


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
    def total_s(self) -> float:
        """How long all of them lasted together."""
        spans = zip(self.at_s, self.at_s[1:], self.mean, strict=False)
        return sum((later - sooner) * value for sooner, later, value in spans)


class Concurrency(NamedTuple):
    """What ran at once in a run."""

    simulations: Level | None
    """None where types were left out by choice: the rest does not tell when a simulation began and ended."""
    calls: Level | None
    """Model calls under way."""
    waits: Level | None
    """Model calls waiting to be tried again; None where none did."""
    begin_s: float
    end_s: float
    stopped_s: float
    """For how long of the time from `begin_s` to `end_s` no runner ran."""

    def average(self, level: Level) -> float:
        """Of one of them, over the time in which a runner ran, which is the same for all of them."""
        ran_s = self.end_s - self.begin_s - self.stopped_s
        return level.total_s / ran_s if ran_s > 0 else 0.0


def concurrency(timeline: Timeline) -> Concurrency | None:
    """None where nothing lasted."""
    simulations = level_of(timeline.simulations)
    if simulations is None:
        return None
    calls = timeline.calls.filter(pl.col("kind").is_in(MODEL_CALLS))
    start = pl.col("start_ms")
    waits = calls.filter(pl.col("wait_ms") > 0).select((start - pl.col("wait_ms")), start.alias("end_ms"))
    levels = (None if timeline.partial else simulations, level_of(calls), level_of(waits))
    known = [level for level in levels if level is not None]
    if not known:
        return None
    begin_s, end_s = min(level.at_s[0] for level in known), max(level.at_s[-1] for level in known)
    return Concurrency(*levels, begin_s, end_s, stopped_ms(timeline.stops, begin_s * 1000, end_s * 1000) / 1000)


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


def numbers(timeline: Timeline) -> dict[str, Any] | None:
    """What ran at once over the run: means and peaks, and the mean in each of `BINS` equal parts of the time.

    Those parts hold the time in which no runner ran, `stopped_ms` in all; `mean` is without it. None where nothing
    lasted. What is unknown, and waits where there were none, has no key.
    """
    found = concurrency(timeline)
    if found is None:
        return None
    levels = {"simulations": found.simulations, "model_calls": found.calls, "waiting_to_retry": found.waits}
    return {
        "run": timeline.run,
        "start_ms": found.begin_s * 1000,
        "bin_ms": (found.end_s - found.begin_s) / BINS * 1000,
        "stopped_ms": found.stopped_s * 1000,
        **{name: _numbers(found, level) for name, level in levels.items() if level is not None},
    }


def _numbers(found: Concurrency, level: Level) -> dict[str, Any]:
    begin_s, width_s = found.begin_s, (found.end_s - found.begin_s) / BINS
    held = [0.0] * BINS
    for sooner, later, value in zip(level.at_s, level.at_s[1:], level.mean, strict=False):
        first, last = (min(BINS - 1, max(0, int((at - begin_s) / width_s))) for at in (sooner, later))
        for part in range(first, last + 1):
            low, high = max(sooner, begin_s + part * width_s), min(later, begin_s + (part + 1) * width_s)
            held[part] += max(0.0, high - low) * value
    means = [round(area / width_s, 3) for area in held]
    return {"mean": found.average(level), "peak": level.peak, "mean_over_time": means}
