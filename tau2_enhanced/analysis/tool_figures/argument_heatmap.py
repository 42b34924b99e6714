"""Which arguments calls give: a row for each tool, a column for each argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures.style import FAINT, label, new_figure
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.tool_figures.rows import MOST_ROWS, SHADES, patch, rest

_MOST_ARGUMENTS = 24
_CELL_IN = 0.27


class ArgumentHeatmap(NamedTuple):
    tools: Sequence[str]
    """The most used first; those that never had an argument are left out."""
    arguments: Sequence[str]
    """Those of most tools first."""
    rates: Mapping[tuple[str, str], float]
    """The share of a tool's calls that gave an argument."""
    complexity: Mapping[str, float]
    """The mean complexity score of a tool's arguments, from 0 to 1."""
    calls: Mapping[str, int]
    n: int
    more: str


def select(analysis: Mapping[str, Any]) -> ArgumentHeatmap | None:
    """What calls were given; None where no call's arguments are known."""
    found = analysis["arguments"]
    names = found["names"]
    if not names:
        return None
    calls = {row["tool"]: row["count"] for row in analysis["distributions"]["tool_usage"]}
    with_any = {row["tool"] for row in names}
    tools = [tool for tool in calls if tool in with_any]
    given: Counter[str] = Counter()
    for row in names:
        given[row["argument"]] += 10_000_000 + row["count"]
    arguments = [name for name, _ in sorted(given.items(), key=lambda pair: (-pair[1], pair[0]))]
    hidden = len(arguments) - _MOST_ARGUMENTS
    return ArgumentHeatmap(
        tools=tools[:MOST_ROWS],
        arguments=arguments[:_MOST_ARGUMENTS],
        rates={(row["tool"], row["argument"]): row["rate"] for row in names},
        complexity={row["tool"]: row["mean"] for row in found["complexity_by_tool"]},
        calls=calls,
        n=found["calls_with_arguments"],
        more=rest(len(tools)) + (f" · {hidden:,} more arguments are left out" if hidden > 0 else ""),
    )


def draw(selected: ArgumentHeatmap, source: str) -> Figure:
    """Cells as dark as the share of calls; beside the rows how many calls, and how complex their arguments are."""
    caption = (
        f"n = {counted(selected.n, 'call')} whose arguments are known · colour: the share of a tool's calls that gave "
        f"the argument · complexity: mean score of a tool's arguments, from 0 to 1{selected.more} · {source}"
    )
    height = 1.3 + 1.3 + _CELL_IN * len(selected.tools)
    legend = [patch(to_hex(SHADES(share)), f"{100 * share:.0f} %") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    figure = new_figure("Which arguments calls give", caption, height, legend)
    axes = figure.subplots()
    shares = [[selected.rates.get((tool, name), 0.0) for name in selected.arguments] for tool in selected.tools]
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(selected.arguments)), [label(name, 26) for name in selected.arguments])
    for text in axes.get_xticklabels():
        text.set(rotation=50, ha="right", rotation_mode="anchor", size=8)
    axes.set_yticks(range(len(selected.tools)), [label(tool, 34) for tool in selected.tools])
    axes.set_xticks([place - 0.5 for place in range(1, len(selected.arguments))], minor=True)
    axes.set_yticks([place - 0.5 for place in range(1, len(selected.tools))], minor=True)
    axes.tick_params(which="both", length=0)
    axes.grid(False)
    axes.grid(True, which="minor", color="#E4E4E4", linewidth=0.5)
    _write_columns(axes, selected)
    return figure


def _write_columns(axes: Axes, selected: ArgumentHeatmap) -> None:
    scores = [selected.complexity.get(tool) for tool in selected.tools]
    columns = (
        ("calls", [f"{selected.calls[tool]:,}" for tool in selected.tools]),
        ("complexity", ["–" if score is None else f"{score:.2f}" for score in scores]),
    )
    across = axes.get_yaxis_transform()
    for right, (heading, texts) in zip((36, 98), columns, strict=True):
        axes.annotate(heading, (1, -0.5), (right, 3), across, "offset points", ha="right", va="bottom", color=FAINT)
        for place, text in enumerate(texts):
            axes.annotate(text, (1, place), (right, 0), across, "offset points", ha="right", va="center", size=8.5)
