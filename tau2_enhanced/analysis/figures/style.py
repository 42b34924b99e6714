"""The look that all figures share: colours, words, and the frame of title and caption."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath
from matplotlib.ticker import Formatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from tau2_enhanced.analysis.colours import EVENT_COLOURS, OTHER_COLOUR
from tau2_enhanced.analysis.timeline import CALLERS

WIDTH_IN = 8.0
INK = "#222222"
FAINT = "#666666"
TRACK = "#E4E4E4"
WAIT_HATCH = "//////"

_FONT = "DejaVu Sans"
_LOOK: dict[Any, Any] = {
    "font.family": _FONT,
    "font.size": 9.0,
    "text.parse_math": False,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": "#888888",
    "ytick.color": "#888888",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "hatch.linewidth": 0.7,
    "svg.hashsalt": "tau2_enhanced",
}
_CAPTION_CHARACTERS = 124
_MS_OF_UNITS = (("h", 3.6e6, 7200e3), ("min", 60e3, 600e3), ("s", 1e3, 999.5), ("ms", 1.0, 0.9995), ("µs", 1e-3, 0.0))
"""Units of durations: their length and the shortest duration that is told in them, both in ms."""


def look() -> AbstractContextManager[None]:
    """Within it, figures are made and written in this look; matplotlib's settings are as before after it."""
    return matplotlib.rc_context(_LOOK)


def new_figure(title: str, caption: str, height_in: float, legend: Sequence[Artist] = ()) -> Figure:
    """An empty figure with title and legend above and its caption below; what stands between is laid out by itself."""
    # a number and its sign stay on one line: textwrap does not break at a no-break space
    joined = textwrap.wrap(caption.replace(" %", "\u00a0%"), _CAPTION_CHARACTERS)
    lines = [line.replace("\u00a0", " ") for line in joined]
    above, below = (0.6 if legend else 0.36) / height_in, (0.1 + 0.15 * len(lines)) / height_in
    layout = ConstrainedLayoutEngine(rect=(0.005, below, 0.985, 1 - above - below), h_pad=0.06, w_pad=0.06)
    figure = Figure(figsize=(WIDTH_IN, height_in), layout=layout)
    FigureCanvasAgg(figure)
    left = 0.1 / WIDTH_IN
    heading = figure.text(left, 1 - 0.1 / height_in, title, size=11, weight="bold", color=INK, va="top")
    needed_in = TextPath((0, 0), title, prop=heading.get_fontproperties()).get_extents().width / 72
    # drawn in whole pixels, letters are up to 4 % wider
    heading.set_fontsize(min(11.0, 11.0 * (WIDTH_IN - 0.2) / (1.04 * needed_in)))
    figure.text(left, 0.07 / height_in, "\n".join(lines), size=7.5, color=FAINT, va="bottom", linespacing=1.3)
    if legend:
        top_left = (left, 1 - 0.32 / height_in)
        figure.legend(
            handles=list(legend),
            loc="upper left",
            bbox_to_anchor=top_left,
            ncols=len(legend),
            borderpad=0,
            borderaxespad=0,
        )
    return figure


def label(text: str | None, length: int = 40) -> str:
    """A name as figures show it: what the font lacks replaced, what is long shortened in its middle."""
    known = _characters()
    shown = "".join(letter if ord(letter) in known else "□" for letter in text or "–")
    if len(shown) <= length:
        return shown
    return f"{shown[: length // 2]}…{shown[len(shown) - (length - length // 2 - 1) :]}"


@functools.cache
def _characters() -> frozenset[int]:
    return frozenset(code for code in get_font(findfont(_FONT)).get_charmap() if chr(code).isprintable())


def role(kind: str) -> str:
    """Who makes calls of this type."""
    return CALLERS.get(kind, kind)


def event_colour(kind: str) -> str:
    return EVENT_COLOURS.get(kind, OTHER_COLOUR)


def darker(colour: str) -> tuple[float, float, float]:
    """The colour of a shape's outline."""
    red, green, blue = to_rgb(colour)
    return 0.7 * red, 0.7 * green, 0.7 * blue


def short_number(value: float) -> str:
    """A number with three digits: 0.0000123, 12.3, 12.3k, 4.56M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{letter}"
    return format(Decimal(f"{value:.3g}"), "f")


def duration_text(duration_ms: float, digits: int = 3) -> str:
    """A duration given in ms, in the unit that suits it."""
    if duration_ms <= 0:
        return "0"
    unit, size_ms = next((name, size_ms) for name, size_ms, least_ms in _MS_OF_UNITS if duration_ms >= least_ms)
    return f"{duration_ms / size_ms:.{digits}g} {unit}"


class DurationTicks(Formatter):
    """Durations given in ms, with as many digits as tell them apart."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return duration_text(x)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        texts = list[str]()
        for digits in range(3, 10):
            texts = [duration_text(value, digits) for value in values]
            if len(set(texts)) == len(texts):
                break
        return texts


def count_axis(axis: Axis) -> None:
    """Make it an axis of whole numbers."""
    axis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def spans_decades(values: Iterable[float]) -> bool:
    """Whether positive values lie more than two decades apart, so that a logarithmic axis suits them."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) > 100 * min(positive)


def duration_axis(axes: Axes, *, log: bool) -> None:
    """Make x an axis of durations given in ms."""
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=12))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(DurationTicks())
    axes.xaxis.set_minor_formatter(NullFormatter())


def wait_patch(name: str = "waiting to retry") -> Patch:
    """The legend's entry for hatched waits."""
    return Patch(facecolor="white", edgecolor=FAINT, hatch=WAIT_HATCH, linewidth=0.6, label=name)


def event_patch(kind: str, name: str | None = None) -> Patch:
    """The legend's entry for an event type."""
    colour = event_colour(kind)
    return Patch(facecolor=colour, edgecolor=darker(colour), linewidth=0.6, label=name or kind)
