"""One simulation from top to bottom: what was said, called and changed side by side, beside a strip of time."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tau2_enhanced.analysis.figures.style import (
    FAINT,
    INK,
    TRACK,
    darker,
    duration_text,
    event_colour,
    event_patch,
    label,
    new_figure,
)
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.pass_k import is_success
from tau2_enhanced.analysis.tool_figures.rows import BAD, CHANGE
from tau2_enhanced.analysis.trajectory.trajectory import ToolUse, Trajectory, Turn
from tau2_enhanced.analysis.trajectory.verdict import call_text

MOST_ROWS = 80
_ROW_IN = 0.29
_STRIP = (6.0, 8.6)
_COLUMNS = {"conversation": 40.0, "tool calls": 31.0, "state changes": 20.0}
"""What stands side by side, and how wide in parts of a hundred; an empty column leaves its place to the others."""
_FIRST = 11.5
_CHARACTERS_PER_PART = 1.33
_KINDS = {"agent": "llm_call", "user": "user_sim"}


class Row(NamedTuple):
    """Something that was said or called."""

    at_s: float
    """When it was complete, since the simulation's start."""
    began_s: float
    who: str
    """agent, user, tool or other."""
    text: str
    """With a line end where it may best be broken."""
    failed: bool = False
    change: str | None = None
    """What it changed in a database."""


class SimulationTimeline(NamedTuple):
    title: str
    rows: Sequence[Row]
    seconds: float
    more: int
    """Rows that are left out at the end."""


def select(found: Trajectory) -> SimulationTimeline | None:
    """A simulation's rows; None where no time is known."""
    rows = list(_rows(found.turns))
    if not rows:
        return None
    listed = found.listed
    reward = listed.reward
    verdict = "no verdict" if reward is None else f"{'passed' if is_success(reward) else 'failed'}, reward {reward:g}"
    task = f"{label(listed.domain)} {label(listed.task, 44)} · trial {listed.trial}"
    kept = rows[:MOST_ROWS]
    return SimulationTimeline(
        title=f"{task} · {verdict} · {duration_text(1000 * listed.duration_s)}",
        rows=kept,
        seconds=max(row.at_s for row in kept),
        more=len(rows) - len(kept),
    )


def select_calls(calls: pl.DataFrame, changes: pl.DataFrame) -> SimulationTimeline | None:
    """The same of a simulation whose conversation is not known: the frames of its calls and state changes alone.

    None where no time is known.
    """
    ended = calls.drop_nulls("timestamp")
    if not ended.height:
        return None
    # a call may change the agent's database and the user's
    summaries = pl.col("change_summary").str.join("; ")
    told = dict(changes.drop_nulls("tool_call_id").group_by("tool_call_id").agg(summaries).iter_rows())
    took_ms = ended["duration_ms"].fill_null(0.0).to_list()
    ends: list[datetime] = ended["timestamp"].to_list()
    first = min(end - timedelta(milliseconds=ms) for end, ms in zip(ends, took_ms, strict=True))
    rows = []
    for call, end, ms in zip(ended.iter_rows(named=True), ends, took_ms, strict=True):
        at_s = (end - first).total_seconds()
        text = f"{call['tool_name'] or '?'}(\n{', '.join(_given(call['tool_args']))})"
        change = told.get(call["tool_call_id"]) or ("the database changed" if call["state_changed"] else None)
        rows.append(Row(at_s, at_s - ms / 1000, "tool", text, call["success"] is False, change))
    kept = rows[:MOST_ROWS]
    name = label(str(ended["simulation"][0]), 60)
    return SimulationTimeline(f"Simulation {name}", kept, max(row.at_s for row in kept), len(rows) - len(kept))


def _given(arguments: str | None) -> list[str]:
    """The arguments of a call, of which the event has JSON."""
    with suppress(ValueError):
        given = json.loads(arguments or "{}")
        if isinstance(given, dict):
            return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
    return ["…"]


def _rows(turns: Sequence[Turn]) -> Iterator[Row]:
    for turn in turns:
        if turn.at_s is None:
            continue
        began = max(0.0, turn.at_s - (turn.model_ms or 0.0) / 1000)
        if turn.content or not turn.tools:
            yield Row(turn.at_s, began, turn.role, " ".join((turn.content or "").split()))
            began = turn.at_s
        at = turn.at_s
        for place, use in enumerate(turn.tools):
            if place == 0 and began < at:
                # the model's time, of which nothing but the call came
                yield Row(at, began, turn.role, "")
            ended = at + (use.duration_ms or 0.0) / 1000
            by = "" if turn.role == "agent" else f"{turn.role}: "
            call = call_text(use.name, use.arguments).replace("(", "(\n", 1)
            yield Row(ended, at, "tool", by + call, use.error, _change(use))
            at = ended


def _change(use: ToolUse) -> str | None:
    told = [change.change_summary or "the database changed" for change in use.changes]
    if told:
        return "; ".join(told)
    return "the database changed" if getattr(use.event, "state_changed", None) else None


