"""The pictures of a comparison, each as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tau2_enhanced.analysis.compare import differences, distributions, task_differences
from tau2_enhanced.analysis.compare.runs import Run
from tau2_enhanced.analysis.figures import Drawn
from tau2_enhanced.analysis.figures.files import write_figure
from tau2_enhanced.analysis.figures.style import look


def draw_comparison(
    runs: Sequence[Run], found: Mapping[str, Any], output_dir: Path, say: Callable[[str], None] = lambda _: None
) -> Drawn:
    """Write every picture that there is data for. Raises UserMistake where `output_dir` can't be written.

    `found` is what `compare` made of the runs.
    """
    paths: list[Path] = []
    left_out: list[str] = []
    with look():
        for name, figure in _figures(runs, found, left_out):
            say(f"drawing {name}")
            paths += write_figure(figure, output_dir, name)
    return Drawn(paths, left_out)


def _figures(runs: Sequence[Run], found: Mapping[str, Any], left_out: list[str]) -> Iterator[tuple[str, Figure]]:
    selected = distributions.select(runs)
    left_out += [f"compare_distributions: {name}" for name in selected.missing]
    if selected.panels:
        yield "compare_distributions", distributions.draw(selected)
    if intervals := differences.select(found):
        yield "compare_differences", differences.draw(intervals)
    else:
        left_out.append("compare_differences: no measure has an interval")
    if panels := task_differences.select(runs):
        yield "compare_tasks", task_differences.draw(panels)
    else:
        left_out.append("compare_tasks: no task's duration or cost differs")
