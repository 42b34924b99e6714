"""Pictures of the calls of tools, each as PNG and SVG, made of what `LogAnalyzer` found.

Each picture is a module: `select` takes what it shows out of the analysis, `draw` makes a figure of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures import Drawn
from tau2_enhanced.analysis.figures.files import write_figure
from tau2_enhanced.analysis.figures.style import look
from tau2_enhanced.analysis.tool_figures import (
    argument_heatmap,
    bottlenecks,
    dashboard,
    failures,
    state_changes,
    tool_flow,
)

FIGURES: Mapping[str, tuple[ModuleType, str]] = {
    "tools_dashboard": (dashboard, "no tool calls"),
    "tools_failures": (failures, "no call failed"),
    "tools_state_changes": (state_changes, "no call is known to have changed a database"),
    "tools_flow": (tool_flow, "no simulation called two tools"),
    "tools_bottlenecks": (bottlenecks, "no call was timed"),
    "tools_arguments": (argument_heatmap, "no call's arguments are known"),
}
"""Each picture by its file's name, and why it is left out where it has no data."""


def draw_tool_figures(
    analysis: Mapping[str, Any], source: str, output_dir: Path, say: Callable[[str], None] = lambda _: None
) -> Drawn:
    """Write every picture that there is data for. Raises UserMistake where `output_dir` can't be written.

    `analysis` is `LogAnalyzer.get_comprehensive_analysis()`; `source` names the runs in the captions.
    """
    left_out: list[str] = []
    paths: list[Path] = []
    with look():
        for name, figure in figures(analysis, source, left_out):
            say(f"drawing {name}")
            paths += write_figure(figure, output_dir, name)
    return Drawn(paths, left_out)


def figures(analysis: Mapping[str, Any], source: str, left_out: list[str]) -> Iterator[tuple[str, Figure]]:
    """Each picture with its name; why one is left out goes to `left_out`."""
    for name, (module, why) in FIGURES.items():
        selected = module.select(analysis)
        if selected is None:
            left_out.append(f"{name}: {why}")
        else:
            yield name, module.draw(selected, source)
