"""What happened when in some simulations: a row for each participant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tau2_enhanced.analysis.figures.intervals import merged
from tau2_enhanced.analysis.figures.style import (
    FAINT,
    INK,
    WAIT_HATCH,
    darker,
    duration_text,
    event_colour,
    event_patch,
    label,
    new_figure,
    wait_patch,
)
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.timeline import UNFINISHED, Timeline

MOST_SIMULATIONS = 24
PER_PAGE = 4
PARTICIPANTS = {
    "llm_call": "agent",
    "expert_call": "agent",
    "user_sim": "user",
    "tool_call": "tools",
    "evaluator": "judge",
}
_ROWS = ("agent", "user", "tools", "judge")
_MOST_BARS = 1500
_FINEST = 2000
"""Into how many parts a picture's width can be told apart."""


class Bar(NamedTuple):
    """A call, in seconds since the simulation's start; `wait_s` lies before `start_s`."""

    participant: str
    kind: str
    start_s: float
    end_s: float
    wait_s: float
    failed: bool


class Panel(NamedTuple):
    """One simulation."""

    title: str
    calls: int
    seconds: float
    bars: list[Bar]


class TaskGantt(NamedTuple):
    panels: list[Panel]
    simulations: int
    """How many the run has."""
    unknown: list[str]
    """Tasks that were asked for and have no timed calls."""
    more: int
    """Simulations that were asked for beyond the panels."""

    def pages(self) -> Iterator[TaskGantt]:
        for first in range(0, len(self.panels), PER_PAGE):
            yield self._replace(panels=self.panels[first : first + PER_PAGE])


def select(timeline: Timeline, tasks: Sequence[str] | None = None) -> TaskGantt:
    """All simulations of `tasks` (as 12 or retail:12); without them the slowest, a failed and a typical one."""
    with_calls = timeline.simulations.join(timeline.calls.select("simulation").unique(), on="simulation", how="semi")
    if tasks is None:
        chosen, unknown = default_choice(with_calls), list[str]()
    else:
        chosen, unknown = _asked_for(with_calls, tasks)
    shown = chosen.head(MOST_SIMULATIONS)
    panels = [_panel(row, timeline.calls) for row in shown.to_dicts()]
    return TaskGantt(panels, timeline.simulations.height, unknown, chosen.height - shown.height)


def default_choice(simulations: pl.DataFrame) -> pl.DataFrame:
    """The slowest simulation, the slowest other failed one and the other one nearest to the median duration.

    Each row says in `why` for what it was chosen. One with a reward below 1 goes before one without a verdict.
    What never ended has not failed, and is typical only where nothing else is left.
    """
    took = (pl.col("end_ms") - pl.col("start_ms")).alias("took_ms")
    left = simulations.with_columns(took).sort("took_ms", "simulation", descending=[True, False])
    from_median = (pl.col("took_ms") - pl.lit(left["took_ms"].median())).abs()
    outcome = pl.col("outcome")
    chosen = []
    for why, candidates, order in (
        (pl.lit("slowest"), pl.lit(True), []),
        (outcome, ~outcome.is_in(["passed", UNFINISHED]), [outcome != "failed"]),
        (pl.lit("typical"), pl.lit(True), [outcome == UNFINISHED, from_median]),
    ):
        found = left.filter(candidates)
        first = (found.sort(order, maintain_order=True) if order else found).head(1)
        chosen.append(first.with_columns(why.alias("why")))
        left = left.join(first, on="simulation", how="anti", maintain_order="left")
    return pl.concat(chosen).drop("took_ms")


