"""The calls of tools at a glance: how many, how sure they succeed, how long they take, and when they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from tau2_enhanced.analysis.figures.style import count_axis, duration_axis, duration_text, new_figure
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.tool_figures.rows import (
    BAD,
    GOOD,
    MOST_ROWS,
    ROW_IN,
    Share,
    draw_shares,
    draw_stacks,
    patch,
    rest,
    rows_axis,
    share_of,
)


class Bin(NamedTuple):
    """Some calls between two values."""

    low: float
    high: float
    calls: int
    errors: int = 0


class Dashboard(NamedTuple):
    tools: Sequence[str]
    """The most used first."""
    calls: Sequence[int]
    errors: Sequence[int]
    success: Sequence[Share | None]
    durations_ms: Sequence[Bin]
    over_time_s: Sequence[Bin]
    """Seconds since the first call."""
    headline: str
    more_tools: str


def select(analysis: Mapping[str, Any]) -> Dashboard | None:
    """What the dashboard shows; None without calls."""
    stats = analysis["basic_stats"]
    if not stats["total_tool_calls"]:
        return None
    usage = analysis["distributions"]["tool_usage"]
    shown = usage[:MOST_ROWS]
    errors = {row["tool"]: row["errors"] for row in analysis["errors"]["by_tool"]}
    success = {row["tool"]: share_of(row["success_rate"]) for row in analysis["confidence_intervals"]["by_tool"]}
    return Dashboard(
        tools=[row["tool"] for row in shown],
        calls=[row["count"] for row in shown],
        errors=[errors.get(row["tool"], 0) for row in shown],
        success=[success.get(row["tool"]) for row in shown],
        durations_ms=[
            Bin(part["low_ms"], part["high_ms"], part["count"])
            for part in analysis["distributions"]["execution_time"]["histogram"]
        ],
        over_time_s=_over_time(analysis["temporal"]["timeline"]),
        headline=_headline(stats, analysis["confidence_intervals"]["success_rate"]),
        more_tools=rest(len(usage)),
    )


def _over_time(timeline: Sequence[Mapping[str, Any]]) -> list[Bin]:
    if not timeline:
        return []
    starts = [datetime.fromisoformat(part["start"]) for part in timeline]
    since = [(start - starts[0]).total_seconds() for start in starts]
    bins = [
        Bin(begin, begin + part["length_s"], part["calls"], part["errors"])
        for begin, part in zip(since, timeline, strict=True)
    ]
    return [part for part in bins if part.high > part.low]


def _headline(stats: Mapping[str, Any], success: Mapping[str, Any]) -> str:
    parts = [counted(stats["total_tool_calls"], "call"), f"in {counted(stats['simulations'], 'simulation')}"]
    if share := share_of(success):
        parts.append(f"· {100 * share.value:.1f} % succeed (95 %: {100 * share.low:.1f} – {100 * share.high:.1f})")
    median = stats["execution_time"]["p50_ms"]
    if median is not None:
        parts.append(f"· median {duration_text(median)}")
    if stats["state_changing_calls"]:
        parts.append(f"· {stats['state_changing_calls']:,} changed a database")
    return " ".join(parts)


def draw(selected: Dashboard, source: str) -> Figure:
    """Four panels under one headline."""
    upper = 0.55 + ROW_IN * len(selected.tools)
    caption = f"{selected.headline} · lines: Wilson's 95 % intervals{selected.more_tools} · {source}"
    legend = (patch(GOOD, "succeeded"), patch(BAD, "failed"))
    figure = new_figure("Tool calls at a glance", caption, 0.9 + upper + 2.3, legend)
    panels = figure.subplots(2, 2, gridspec_kw={"height_ratios": [upper, 2.0], "width_ratios": [1.15, 1.0]})
    calls, success = panels[0]
    draw_stacks(
        calls, [n - e for n, e in zip(selected.calls, selected.errors, strict=True)], selected.errors, (GOOD, BAD)
    )
    rows_axis(calls, selected.tools)
    calls.set_title("Calls by tool")
    draw_shares(success, selected.success, GOOD)
    rows_axis(success, selected.tools, labelled=False)
    success.set_title("Calls that succeed")
    _draw_durations(panels[1][0], selected.durations_ms)
    _draw_over_time(panels[1][1], selected.over_time_s)
    return figure


def _draw_durations(axes: Axes, bins: Sequence[Bin]) -> None:
    axes.set_title("How long a call takes")
    if not bins:
        _nothing(axes, "no call was timed")
        return
    log = bins[0].low > 0 and bins[-1].high > bins[0].low
    for part in bins:
        axes.bar(part.low, part.calls, part.high - part.low, align="edge", color=GOOD, edgecolor="white", linewidth=0.5)
    duration_axis(axes, log=log)
    if log and bins[-1].high < 100 * bins[0].low:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    count_axis(axes.yaxis)
    axes.set_xlabel("duration" + (" (logarithmic)" if log else ""))
    axes.set_ylabel("calls")


def _draw_over_time(axes: Axes, bins: Sequence[Bin]) -> None:
    axes.set_title("When calls were made")
    if not bins:
        _nothing(axes, "no two calls have different times")
        return
    at, widths = [part.low for part in bins], [part.high - part.low for part in bins]
    good, bad = [part.calls - part.errors for part in bins], [part.errors for part in bins]
    axes.bar(at, good, widths, align="edge", color=GOOD, edgecolor="white", linewidth=0.5)
    axes.bar(at, bad, widths, align="edge", bottom=good, color=BAD, edgecolor="white", linewidth=0.5)
    count_axis(axes.yaxis)
    axes.set_xlabel(f"seconds since the first call, {duration_text(1000 * widths[0])} each")
    axes.margins(x=0.01)


def _nothing(axes: Axes, why: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)
