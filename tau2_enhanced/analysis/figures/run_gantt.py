"""Which simulation ran when on which worker, and where workers were idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tau2_enhanced.analysis.colours import OUTCOME_COLOURS
from tau2_enhanced.analysis.figures.intervals import merged
from tau2_enhanced.analysis.figures.style import FAINT, INK, TRACK, WAIT_HATCH, label, new_figure
from tau2_enhanced.analysis.natural_order import natural
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.stops import Stop
from tau2_enhanced.analysis.timeline import OUTCOMES, UNFINISHED, Timeline

_HATCHES = {"no verdict": WAIT_HATCH, UNFINISHED: "...."}
_MOST_BARS = 4000
_FINEST = 3000
"""Into how many parts a picture's width can be told apart."""
_MOST_HATCHED_BARS = 1500
_NAMED_IN = 6.3
"""How wide the bars' part of the picture is at least, in inches."""
_LETTER_IN = 0.062
_LEAST_SHORTENED = 12
"""Letters of a name that had to be shortened; fewer say nothing."""
_MOST_NAMED_ROWS = 40


class Bar(NamedTuple):
    """A simulation, or several too short to be told apart (then without a task), in seconds since the run's start."""

    thread: str
    outcome: str
    """As a timeline has it."""
    start_s: float
    end_s: float
    domain: str | None
    task: str | None


class RunGantt(NamedTuple):
    threads: list[str]
    """In the order of their numbers."""
    bars: list[Bar]
    counts: dict[str, int]
    """Simulations by outcome."""
    without_thread: int
    """Simulations whose worker is unknown; they have no bar."""
    stops: Sequence[Stop] = ()
    """When no runner ran."""


def select(timeline: Timeline) -> RunGantt | None:
    """A bar for each simulation; None where no worker is known."""
    known = timeline.simulations.filter(pl.col("thread").is_not_null())
    if not known.height:
        return None
    counts = dict(known.group_by("outcome").len().iter_rows())
    threads = sorted(known["thread"].unique().to_list(), key=natural)
    if known.height > _MOST_BARS:
        span_ms = known.select(pl.col("end_ms").max() - pl.col("start_ms").min()).item()
        known = merged(known, ["thread", "outcome"], span_ms / _FINEST).with_columns(
            pl.lit(None).alias("domain"), pl.lit(None).alias("task")
        )
    in_s = [(pl.col(f"{name}_ms") / 1000).alias(f"{name}_s") for name in ("start", "end")]
    bars = [Bar(*row) for row in known.select("thread", "outcome", *in_s, "domain", "task").rows()]
    ordered = {outcome: counts[outcome] for outcome in OUTCOMES if outcome in counts}
    return RunGantt(threads, bars, ordered, timeline.simulations.height - sum(counts.values()), timeline.stops)


