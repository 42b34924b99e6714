"""Which tools change the databases, and what they change there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from tau2_enhanced.analysis.colours import OTHER_COLOUR
from tau2_enhanced.analysis.figures.style import count_axis, new_figure
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.tool_figures.rows import (
    CHANGE,
    MOST_ROWS,
    ROW_IN,
    beside,
    draw_stacks,
    patch,
    rest,
    rows_axis,
)

_UNCHANGED = "#CCCCCC"
_MOST_PLACES = 12


class StateChanges(NamedTuple):
    tools: Sequence[tuple[str, int, int]]
    """Each that changed something, its calls that did, and those that did not."""
    places: Sequence[tuple[str, int]]
    """Collections of the database, and how many values changed in each."""
    changes: int
    without_diff: int
    states: int
    more: str


def select(analysis: Mapping[str, Any]) -> StateChanges | None:
    """What was changed; None where nothing was, or nobody knows."""
    found = analysis["state_changes"]
    changing = [row for row in found["by_tool"] if row["changing_calls"]]
    if not changing:
        return None
    return StateChanges(
        tools=[
            (row["tool"], row["changing_calls"], row["calls"] - row["changing_calls"]) for row in changing[:MOST_ROWS]
        ],
        places=list(found["places"].items())[:_MOST_PLACES],
        changes=found["state_changes"],
        without_diff=found["changes_without_diff"],
        states=found["distinct_states"],
        more=rest(len(changing)),
    )


def draw(selected: StateChanges, source: str) -> Figure:
    """Calls by tool, and the places of the database by what changed in them."""
    heights = [0.55 + ROW_IN * len(part) for part in (selected.tools, selected.places) if part]
    without = f", {selected.without_diff:,} of them without a diff" if selected.without_diff else ""
    n = f"n = {counted(selected.changes, 'state change')}{without} · {counted(selected.states, 'distinct state')}"
    legend = [patch(CHANGE, "changed a database")]
    if any(unchanged for _, _, unchanged in selected.tools):
        legend.append(patch(_UNCHANGED, "changed nothing"))
    figure = new_figure("What changes the databases", f"{n}{selected.more} · {source}", 0.95 + sum(heights), legend)
    panels = figure.subplots(len(heights), 1, gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
    changed, unchanged = [row[1] for row in selected.tools], [row[2] for row in selected.tools]
    draw_stacks(panels[0], changed, unchanged, (CHANGE, _UNCHANGED))
    rows_axis(panels[0], [tool for tool, _, _ in selected.tools])
    panels[0].set_title("Calls of tools that changed something at least once")
    panels[0].set_xlabel("calls")
    if selected.places:
        counts = [count for _, count in selected.places]
        panels[1].barh(range(len(counts)), counts, 0.68, color=CHANGE, edgecolor=OTHER_COLOUR, linewidth=0.4)
        for place, count in enumerate(counts):
            beside(panels[1], count, place, f"{count:,}")
        panels[1].set_xlim(0, 1.1 * max(counts))
        count_axis(panels[1].xaxis)
        rows_axis(panels[1], [name for name, _ in selected.places])
        panels[1].set_title("Values that changed, by their place in the database")
        panels[1].set_xlabel("values added, removed or replaced")
    return figure
