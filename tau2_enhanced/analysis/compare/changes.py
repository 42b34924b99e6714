"""Tasks whose verdicts changed between two runs."""

from __future__ import annotations

from typing import Any

import polars as pl

CHANGES = {
    "lost": "passed in every trial before, in none now",
    "gained": "passed in no trial before, in every one now",
    "less_often": "passed in fewer of its trials",
    "more_often": "passed in more of its trials",
}
"""The kinds of changes, in the order in which they are listed, and what they mean."""
_SHOWN = ("trials", "judged", "pass_1", "reward", "duration_s")


def changes(pairs: pl.DataFrame) -> list[dict[str, Any]]:
    """Each task whose share of successes differs: which kind of change, and both runs' means over its trials.

    `pairs` has a row for each task that both runs have, in order, the other run's columns ending in `_run`.
    """
    here, there = pl.col("pass_1"), pl.col("pass_1_run")
    kind = (
        pl.when((here == 1) & (there == 0))
        .then(pl.lit("lost"))
        .when((here == 0) & (there == 1))
        .then(pl.lit("gained"))
        .when(there < here)
        .then(pl.lit("less_often"))
        .otherwise(pl.lit("more_often"))
    )
    changed = pairs.filter(here != there).with_columns(kind.alias("change"))
    rows = changed.sort(pl.col("change").replace_strict(list(CHANGES), range(len(CHANGES))), maintain_order=True)
    return [
        {
            "change": row["change"],
            "domain": row["domain"],
            "task": row["task"],
            "baseline": {name: row[name] for name in _SHOWN},
            "run": {name: row[f"{name}_run"] for name in _SHOWN},
        }
        for row in rows.iter_rows(named=True)
    ]
