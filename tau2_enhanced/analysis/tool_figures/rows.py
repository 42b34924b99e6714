"""Panels with a row for each name: what most pictures of tools are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from tau2_enhanced.analysis.colours import EVENT_COLOURS
from tau2_enhanced.analysis.figures.style import FAINT, INK, count_axis, darker, label

GOOD, BAD, CHANGE = EVENT_COLOURS["tool_call"], "#D55E00", "#009E73"
"""Calls that succeeded, calls that failed, changes of state; of Okabe and Ito's palette, apart in lightness too."""
SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", "#9CC9E3", "#0072B2", "#00344F"])
"""From nothing to all, lighter to darker."""
ROW_IN = 0.24
MOST_ROWS = 20


class Share(NamedTuple):
    """A share and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def share_of(found: Mapping[str, Any]) -> Share | None:
    """A share as the analysis tells it; None where it is not defined."""
    if found["value"] is None:
        return None
    low, high = (found[end] if found[end] is not None else found["value"] for end in ("low", "high"))
    return Share(found["value"], low, high, found["n"])


def rows_axis(axes: Axes, names: Sequence[str], *, labelled: bool = True, length: int = 34) -> None:
    """Make y an axis of names, the first on top."""
    axes.set_yticks(range(len(names)), [label(name, length) for name in names] if labelled else [])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def draw_stacks(axes: Axes, first: Sequence[float], second: Sequence[float], colours: tuple[str, str]) -> None:
    """Bars of two parts, with their total beside them."""
    places = range(len(first))
    for lefts, widths, colour in zip(([0.0] * len(first), first), (first, second), colours, strict=True):
        # a bar of no length would still have an outline
        lines = [0.6 if width else 0.0 for width in widths]
        axes.barh(places, widths, 0.68, left=lefts, color=colour, edgecolor=darker(colour), linewidth=lines)
    for place, (one, two) in enumerate(zip(first, second, strict=True)):
        beside(axes, one + two, place, f"{one + two:,.0f}")
    axes.set_xlim(0, 1.14 * max((one + two for one, two in zip(first, second, strict=True)), default=1) or 1)
    count_axis(axes.xaxis)


def draw_shares(axes: Axes, shares: Sequence[Share | None], colour: str) -> None:
    """Points with their intervals, from 0 to 100 %."""
    for place, share in enumerate(shares):
        if share is not None:
            axes.plot((share.low, share.high), (place, place), color=FAINT, linewidth=1.2, solid_capstyle="butt")
            axes.plot(share.value, place, "o", color=colour, markeredgecolor=darker(colour), markersize=5.5, zorder=3)
    axes.set_xlim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def beside(axes: Axes, value: float, place: float, text: str) -> None:
    """A number to the right of a bar's end."""
    axes.annotate(text, (value, place), (3, 0), textcoords="offset points", va="center", size=8, color=INK)


def patch(colour: str, name: str) -> Patch:
    """A legend's entry."""
    return Patch(facecolor=colour, edgecolor=darker(colour), linewidth=0.6, label=name)


def rest(all_of_them: int) -> str:
    """What a caption says of rows that are left out."""
    return f" · {all_of_them - MOST_ROWS:,} more tools are left out" if all_of_them > MOST_ROWS else ""
