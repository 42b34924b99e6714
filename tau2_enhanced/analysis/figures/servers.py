"""What each model server said of its work, over the same time as what ran at once."""

from __future__ import annotations

from itertools import cycle
from typing import Any, NamedTuple

import polars as pl
from matplotlib.axes import Axes

from tau2_enhanced.analysis.figures.style import count_axis, label

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of Okabe and Ito's palette, in turns."""
_WAITING: Any = (0, (3, 1.5))
_SKIPPED = 4
"""Between samples that lie so many times as far apart as usual no line is drawn: nobody knows what was there."""


class Panel(NamedTuple):
    """One axis: the columns that it shows, its title, and whether they are shares."""

    columns: tuple[str, ...]
    title: str
    is_share: bool = False


_PANELS = (
    Panel(("running", "waiting"), "requests at each server: running, and (dashed) waiting"),
    Panel(("kv_cache_usage",), "KV cache in use", is_share=True),
    Panel(("prefix_cache_hit_rate",), "prompt tokens found in the prefix cache", is_share=True),
    Panel(("generation_tokens_per_s",), "tokens generated a second"),
)


class ServerLoad(NamedTuple):
    """The samples of a run's servers, and the panels that they have values for."""

    servers: dict[str, pl.DataFrame]
    panels: list[Panel]


def select(samples: pl.DataFrame, run: str | None) -> ServerLoad:
    """The servers of a run; no panels where nothing is known of them."""
    mine = samples.filter(pl.col("run").eq_missing(pl.lit(run, pl.String())))
    panels = [panel for panel in _PANELS if any(mine[column].count() for column in panel.columns)]
    servers = {str(name[0]): _with_gaps(frame) for name, frame in mine.group_by("server", maintain_order=True)}
    return ServerLoad(servers, panels)


def _with_gaps(samples: pl.DataFrame) -> pl.DataFrame:
    """A server's samples, and one that says nothing where it was not asked, as between two parts of a run."""
    until_next = -samples["at_ms"].diff(-1)
    usual = until_next.median()
    silent = samples.filter(until_next > _SKIPPED * usual) if isinstance(usual, float) else samples.clear()
    return pl.concat([samples, silent.select("run", "server", pl.col("at_ms") + usual)], how="diagonal").sort("at_ms")


def draw_panel(axes: Axes, panel: Panel, load: ServerLoad, *, names: bool) -> None:
    """A line for each server; with `names` a legend of them."""
    for (name, frame), colour in zip(load.servers.items(), cycle(_COLOURS), strict=False):
        at_s = (frame["at_ms"] / 1000).to_list()
        for column, line in zip(panel.columns, ("-", _WAITING), strict=False):
            # where a server did not answer there is a gap
            values = (frame[column] * (100 if panel.is_share else 1)).cast(pl.Float64).fill_null(float("nan"))
            shown = label(name) if names and line == "-" else None
            look = {"color": colour, "linestyle": line, "linewidth": 1.0, "marker": ".", "markersize": 2.5}
            axes.plot(at_s, values.to_list(), label=shown, **look)
    axes.set_title(panel.title + (", per cent" if panel.is_share else ""))
    axes.set_ylim(bottom=0, top=100 if panel.is_share else None)
    if not panel.is_share:
        count_axis(axes.yaxis)
    axes.margins(x=0.01)
    if names:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=4, fontsize=7.5, borderpad=0)
