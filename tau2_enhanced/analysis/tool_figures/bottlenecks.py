"""Where the tools' time goes: by tool, and the slowest single calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tau2_enhanced.analysis.figures.style import DurationTicks, darker, duration_text, new_figure
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.tool_figures.rows import BAD, GOOD, MOST_ROWS, ROW_IN, beside, patch, rest, rows_axis


class Bottlenecks(NamedTuple):
    tools: Sequence[tuple[str, float, float, float, int]]
    """Each tool, its time in ms, its share, the share of it and those before it, and its calls."""
    slowest: Sequence[tuple[str, float, float | None, bool]]
    """The slowest calls: which, in ms, how many times the tool's median, and whether it failed."""
    total_ms: float
    calls: int
    more: str


def select(analysis: Mapping[str, Any]) -> Bottlenecks | None:
    """What takes the time; None where no call was timed."""
    found = analysis["bottlenecks"]
    tools = found["by_total_time"]
    if not tools:
        return None
    return Bottlenecks(
        tools=[
            (row["tool"], row["total_ms"], row["share"] or 0.0, row["cumulative_share"] or 0.0, row["calls"])
            for row in tools[:MOST_ROWS]
        ],
        slowest=[
            (_which(row), row["duration_ms"], row["times_median"], row["success"] is False)
            for row in found["slowest_operations"]
        ],
        total_ms=found["total_ms"],
        calls=sum(row["calls"] for row in tools),
        more=rest(len(tools)),
    )


def _which(call: Mapping[str, Any]) -> str:
    if call["task"] is None:
        return str(call["tool"])
    task = " ".join(str(call[name]) for name in ("domain", "task") if call[name] is not None)
    trial = "" if call["trial"] is None else f" #{call['trial']}"
    return f"{call['tool']} · {task}{trial}"


def draw(selected: Bottlenecks, source: str) -> Figure:
    """Bars by tool with the shares they add up to, and bars of the slowest calls."""
    heights = [0.6 + ROW_IN * len(selected.tools), 0.6 + ROW_IN * len(selected.slowest)]
    n = f"n = {counted(selected.calls, 'timed call')}, {duration_text(selected.total_ms)} together"
    caption = f"{n} · Σ: share of a tool and those above it{selected.more} · {source}"
    failed = any(row[3] for row in selected.slowest)
    legend = (patch(GOOD, "succeeded, or all calls of a tool"), patch(BAD, "failed")) if failed else ()
    figure = new_figure("Where the tools' time goes", caption, 0.95 + sum(heights), legend)
    tools, slowest = figure.subplots(2, 1, gridspec_kw={"height_ratios": heights})
    _draw_bars(tools, [row[1] for row in selected.tools], [GOOD] * len(selected.tools))
    for place, (_, total_ms, share, cumulative, _) in enumerate(selected.tools):
        text = f"{duration_text(total_ms)} · {100 * share:.1f} % · Σ {100 * cumulative:.0f} %"
        beside(tools, total_ms, place, text)
    rows_axis(tools, [f"{tool} ({counted(calls, 'call')})" for tool, *_, calls in selected.tools], length=46)
    tools.set_xlim(0, 1.5 * max(row[1] for row in selected.tools) or 1)
    tools.set_title("Time of all calls of a tool")
    _draw_bars(slowest, [row[1] for row in selected.slowest], [BAD if row[3] else GOOD for row in selected.slowest])
    for place, (_, took_ms, times, _) in enumerate(selected.slowest):
        compared = f" · {times:.3g} × the tool's median" if times is not None else ""
        beside(slowest, took_ms, place, f"{duration_text(took_ms)}{compared}")
    rows_axis(slowest, [row[0] for row in selected.slowest], length=46)
    slowest.set_xlim(0, 1.65 * max((row[1] for row in selected.slowest), default=1) or 1)
    slowest.set_title("The slowest calls")
    return figure


def _draw_bars(axes: Any, values: Sequence[float], colours: Sequence[str]) -> None:
    axes.barh(
        range(len(values)), values, 0.68, color=colours, edgecolor=[darker(colour) for colour in colours], linewidth=0.6
    )
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(DurationTicks())