def _asked_for(simulations: pl.DataFrame, tasks: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    with_domain = pl.concat_str("domain", pl.lit(":"), "task")
    found = [simulations.filter((pl.col("task") == task) | (with_domain == task)) for task in tasks]
    unknown = [task for task, rows in zip(tasks, found, strict=True) if not rows.height]
    rows = pl.concat([simulations.clear(), *found]).unique("simulation", maintain_order=True)
    return rows.with_columns(pl.lit("").alias("why")), unknown


def _panel(simulation: dict[str, object], calls: pl.DataFrame) -> Panel:
    begin, end = float(str(simulation["start_ms"])), float(str(simulation["end_ms"]))
    own = calls.filter(pl.col("simulation") == simulation["simulation"]).sort("start_ms", "end_ms")
    shown = own if own.height <= _MOST_BARS else merged_calls(own, (end - begin) / _FINEST)
    in_s = [((pl.col(f"{name}_ms") - begin) / 1000).round(6).alias(f"{name}_s") for name in ("start", "end")]
    participant = pl.col("kind").replace_strict(PARTICIPANTS, default="agent").alias("participant")
    bars = shown.select(participant, "kind", *in_s, (pl.col("wait_ms") / 1000).alias("wait_s"), "failed")
    return Panel(_title(simulation, end - begin), own.height, (end - begin) / 1000, [Bar(*row) for row in bars.rows()])


def merged_calls(calls: pl.DataFrame, gap_ms: float) -> pl.DataFrame:
    """Fewer bars that look the same: those of calls, and those of waits as bars of no length after them."""
    bars = merged(calls, ["kind", "failed"], gap_ms).with_columns(pl.lit(0.0).alias("wait_ms"))
    waited = calls.filter(pl.col("wait_ms") > 0).with_columns(pl.col("start_ms").alias("end_ms"))
    waits = merged(waited.with_columns(pl.col("start_ms") - pl.col("wait_ms")), ["kind", "failed"], gap_ms)
    waits = waits.with_columns(
        (pl.col("end_ms") - pl.col("start_ms")).alias("wait_ms"), pl.col("end_ms").alias("start_ms")
    )
    return pl.concat([bars, waits], how="diagonal")


def _title(simulation: dict[str, object], took_ms: float) -> str:
    reward, why, outcome = simulation["reward"], str(simulation["why"]), str(simulation["outcome"])
    parts = [
        why,
        " ".join(label(str(simulation[name])) for name in ("domain", "task") if simulation[name] is not None),
        "" if simulation["trial"] is None else f"trial {simulation['trial']}",
        f"reward {reward:.3g}" if reward is not None else outcome if outcome != why else "",
        duration_text(took_ms),
    ]
    return " · ".join(part for part in parts if part)


def draw(selected: TaskGantt, source: str) -> Figure:
    """A panel for each simulation, each over its own time."""
    panels = selected.panels
    bars = [bar for panel in panels for bar in panel.bars]
    participants = [row for row in _ROWS if any(bar.participant == row for bar in bars)]
    calls = sum(panel.calls for panel in panels)
    shown = f"{len(panels)} of {counted(selected.simulations, 'simulation')}"
    caption = f"n = {counted(calls, 'call')} of {shown} · blank: no call under way · {source}"
    heights = 0.62 + 0.27 * len(participants)
    figure = new_figure("What happened when", caption, 1.0 + heights * len(panels), _legend(bars))
    drawn = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, panel in zip(drawn, panels, strict=True):
        _draw_panel(axes, panel, participants)
    drawn[-1].set_xlabel("seconds since the simulation's start")
    return figure


def _legend(bars: list[Bar]) -> list[Artist]:
    handles: list[Artist] = [event_patch(kind) for kind in PARTICIPANTS if any(bar.kind == kind for bar in bars)]
    if any(bar.kind not in PARTICIPANTS for bar in bars):
        handles.append(event_patch("other"))
    if any(bar.wait_s for bar in bars):
        handles.append(wait_patch())
    if any(bar.failed for bar in bars):
        handles.append(Line2D([], [], color=INK, marker="x", markersize=5, linestyle="none", label="failed"))
    return handles


def _draw_panel(axes: Axes, panel: Panel, participants: list[str]) -> None:
    for place, participant in enumerate(participants):
        own = [bar for bar in panel.bars if bar.participant == participant]
        waits = [(bar.start_s - bar.wait_s, bar.wait_s) for bar in own if bar.wait_s]
        axes.broken_barh(
            waits, (place - 0.36, 0.72), facecolor="white", edgecolor=FAINT, hatch=WAIT_HATCH, linewidth=0.5
        )
        for kind in sorted({bar.kind for bar in own}):
            spans = [(bar.start_s, bar.end_s - bar.start_s) for bar in own if bar.kind == kind]
            colour = event_colour(kind)
            axes.broken_barh(spans, (place - 0.36, 0.72), facecolor=colour, edgecolor=darker(colour), linewidth=0.6)
        failed = [bar.end_s for bar in own if bar.failed]
        axes.plot(failed, [place] * len(failed), color=INK, marker="x", markersize=5, linestyle="none")
    axes.set_yticks(range(len(participants)), participants)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(participants) - 0.45, -0.55)
    axes.grid(False, axis="y")
    margin = 0.01 * panel.seconds or 0.001
    axes.set_xlim(-margin, panel.seconds + margin)
    axes.set_title(panel.title)
