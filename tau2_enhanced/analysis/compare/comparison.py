"""Runs compared, as plain data: what `compare.json` holds, and the tables, sentences and pictures show.

Keys are stable. A measure's key ends in its unit, and so do its numbers: `duration_s` has seconds in `baseline`,
`run`, `difference`, `low` and `high`; `percent` is the difference in per cent of the baseline's mean. Differences
are the run's value less the baseline's. What is unknown is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tau2_enhanced.analysis.compare.changes import changes
from tau2_enhanced.analysis.compare.measures import MEASURES, Measure
from tau2_enhanced.analysis.compare.paired import Difference, mean_difference, share_difference
from tau2_enhanced.analysis.compare.runs import TASK, Run
from tau2_enhanced.analysis.compare.sentences import sentence
from tau2_enhanced.analysis.pass_k import CONFIDENCE, Trials, clustered_standard_error, pass_1_interval, pass_hat_k
from tau2_enhanced.errors import UserMistake

_IN_ORDER = ("domain", pl.col("task").cast(pl.Int64, strict=False), "task")
"""Tasks by number where they have numbers."""


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """All numbers of a comparison; the first run is the baseline of the others.

    Raises UserMistake for a run without a task in common with it.
    """
    baseline, *others = runs
    return {
        "confidence": CONFIDENCE,
        "runs": [_overview(run) for run in runs],
        "comparisons": [_compared(baseline, run) for run in others],
    }


def by_task(run: Run) -> pl.DataFrame:
    """A row for each task: its trials' means of all measures, how many `trials` it has, and how many were `judged`."""
    keys = [measure.key for measure in MEASURES]
    grouped = run.simulations.group_by(TASK).agg(
        pl.len().alias("trials"),
        pl.col("pass_1").count().alias("judged"),
        pl.col(keys).mean(),
    )
    return grouped.sort(_IN_ORDER)


def _overview(run: Run) -> dict[str, Any]:
    """A run by itself, over its own tasks; means are over tasks, of the means over their trials."""
    tasks = by_task(run)
    verdicts = int(tasks["judged"].sum())
    expected = run.planned if run.planned is not None else run.begun
    means = {f"mean_{measure.key}": _mean(tasks[measure.key]) for measure in MEASURES}
    cost = run.simulations["cost_usd"]
    return {
        "name": run.name,
        "files": [str(path) for path in run.paths],
        "run_ids": run.ids,
        "source": "log" if run.logged else "results",
        "agent_models": run.agent_models,
        "user_models": run.user_models,
        "tasks": tasks.height,
        "simulations": run.simulations.height,
        "verdicts": verdicts,
        "planned": run.planned,
        "begun": run.begun,
        "coverage": verdicts / expected if expected else None,
        "unfinished": run.unfinished,
        "without_verdict": run.without_verdict,
        "unreadable_lines": run.broken,
        "least_trials": int(tasks["trials"].min()),  # type: ignore[arg-type]  # a number
        "most_trials": int(tasks["trials"].max()),  # type: ignore[arg-type]  # a number
        "pass_1": _pass_1(tasks),
        **{name: mean for name, mean in means.items() if name != "mean_pass_1"},
        "total_cost_usd": float(cost.sum()) if not cost.null_count() else None,
        "wall_time_s": run.wall_time_s,
    }


def _pass_1(tasks: pl.DataFrame) -> dict[str, float | None]:
    judged = tasks.filter(pl.col("judged") > 0)
    trials = [Trials(round(share * n), n) for share, n in judged.select("pass_1", "judged").iter_rows()]
    interval = pass_1_interval(trials)
    return {
        "value": pass_hat_k(trials, 1),
        "low": interval.low if interval is not None else None,
        "high": interval.high if interval is not None else None,
        "standard_error": clustered_standard_error(trials),
    }


def _compared(baseline: Run, run: Run) -> dict[str, Any]:
    here, there = by_task(baseline), by_task(run)
    pairs = here.join(there, on=TASK, suffix="_run").sort(_IN_ORDER)
    if not pairs.height:
        raise UserMistake(f"{baseline.name} and {run.name} have no task in common")
    measures, left_out = _measures(pairs, baseline, run)
    only = {
        "baseline_only": here.join(there, on=TASK, how="anti"),
        "run_only": there.join(here, on=TASK, how="anti"),
    }
    return {
        "baseline": baseline.name,
        "run": run.name,
        "tasks": pairs.height,
        **{name: [task_name(*task) for task in tasks.select(TASK).iter_rows()] for name, tasks in only.items()},
        "measures": measures,
        "left_out": left_out,
        "changes": changes(pairs),
    }


def comparable(measure: Measure, runs: Sequence[Run]) -> bool:
    """Whether what these runs were read from tells the measure, and alike."""
    logged = [run.logged for run in runs]
    return all(logged) or not (measure.logged or (measure.alike and any(logged)))


def task_name(domain: str, task: str) -> str:
    """A task as people write it: retail:12."""
    return f"{domain}:{task}" if domain else task


def _measures(pairs: pl.DataFrame, baseline: Run, run: Run) -> tuple[dict[str, Any], list[str]]:
    """The numbers of each measure by its key, and a sentence for each that is unknown, wholly or in part."""
    found: dict[str, Any] = {}
    left_out: list[str] = []
    for measure in MEASURES:
        known = pairs.filter(pl.col(measure.key).is_not_null() & pl.col(f"{measure.key}_run").is_not_null())
        if not comparable(measure, [baseline, run]):
            continue
        if not known.height:
            which = [of.name for of in (baseline, run) if not of.simulations[measure.key].count()]
            left_out.append(f"{measure.name}: unknown in {' and in '.join(which) or 'one or the other for every task'}")
        elif not (measure.optional and _nothing(known, measure)):
            difference = _difference(known, measure)
            found[measure.key] = _numbers(difference, measure, run.name)
            if missing := pairs.height - known.height:
                left_out.append(f"{measure.name}: unknown for {missing} of {pairs.height} tasks")
    return found, left_out


def _nothing(known: pl.DataFrame, measure: Measure) -> bool:
    return not known.select(pl.any_horizontal((pl.col(measure.key, f"{measure.key}_run") != 0).any())).item()


def _difference(known: pl.DataFrame, measure: Measure) -> Difference:
    here, there = known[measure.key].to_list(), known[f"{measure.key}_run"].to_list()
    if measure.share and all(0 <= value <= 1 for value in (*here, *there)):
        most_pairs = known.select(pl.min_horizontal("judged", "judged_run").sum()).item()
        return share_difference(here, there, most_pairs)
    return mean_difference(here, there)


def _numbers(difference: Difference, measure: Measure, run: str) -> dict[str, Any]:
    ends = {"percent": difference.estimate, "percent_low": difference.low, "percent_high": difference.high}
    of = abs(difference.baseline)
    return {
        "tasks": difference.tasks,
        "baseline": difference.baseline,
        "run": difference.other,
        "difference": difference.estimate,
        "low": difference.low,
        "high": difference.high,
        **{name: 100 * end / of if of and end is not None else None for name, end in ends.items()},
        "decided": difference.decided,
        "sentence": sentence(difference, measure, run),
    }


def _mean(values: pl.Series) -> float | None:
    return float(values.mean()) if values.count() else None  # type: ignore[arg-type]  # numbers
