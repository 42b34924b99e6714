"""Attempts at simulations: a log of a resumed run also holds those that were killed or had no verdict."""

from __future__ import annotations

import polars as pl

from tau2_enhanced.analysis.table import EventTable

_SIMULATION = ("run", "domain", "task", "trial")


def attempts(table: EventTable) -> pl.DataFrame:
    """A row for each attempt: `run`, `domain`, `task`, `trial`, `sim`, `start_ms`, `ended`, `reward`, `counts`.

    Of a simulation's attempts that one counts which got a verdict, else the last that ended, else the last.
    """
    begun = table.of("task_start").select(*_SIMULATION, "sim", "start_ms")
    ended = table.of("task_complete").select(*_SIMULATION, "sim", "start_ms", "reward", pl.lit(True).alias("ended"))
    unfinished = begun.join(ended, on="sim", how="anti").with_columns(
        pl.lit(None, dtype=pl.Float64()).alias("reward"), pl.lit(False).alias("ended")
    )
    every = pl.concat([ended, unfinished], how="diagonal").unique(["sim", "run", "domain", "task", "trial"])
    better_last = [pl.col("reward").is_not_null(), pl.col("ended"), pl.col("start_ms")]
    return (
        every.sort(better_last)
        .with_columns((pl.int_range(pl.len()).over(_SIMULATION) == pl.len().over(_SIMULATION) - 1).alias("counts"))
        .select(*_SIMULATION, "sim", "start_ms", "ended", "reward", "counts")
        .sort("start_ms")
    )


def count_attempts(table: EventTable) -> dict[str, int]:
    """How many attempts count, how many were repeated, and how many never ended."""
    found = attempts(table)
    return {
        "counting": int(found["counts"].sum()),
        "repeated": int((~found["counts"]).sum()),
        "unfinished": int((~found["ended"]).sum()),
    }
