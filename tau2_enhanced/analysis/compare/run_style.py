"""How runs look in pictures: told apart by colour, and without colour by line and mark."""

from __future__ import annotations

from typing import Any, NamedTuple

from tau2_enhanced.analysis.figures.style import INK

_COLOURS = (INK, "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of Okabe and Ito's palette; the baseline's is ink."""
_LINES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_MARKS = ("o", "s", "D", "^", "v", "P", "X")


class RunStyle(NamedTuple):
    colour: str
    line: Any
    """A line style of matplotlib's."""
    mark: str


def run_style(place: int) -> RunStyle:
    """The look of the run at this place; 0 is the baseline."""
    return RunStyle(_COLOURS[place % len(_COLOURS)], _LINES[place % len(_LINES)], _MARKS[place % len(_MARKS)])
