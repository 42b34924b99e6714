"""Simulations with their verdicts, and what passed ones do otherwise than failed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import correct, finite, share
from tau2_enhanced.analysis.executions.values import CALLS, ERRORS, TOOL, known_sum
from tau2_enhanced.analysis.pass_k import is_success

_IDENTITY = {"domain": pl.String(), "task": pl.String(), "trial": pl.Int64()}
_VERDICT = {"simulation": pl.String(), **_IDENTITY, "reward": pl.Float64()}
_MEASURES = ("calls", "errors", "repeated_calls", "tools", "state_changing_calls", "tools_ms")
_FEWEST = 3
"""Simulations on each side that are worth a test."""


def simulation_rows(found: Executions) -> pl.DataFrame:
    """A row for each simulation that called a tool or ended.

    `simulation`, `domain`, `task`, `trial`; `calls`, `errors`, `repeated_calls`, `tools` (different ones),
    `state_changing_calls`, `tools_ms` (what its tools took); `reward` and `passed`, None where there is no verdict.
    What none of its calls tells is None. So it is of a simulation without calls, where no other's calls tell it.
    """
    calls = found.calls_with_repeats.drop_nulls("simulation")
    rows = calls.group_by("simulation", maintain_order=True).agg(
        *(pl.col(name).drop_nulls().first() for name in _IDENTITY),
        CALLS,
        ERRORS,
        known_sum("repeated").cast(pl.Int64).alias("repeated_calls"),
        pl.col("tool_name").drop_nulls().n_unique().cast(pl.Int64).alias("tools"),
        known_sum("state_changed").cast(pl.Int64).alias("state_changing_calls"),
        known_sum("duration_ms").alias("tools_ms"),
    )
    return _with_rewards(rows, _verdicts(found, rows)).with_columns(
        pl.col("reward").map_elements(is_success, return_dtype=pl.Boolean).alias("passed")
    )


def outcome_analysis(found: Executions) -> dict[str, Any]:
    """How passed simulations differ from failed ones, where verdicts are known: from results or the events.

    `measures` compares each number by the Mann-Whitney test (1947), and says with `effect` how likely a passed
    simulation has more of it than a failed one, ties counting half (0.5: alike). `tools` compares the pass rates
    of simulations with and without a tool by Fisher's exact test (1922). q-values are corrected for all tests
    made here (Benjamini and Hochberg 1995). Whoever solves hard tasks calls more tools: no cause is claimed.
    """
    rows = simulation_rows(found)
    known = rows.drop_nulls("passed")
    passed, failed = known.filter("passed"), known.filter(~pl.col("passed"))
    measures = [_measure(name, passed[name], failed[name]) for name in _MEASURES]
    tools = _tools(found, known)
    correct([*measures, *tools])
    return {
        "simulations": rows.height,
        "with_verdict": known.height,
        "pass_rate": share(passed.height, known.height),
        "pass_rate_with_errors": _pass_rate(known.filter(pl.col("errors") > 0)),
        "pass_rate_without_errors": _pass_rate(known.filter(pl.col("errors") == 0)),
        "measures": measures,
        "tools": sorted(tools, key=lambda row: (row["p_value"] is None, row["p_value"] or 0.0, row["tool"])),
    }


def _verdicts(found: Executions, rows: pl.DataFrame) -> pl.DataFrame:
    """The rewards of simulations, under the ids that the calls know them by."""
    # an evaluation that was made later, alone, tells what came of the conversation that it evaluated
    held = pl.coalesce("continues", "simulation").alias("simulation")
    ends = found.live("task_complete").with_columns(held).drop_nulls("simulation").select(*_VERDICT)
    told = {row[0]: row for row in ends.sort(pl.col("reward").is_not_null(), maintain_order=True).iter_rows()}
    named = set(rows["simulation"]) | set(told)
    places: dict[tuple[Any, ...], list[str]] = {}
    for simulation, *named_place in rows.select("simulation", *_IDENTITY).iter_rows():
        places.setdefault(tuple(named_place), []).append(simulation)
    for results in found.results:
        for simulation in results.simulations:
            place = (results.domain, simulation.task, simulation.trial)
            same = places.get(place, [])
            name = simulation.sim if simulation.sim in named else None
            if name is None:
                # a simulation that ran twice has one result, which does not say whose it is
                name = same[0] if len(same) == 1 else simulation.sim or " ".join(map(str, place))
            told[name] = (name, *place, simulation.reward)
    return pl.DataFrame(list(told.values()), schema=_VERDICT, orient="row")


def _with_rewards(rows: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    joined = rows.join(verdicts, on="simulation", how="full", coalesce=True, maintain_order="left_right")
    told = [name for name in _MEASURES if rows[name].count() or not rows.height]
    without_calls = pl.col("calls").is_null()
    return joined.with_columns(
        *(pl.coalesce(name, f"{name}_right").alias(name) for name in _IDENTITY),
        *(pl.when(without_calls).then(0).otherwise(name).alias(name) for name in told),
    ).select("simulation", *_IDENTITY, *_MEASURES, "reward")


def _measure(name: str, all_passed: pl.Series, all_failed: pl.Series) -> dict[str, Any]:
    passed, failed = all_passed.drop_nulls(), all_failed.drop_nulls()
    row: dict[str, Any] = {
        "measure": name,
        "mean_passed": passed.mean(),
        "mean_failed": failed.mean(),
        "effect": None,
        "p_value": None,
    }
    if min(passed.len(), failed.len()) >= _FEWEST:
        from scipy import stats

        tested = stats.mannwhitneyu(passed.to_list(), failed.to_list())
        row["effect"] = finite(tested.statistic / (passed.len() * failed.len()))
        row["p_value"] = finite(tested.pvalue)
    return row


def _tools(found: Executions, known: pl.DataFrame) -> list[dict[str, Any]]:
    verdicts = dict(known.select("simulation", "passed").iter_rows())
    users = found.calls.with_columns(TOOL).drop_nulls("simulation").group_by("tool").agg(pl.col("simulation").unique())
    all_passed = sum(verdicts.values())
    return [
        _tool(tool, [verdicts[name] for name in simulations if name in verdicts], all_passed, len(verdicts))
        for tool, simulations in users.sort("tool").iter_rows()
    ]


def _tool(tool: str, verdicts: Sequence[bool], all_passed: int, simulations: int) -> dict[str, Any]:
    passed, with_it = sum(verdicts), len(verdicts)
    passed_without, without = all_passed - passed, simulations - with_it
    row: dict[str, Any] = {
        "tool": tool,
        "pass_rate_with": share(passed, with_it),
        "pass_rate_without": share(passed_without, without),
        "p_value": None,
    }
    if with_it and without:
        from scipy import stats

        table = [[passed, with_it - passed], [passed_without, without - passed_without]]
        row["p_value"] = finite(stats.fisher_exact(table).pvalue)
    return row


def _pass_rate(rows: pl.DataFrame) -> dict[str, Any]:
    return share(int(rows["passed"].sum()), rows.height)
