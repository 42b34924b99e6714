"""Pictures of the calls of tools, each as PNG and SVG, made of what `LogAnalyzer` found.

Each picture is a module: `select` takes what it shows out of the analysis, `draw` makes a figure of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

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
