"""Where contexts were made shorter, and what that saved."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.outcomes import simulation_rows
from tau2_enhanced.analysis.executions.statistics import finite, share
from tau2_enhanced.analysis.executions.values import sorted_counts, summary


def context_reductions(found: Executions) -> dict[str, Any]:
    """How often contexts were made shorter, by which strategy and for which reason, and by how much.

    `tokens_saved` counts the events that say both numbers; `reduction_ratio` is the share of the tokens that
    went, from 0 to 1; `by_task` are the tasks whose conversations do not fit.
    """
    events = found.context_reductions
    saved = (events["tokens_before"] - events["tokens_after"]).cast(pl.Int64)
    fewer = (events["messages_before"] - events["messages_after"]).cast(pl.Int64)
    return {
        "context_reductions": events.height,
        "by_strategy": sorted_counts(events["strategy"]),
        "by_reason": sorted_counts(events["reason"]),
        "by_task": sorted_counts(events["task"]),
        "tokens_saved": int(saved.sum()),
        "tokens_saved_per_reduction": summary(saved),
        "messages_dropped": int(fewer.sum()),
        "reduction_ratio": _ratio(events),
        "simulations_with_reductions": share(
            events["simulation"].drop_nulls().n_unique(),
            pl.concat([events["simulation"], simulation_rows(found)["simulation"]]).drop_nulls().n_unique(),
        ),
    }


def _ratio(events: pl.DataFrame) -> dict[str, Any]:
    found = summary(events["reduction_ratio"])
    return {name: finite(found[name]) if name != "n" else found[name] for name in ("n", "mean", "min", "p50", "max")}
