"""Which tool follows which within a simulation: a row for the tool before, a column for the one after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures.style import label, new_figure
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.tool_figures.rows import SHADES

MOST_TOOLS = 16
_CELL_IN = 0.3
_BEGIN, _END = "(begin)", "(end)"


class ToolFlow(NamedTuple):
    tools: Sequence[str]
    """The most frequent first."""
    counts: Mapping[tuple[str, str], int]
    """From tool to tool; from the begin and to the end of simulations too."""
    shares: Mapping[tuple[str, str], float]
    """Each count as a share of all that follows its first tool, tools that are not shown included."""
    transitions: int
    simulations: int
    left_out: int
    """Steps from or to tools that are not shown."""
    uncertain: str

    @property
    def sources(self) -> list[str]:
        return [_BEGIN, *self.tools]

    @property
    def targets(self) -> list[str]:
        return [*self.tools, _END]


def select(analysis: Mapping[str, Any]) -> ToolFlow | None:
    """The steps from one tool to the next; None where no simulation called two."""
    found = analysis["transitions"]
    if not found["total_transitions"]:
        return None
    counts = Counter({(row["from"], row["to"]): row["count"] for row in found["transitions"]})
    counts += Counter({(_BEGIN, tool): count for tool, count in found["first_tools"].items()})
    counts += Counter({(tool, _END): count for tool, count in found["last_tools"].items()})
    weight: Counter[str] = Counter()
    for (source, target), count in counts.items():
        weight.update({source: count, target: count})
    tools = [
        tool for tool, _ in sorted(weight.items(), key=lambda pair: (-pair[1], pair[0])) if tool not in (_BEGIN, _END)
    ]
    shown = tools[:MOST_TOOLS]
    known = {_BEGIN, _END, *shown}
    kept = {pair: count for pair, count in counts.items() if known >= set(pair)}
    totals: Counter[str] = Counter()
    for (source, _), count in counts.items():
        totals[source] += count
    bits, without = found["next_tool_bits"], found["any_tool_bits"]
    told = (
        f" · the next tool is uncertain by {bits:.1f} bits, without the one before by {without:.1f}" if without else ""
    )
    return ToolFlow(
        tools=shown,
        counts=kept,
        shares={pair: count / totals[pair[0]] for pair, count in kept.items()},
        transitions=found["total_transitions"],
        simulations=found["simulations"],
        left_out=sum(counts.values()) - sum(kept.values()),
        uncertain=told,
    )


def draw(selected: ToolFlow, source: str) -> Figure:
    """Cells as dark as the share of what follows the row's tool, with the count in them."""
    sources, targets = selected.sources, selected.targets
    left_out = f" · {counted(selected.left_out, 'step')} from or to other tools left out" if selected.left_out else ""
    n = f"n = {counted(selected.transitions, 'step')} within {counted(selected.simulations, 'simulation')}"
    height = 1.1 + 1.5 + _CELL_IN * len(sources)
    figure = new_figure("Which tool follows which", f"{n}{selected.uncertain}{left_out} · {source}", height)
    axes = figure.subplots()
    shares = [[selected.shares.get((row, column), 0.0) for column in targets] for row in sources]
    image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    for down, row in enumerate(sources):
        for across, column in enumerate(targets):
            if count := selected.counts.get((row, column)):
                colour = "white" if shares[down][across] > 0.45 else "#222222"
                axes.text(across, down, f"{count:,}", ha="center", va="center", size=8, color=colour)
    axes.set_xticks(
        range(len(targets)), [label(name, 28) for name in targets], rotation=40, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(sources)), [label(name, 34) for name in sources])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set_xlabel("next tool")
    axes.set_ylabel("tool")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, format=lambda share, _: f"{100 * share:.0f} %")
    bar.outline.set_linewidth(0.5)
    bar.set_label("share of what follows the tool")
    return figure
