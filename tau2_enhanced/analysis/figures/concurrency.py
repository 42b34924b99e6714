"""How many simulations ran and how many model calls were under way at each moment, and how the servers fared."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tau2_enhanced.analysis.concurrency import Concurrency, Level
from tau2_enhanced.analysis.figures import servers
from tau2_enhanced.analysis.figures.style import FAINT, count_axis, duration_text, event_colour, new_figure
from tau2_enhanced.analysis.number_texts import counted

_PANELS = (
    ("simulations running", "#444444"),
    ("model calls under way", event_colour("llm_call")),
    ("model calls waiting to retry", FAINT),
)


def draw(selected: Concurrency, source: str, load: servers.ServerLoad | None = None) -> Figure:
    """Simulations, model calls under way and those that wait, one above the other over the same time.

    Below them what the servers said of themselves, where `load` has it.
    """
    levels = (selected.simulations, selected.calls, selected.waits)
    parts = [
        (level, f"{name}: {_rounded(selected.average(level))} on average, {level.peak:,} at most", colour)
        for level, (name, colour) in zip(levels, _PANELS, strict=True)
        if level
    ]
    bins = [level.bin_s for level, _, _ in parts if level.bin_s]
    thinned = f" · line: mean of each {duration_text(max(bins) * 1000)}; band: lowest to highest" if bins else ""
    stopped_s = selected.stopped_s
    without = f" · averages without {duration_text(stopped_s * 1000)} in which no runner ran" if stopped_s else ""
    n = ", ".join(
        counted(level.n, noun) for level, noun in zip(levels[:2], ("simulation", "model call"), strict=True) if level
    )
    load = load or servers.ServerLoad({}, [])
    rows = len(parts) + len(load.panels)
    figure = new_figure("What ran at once", f"n = {n}{thinned}{without} · {source}", 1.1 + 1.75 * rows)
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for axes, (level, title, colour) in zip(panels, parts, strict=False):
        _draw_level(axes, level, colour)
        axes.set_title(title)
    for axes, panel in zip(panels[len(parts) :], load.panels, strict=True):
        servers.draw_panel(axes, panel, load, names=panel is load.panels[0])
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