def draw(selected: SimulationTimeline, source: str) -> Figure:
    """Rows in their order, each joined to its place on a strip of time that is to scale."""
    rows = [row for row in selected.rows if row.text]
    more = f" · {counted(selected.more, 'row')} more are left out" if selected.more else ""
    coloured = ", coloured while a model answered" if any(row.who in _KINDS for row in rows) else ""
    caption = (
        f"The strip of time is to scale ({duration_text(1000 * selected.seconds)}){coloured}; "
        f"a line leads from each moment to what came of it{more} · {source}"
    )
    legend = [event_patch(kind, who) for who, kind in _KINDS.items() if any(row.who == who for row in rows)]
    for colour, shape, name, held in (
        (event_colour("tool_call"), "o", "tool call", any(row.who == "tool" for row in rows)),
        (BAD, "X", "failed", any(row.failed for row in rows)),
        (CHANGE, "s", "state change", any(row.change for row in rows)),
    ):
        if held:
            legend.append(Line2D([], [], color=colour, marker=shape, markersize=6, linestyle="none", label=name))  # type: ignore[arg-type]  # both are artists
    height = 1.25 + _ROW_IN * len(rows)
    figure = new_figure(selected.title, caption, height, legend)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(0, 100)
    axes.set_ylim(len(rows) - 0.4, -1.3)
    _draw_strip(axes, selected, len(rows))
    _draw_rows(axes, rows, selected.seconds)
    return figure


def _draw_strip(axes: Axes, selected: SimulationTimeline, height: int) -> None:
    left, right = _STRIP
    axes.fill_betweenx((-0.5, height - 0.5), left, right, color=TRACK, linewidth=0)
    for row in selected.rows:
        if row.who in _KINDS and row.at_s > row.began_s:
            ends = [_down(moment, selected.seconds, height) for moment in (row.began_s, row.at_s)]
            axes.fill_betweenx(ends, left, right, color=event_colour(_KINDS[row.who]), linewidth=0)
    ticks = MaxNLocator(max(3, min(10, height // 4))).tick_values(0, selected.seconds or 1.0)
    for tick in ticks:
        if 0 <= tick <= selected.seconds:
            place = _down(float(tick), selected.seconds, height)
            axes.plot((left - 0.7, left), (place, place), color=FAINT, linewidth=0.7)
            axes.text(left - 1, place, f"{tick:g} s", ha="right", va="center", size=7.5, color=FAINT)


def _down(at_s: float, seconds: float, height: int) -> float:
    return -0.5 + height * (at_s / seconds if seconds else 0.0)


def _draw_rows(axes: Axes, rows: Sequence[Row], seconds: float) -> None:
    columns = _columns(rows)
    for name, (left, _) in columns.items():
        axes.text(left, -1.0, name, size=8.5, color=FAINT, va="center")
    for place, row in enumerate(rows):
        name = "tool calls" if row.who == "tool" else "conversation"
        left, width = columns[name]
        start = (_STRIP[1] + 0.2, _down(row.at_s, seconds, len(rows)))
        axes.plot((start[0], _FIRST - 1.0), (start[1], place), color="#BBBBBB", linewidth=0.6)
        if left > _FIRST:
            axes.plot((_FIRST - 1.0, left - 0.8), (place, place), color="#DDDDDD", linewidth=0.6, zorder=0)
        _mark(axes, row, left, place)
        _write(axes, row.text, left + 1.2, place, width - 1.6)
        if row.change:
            left, width = columns["state changes"]
            axes.plot(left, place, "s", color=CHANGE, markeredgecolor=darker(CHANGE), markersize=5.5)
            _write(axes, row.change, left + 1.2, place, width - 1.6)


def _columns(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """Where each column begins, and how wide it is."""
    held = {
        "conversation": any(row.who != "tool" for row in rows),
        "tool calls": any(row.who == "tool" for row in rows),
        "state changes": any(row.change for row in rows),
    }
    wide = {name: width for name, width in _COLUMNS.items() if held[name]}
    scale = (100 - _FIRST) / sum(wide.values())
    made = {}
    left = _FIRST
    for name, width in wide.items():
        made[name] = (left, width * scale)
        left += width * scale
    return made


def _mark(axes: Axes, row: Row, left: float, place: int) -> None:
    if row.who == "tool":
        colour, shape = (BAD, "X") if row.failed else (event_colour("tool_call"), "o")
        axes.plot(left, place, shape, color=colour, markeredgecolor=darker(colour), markersize=6)
    else:
        colour = event_colour(_KINDS.get(row.who, ""))
        axes.fill_betweenx((place - 0.38, place + 0.38), left - 0.3, left + 0.3, color=colour, linewidth=0)


def _write(axes: Axes, text: str, left: float, place: int, width: float) -> None:
    """Two lines at most."""
    most = int(width * _CHARACTERS_PER_PART)
    whole = text.replace("\n", "")
    parts = [whole] if len(whole) <= most or "\n" not in text else text.split("\n", 1)
    lines = [line for part in parts for line in _wrapped(label(part, 400), most, 3 - len(parts))]
    axes.text(left, place, "\n".join(lines), size=7, color=INK, va="center", linespacing=1.15)


def _wrapped(text: str, most: int, lines: int) -> list[str]:
    if lines == 1 and len(text) > most:
        return [f"{text[: most - 2]} …"]
    return textwrap.wrap(text, most, max_lines=lines, placeholder=" …", break_on_hyphens=False)
