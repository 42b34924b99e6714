"""Which tools fail, for which causes, and where in a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures.style import FAINT, count_axis, new_figure
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.tool_figures.rows import (
    BAD,
    MOST_ROWS,
    ROW_IN,
    Share,
    beside,
    draw_shares,
    patch,
    rest,
    rows_axis,
    share_of,
)

_MOST_CAUSES = 10
_MOST_PLACES = 15


class Failures(NamedTuple):
    tools: Sequence[tuple[str, Share, int]]
    """Each that failed, with its share of failed calls and their number; the most failures first."""
    causes: Sequence[tuple[str, int]]
    """Messages that differ in values alone, and how often each came."""
    places: Sequence[tuple[str, Share]]
    """The first, second, … call of a simulation, and the share that failed."""
    errors: int
    calls: int
    recovered: Share | None
    more: str


def select(analysis: Mapping[str, Any]) -> Failures | None:
    """What failed; None where nothing did."""
    errors = analysis["errors"]
    if not errors["total_errors"]:
        return None
    tools = sorted(errors["by_tool"], key=lambda row: -row["errors"])
    rated = ((row["tool"], share_of(row["error_rate"]), row["errors"]) for row in tools)
    known = [(tool, share, count) for tool, share, count in rated if share is not None]
    places = [
        (f"call {row['position'] + 1}", share_of(row["error_rate"])) for row in analysis["temporal"]["by_position"]
    ]
    causes = errors["causes"]
    hidden = len(causes) - _MOST_CAUSES
    return Failures(
        tools=known[:MOST_ROWS],
        causes=[(row["cause"], row["count"]) for row in causes[:_MOST_CAUSES]],
        places=[(name, share) for name, share in places if share is not None],
        errors=errors["total_errors"],
        calls=errors["error_rate"]["n"],
        recovered=share_of(errors["recovery"]["recovered"]),
        more=rest(len(known)) + (f" · {hidden:,} more causes are left out" if hidden > 0 else ""),
    )


def draw(selected: Failures, source: str) -> Figure:
    """Rates with intervals by tool and by place, and the causes by their number."""
    heights = [0.5 + ROW_IN * len(part) for part in (selected.tools, selected.causes, selected.places)]
    recovered = ""
    if selected.recovered:
        share = selected.recovered
        recovered = f" · {100 * share.value:.0f} % of them were followed by a success of the same tool"
    n = f"n = {counted(selected.errors, 'failed call')} of {selected.calls:,}"
    caption = f"{n}{recovered} · lines: Wilson's 95 % intervals{selected.more} · {source}"
    figure = new_figure("What fails", caption, 0.95 + sum(heights), (patch(BAD, "failed"),))
    tools, causes, places = figure.subplots(3, 1, gridspec_kw={"height_ratios": heights})
    draw_shares(tools, [share for _, share, _ in selected.tools], BAD)
    rows_axis(tools, [f"{tool} ({count:,} of {share.n:,})" for tool, share, count in selected.tools], length=46)
    tools.set_title("Share of a tool's calls that fail")
    counts = [count for _, count in selected.causes]
    causes.barh(range(len(counts)), counts, 0.68, color=BAD, edgecolor=FAINT, linewidth=0.4)
    for place, count in enumerate(counts):
        beside(causes, count, place, f"{count:,}")
    causes.set_xlim(0, 1.1 * max(counts, default=1))
    count_axis(causes.xaxis)
    rows_axis(causes, [cause for cause, _ in selected.causes], length=46)
    causes.set_title("Causes; messages that differ in values alone are one")
    causes.set_xlabel("failed calls")
    draw_shares(places, [share for _, share in selected.places], BAD)
    rows_axis(places, [f"{name} (n = {share.n:,})" for name, share in selected.places])
    places.set_title("Share of calls that fail, by their place in a simulation")
    return figure
