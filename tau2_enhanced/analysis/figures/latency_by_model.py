"""How long each model takes to answer, in each of its roles."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from tau2_enhanced.analysis.figures.boxes import Boxes, boxes, draw_boxes
from tau2_enhanced.analysis.figures.style import label, role
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable


def select(table: EventTable) -> Boxes | None:
    """Durations of answered calls by role and model; None where there are none."""
    failed = pl.col("error_type").is_not_null()
    return boxes(
        pl.concat(
            table.of(kind)
            .lazy()
            .select(
                pl.lit(kind).alias("kind"),
                pl.col("model").alias("name"),
                "duration_ms",
                (~failed).alias("timed"),
                failed.alias("failed"),
            )
            for kind in MODEL_CALLS
        )
    )


def draw(selected: Boxes, source: str) -> Figure:
    """Box plots, the slowest model on top."""
    errors = sum(row.errors for row in selected.rows)
    without = f", {errors:,} failed ones left out" if errors else ""
    caption = (
        f"Box: P25 to P75 with the median; whiskers: P5 and P95 · n = {counted(selected.n, 'call')}{without} · {source}"
    )
    return draw_boxes(selected, "How long models take", caption, lambda row: f"{label(row.name)} · {role(row.kind)}")
