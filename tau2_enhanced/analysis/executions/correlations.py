"""What goes with slow and with failing calls: associations, which need not be causes."""

from __future__ import annotations

from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import correct, spearman
from tau2_enhanced.analysis.executions.values import TOOL

_PREDICTORS = (
    "args_count",
    "args_size_bytes",
    "args_complexity_score",
    "optional_args",
    "result_size",
    "result_complexity_score",
    "position",
)
_AFTERWARDS = ("result_size", "result_complexity_score")
"""What only calls that succeeded have: it cannot predict whether they do."""


def argument_correlations(found: Executions) -> dict[str, Any]:
    """Spearman's rank correlations of what a call was given and gave with its time and with its failure.

    `performance_predictors` go with the time, `error_predictors` with failing (0 or 1), the strongest first.
    `rho` is over all calls, where a tool that is slow and has long arguments makes a correlation by itself;
    `rho_within_tools` compares the calls of each tool alone, by ranks within the tool from 0 to 1. `p_value` and
    `q_value` belong to `rho_within_tools` where it is known, else to `rho`; q-values are corrected for all tests
    made here (Benjamini and Hochberg 1995). `position` is a call's place in its simulation. Calls of one
    simulation are not independent, so p-values are rather too small.
    """
    position = pl.when(pl.col("simulation").is_not_null()).then(pl.int_range(pl.len()).over("simulation"))
    optional = pl.col("optional_args_provided").str.count_matches('"(?:[^"\\\\]|\\\\.)*"')
    failed = pl.col("success").not_().cast(pl.Float64).alias("failed")
    calls = found.calls.with_columns(TOOL, position.alias("position"), optional.alias("optional_args"), failed)
    performance = [_correlation(calls, name, "duration_ms") for name in _PREDICTORS]
    errors = [_correlation(calls, name, "failed") for name in _PREDICTORS if name not in _AFTERWARDS]
    correct([*performance, *errors])
    return {
        "performance_predictors": _ranked(performance),
        "error_predictors": _ranked(errors),
        "method": "spearman, benjamini-hochberg",
    }


def _correlation(calls: pl.DataFrame, predictor: str, outcome: str) -> dict[str, Any]:
    pairs = calls.select("tool", pl.col(predictor).cast(pl.Float64), outcome).drop_nulls()
    pairs = pairs.filter(pl.col(predictor).is_finite())
    over_all = spearman(pairs[predictor].to_list(), pairs[outcome].to_list())
    ranks = ((pl.col(name).rank() - 0.5) / pl.len() for name in (predictor, outcome))
    ranked = pairs.select("tool", *(rank.over("tool") for rank in ranks))
    # a tool whose calls are all alike in one of the two says nothing of how they go together
    telling = pl.all_horizontal(pl.col(name).n_unique().over("tool") > 1 for name in (predictor, outcome))
    ranked = ranked.filter(telling)
    within = spearman(ranked[predictor].to_list(), ranked[outcome].to_list())
    tested = within if within["p_value"] is not None else over_all
    return {
        "predictor": predictor,
        "outcome": outcome,
        "rho": over_all["rho"],
        "rho_within_tools": within["rho"],
        "n": over_all["n"],
        "p_value": tested["p_value"],
    }


def _ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def strength(row: dict[str, Any]) -> float:
        known = row["rho_within_tools"] if row["rho_within_tools"] is not None else row["rho"]
        return abs(known) if known is not None else -1.0

    return sorted(rows, key=lambda row: -strength(row))