def draw(selected: RunGantt, source: str) -> Figure:
    """A row for each worker; the grey track shows through where it had nothing to do, and ends where no runner ran."""
    threads, bars = selected.threads, selected.bars
    without = f", {selected.without_thread:,} without a worker left out" if selected.without_thread else ""
    short = _short_names({bar.domain for bar in bars if bar.domain is not None})
    domains = ", ".join(f"{label(domain)} ({label(letters)})" for domain, letters in short.items())
    of_domains = f" of {domains}" if domains else ""
    named = f" · in bars: tasks{of_domains}" if len(threads) <= _MOST_NAMED_ROWS else ""
    stopped = ", a gap: no runner ran" if selected.stops else ""
    caption = (
        f"n = {counted(sum(selected.counts.values()), 'simulation')}{without} on {counted(len(threads), 'worker')}"
        f" · grey: idle{stopped}{named} · {source}"
    )
    height_in = 1.35 + min(0.24 * max(len(threads), 3), 8.0)
    legend = [_patch(outcome, count, len(bars)) for outcome, count in selected.counts.items()]
    figure = new_figure("The whole run", caption, height_in, legend)
    axes = figure.subplots()
    first, last = min(bar.start_s for bar in bars), max(bar.end_s for bar in bars)
    if first <= last / 3:
        first = 0.0
    span = last - first or 0.001
    places = {thread: place for place, thread in enumerate(threads)}
    stops = [min(max(first, ms / 1000), first + span) for stop in selected.stops for ms in stop]
    edges = [first, *stops, first + span]
    ran = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
    tracks = [_rectangle(start, end, place) for place in places.values() for start, end in ran]
    axes.add_collection(PolyCollection(tracks, facecolor=TRACK, linewidth=0))
    for outcome in selected.counts:
        own = [_rectangle(bar.start_s, bar.end_s, places[bar.thread]) for bar in bars if bar.outcome == outcome]
        outline = 0.5 if len(threads) <= _MOST_NAMED_ROWS else 0.2
        colour, hatch = OUTCOME_COLOURS[outcome], _hatch(outcome, len(bars))
        axes.add_collection(PolyCollection(own, facecolor=colour, edgecolor=FAINT, linewidth=outline, hatch=hatch))
    _name_bars(axes, bars, places, span, short)
    every = -(-len(threads) // _MOST_NAMED_ROWS)
    axes.set_yticks(range(0, len(threads), every), [label(thread, 24) for thread in threads[::every]])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(threads) - 0.45, -0.55)
    axes.set_xlim(first - 0.005 * span, last + 0.005 * span)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("seconds since the run's start")
    return figure


def _rectangle(start: float, end: float, place: int) -> list[tuple[float, float]]:
    low, high = place - 0.38, place + 0.38
    return [(start, low), (end, low), (end, high), (start, high)]


def _short_names(domains: set[str]) -> dict[str, str]:
    """The first letters of each domain, as many as tell them apart; none where there are not several."""
    if len(domains) < 2:
        return {}
    known = sorted(domains)
    letters = next(n for n in range(1, 1 + max(map(len, known))) if len({name[:n] for name in known}) == len(known))
    return {domain: domain[:letters] for domain in known}


def _name_bars(axes: Axes, bars: list[Bar], places: dict[str, int], span: float, short: Mapping[str, str]) -> None:
    """Write the task into each bar that is wide enough for it, where there are several domains with its domain."""
    if len(places) > _MOST_NAMED_ROWS:
        return
    for bar in bars:
        letters = int((bar.end_s - bar.start_s) / span * _NAMED_IN / _LETTER_IN) - 1
        name = _name(bar, short, letters)
        if name is not None:
            middle = (bar.start_s + bar.end_s) / 2
            shade = "white" if bar.outcome == "failed" else INK
            box = {"boxstyle": "square,pad=0.1", "facecolor": OUTCOME_COLOURS[bar.outcome], "edgecolor": "none"}
            axes.text(
                middle, places[bar.thread], name, ha="center", va="center_baseline", size=7, color=shade,
                bbox=box if bar.outcome in _HATCHES else None,
            )  # fmt: skip


def _name(bar: Bar, short: Mapping[str, str], most: int) -> str | None:
    """What a bar is called in this many letters."""
    if bar.task is None:
        return None
    letters = short.get(bar.domain or "")
    names = [bar.task] if letters is None else [f"{bar.domain} {bar.task}", f"{letters} {bar.task}"]
    whole = next((name for name in names if len(name) <= most), None)
    return label(whole or names[-1], most) if whole or most >= _LEAST_SHORTENED else None


def _patch(outcome: str, count: int, bars: int) -> Patch:
    colour, hatch = OUTCOME_COLOURS[outcome], _hatch(outcome, bars)
    return Patch(facecolor=colour, edgecolor=FAINT, linewidth=0.5, hatch=hatch, label=f"{outcome} {count:,}")


def _hatch(outcome: str, bars: int) -> str | None:
    return _HATCHES.get(outcome) if bars <= _MOST_HATCHED_BARS else None
