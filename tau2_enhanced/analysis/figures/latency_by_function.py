"""How long each tool takes."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures.boxes import Boxes, boxes, draw_boxes
from tau2_enhanced.analysis.figures.style import label
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.table import EventTable


def select(table: EventTable) -> Boxes | None:
    """Durations of tool calls by function, failed ones included; None where there are none."""
    calls = table.of("tool_call").lazy()
    return boxes(
        calls.select(
            pl.lit("tool_call").alias("kind"),
            pl.col("function").alias("name"),
            "duration_ms",
            pl.lit(True).alias("timed"),
            pl.col("error").fill_null(False).alias("failed"),
        )
    )


def draw(selected: Boxes, source: str) -> Figure:
    """Box plots, the slowest tool on top."""
    caption = f"Box: P25 to P75 with the median; whiskers: P5 and P95 · n = {counted(selected.n, 'call')} · {source}"
    return draw_boxes(selected, "How long tools take", caption, lambda row: label(row.name))
