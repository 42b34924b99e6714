"""Intervals as pictures need them."""

from __future__ import annotations

import polars as pl


def merged(intervals: pl.DataFrame, by: list[str], gap_ms: float) -> pl.DataFrame:
    """The intervals of each group, those that overlap or lie no further apart than `gap_ms` made one.

    What a picture can't tell apart needs no shapes of its own.
    """
    before = pl.col("end_ms").cum_max().shift(1).over(by)
    apart = (pl.col("start_ms") > before + gap_ms).fill_null(True)
    return (
        intervals.sort("start_ms")
        .with_columns(apart.alias("apart"))
        .with_columns(pl.col("apart").cum_sum().over(by).alias("group"))
        .group_by(*by, "group", maintain_order=True)
        .agg(pl.col("start_ms").min(), pl.col("end_ms").max())
        .drop("group")
    )
