"""The runs of a comparison: the simulations of each that can be compared, and what is to be known of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import polars as pl

from tau2_enhanced.analysis.compare.measures import MEASURES
from tau2_enhanced.analysis.compare.names import Given, name_runs, parse_run
from tau2_enhanced.analysis.inputs import find_logs
from tau2_enhanced.analysis.results_events import SOURCE
from tau2_enhanced.analysis.results_file import ResultsFile
from tau2_enhanced.analysis.simulations import SIMULATION, simulations
from tau2_enhanced.analysis.sources import read_sources
from tau2_enhanced.analysis.stops import Stops, stopped_ms, stops
from tau2_enhanced.analysis.table import Choice, EventTable
from tau2_enhanced.errors import UserMistake

TASK = ("domain", "task")
"""What makes a task of one run the same as one of another."""
_DIGITS = 10
_COSTS_AS_IN_RESULTS = {
    "agent_cost_usd": pl.col("agent_in_results_usd"),
    "cost_usd": pl.col("cost_in_results_usd"),
}


@dataclass(frozen=True)
class Run:
    """One run, read."""

    name: str
    paths: list[Path]
    ids: list[str | None]
    """Of the runs that it holds."""
    logged: bool
    """Whether it was read from logs; else from results files, which tell less."""
    simulations: pl.DataFrame
    """A row for each that counts and came to something: domain, task, trial, and a column for each measure's key; also
    `agent_in_results_usd` and `cost_in_results_usd`, its costs as a results file tells them."""
    llm_calls: pl.DataFrame
    """The answered calls of the agent's model in them: domain, task, duration_ms."""
    agent_models: list[str]
    user_models: list[str]
    begun: int
    """Trials of tasks that were begun."""
    planned: int | None
    """Simulations of the whole plan; None where that is unknown."""
    unfinished: int
    """Trials without an attempt that ended."""
    without_verdict: int
    """Trials that ended without a verdict, and are left out where others have one."""
    wall_time_s: float | None
    """From the first simulation's start to the last one's end, while a runner ran."""
    broken: int
    """Lines that could not be read."""
    sims: frozenset[str] = field(repr=False)
    """Ids of its simulations, where they have any."""


def read_runs(given: Sequence[str], choice: Choice, say: Callable[[str], None] = lambda _: None) -> list[Run]:
    """Read each RUN (PATH or NAME=PATH; a file, a folder or a pattern), the baseline first.

    Of `choice`, since and until mean when a simulation ended. Beside results files logs have the costs that results
    tell: the agent's with its experts', and no judge's. Raises UserMistake for fewer than two runs, for one
    without simulations that ended, and for runs that hold the same simulations.
    """
    if len(given) < 2:
        raise UserMistake("--compare needs two runs or more, the baseline first")
    parsed = [parse_run(text) for text in given]
    files = [find_logs([path]) for _, path in parsed]
    for (first, some), (second, others) in combinations(zip(parsed, files, strict=True), 2):
        if {path.resolve() for path in some} & {path.resolve() for path in others}:
            raise UserMistake(f"{first.path} and {second.path} are the same run")
    found = [_read(run, paths, choice, say) for run, paths in zip(parsed, files, strict=True)]
    for one, other in combinations(found, 2):
        if shared := len(one.sims & other.sims):
            raise UserMistake(f"{one.name} and {other.name} are the same run: they share {shared} simulations")
    if len({run.logged for run in found}) > 1:
        found = [replace(run, simulations=run.simulations.with_columns(**_COSTS_AS_IN_RESULTS)) for run in found]
    names = name_runs(parsed, [run.ids for run in found])
    return [replace(run, name=name) for run, name in zip(found, names, strict=True)]


def _read(given: Given, paths: list[Path], choice: Choice, say: Callable[[str], None]) -> Run:
    sources = read_sources(paths, say)
    table = sources.table.chosen(replace(choice, since=None, until=None))
    attempts = _ended_in_time(simulations(table), table, choice).with_columns(pl.col(TASK).fill_null(""))
    trials = attempts.filter(pl.col("counts") & (pl.col("task") != ""))
    ended = trials.filter("ended")
    if not ended.height:
        meant = "" if choice == Choice() else " and is meant"
        raise UserMistake(f"{given.path}: no simulation there that ended{meant}")
    judged = ended.filter(pl.col("reward").is_not_null())
    kept = judged if judged.height else ended
    ends = table.of("task_complete")
    return Run(
        name=given.path,
        paths=paths,
        ids=trials["run"].unique(maintain_order=True).to_list(),
        logged=not (ends["source"].eq_missing(SOURCE)).all(),
        simulations=_measured(kept, asked_experts=table.of("expert_call").height > 0),
        llm_calls=_llm_calls(table, kept),
        agent_models=_models(table, "llm_call"),
        user_models=_models(table, "user_sim"),
        begun=trials.height,
        planned=_planned(sources.results, choice),
        unfinished=trials.height - ended.height,
        without_verdict=ended.height - judged.height,
        wall_time_s=_wall_time_s(attempts, stops(table)),
        broken=table.broken,
        sims=frozenset(ends["sim"].drop_nulls().to_list()),
    )


def _ended_in_time(attempts: pl.DataFrame, table: EventTable, choice: Choice) -> pl.DataFrame:
    if choice.since is None and choice.until is None:
        return attempts
    in_time = Choice(since=choice.since, until=choice.until).expression()
    ends = table.of("task_complete").filter(in_time).select(SIMULATION.alias("simulation"))
    return attempts.join(ends, on="simulation", how="semi")


def _measured(kept: pl.DataFrame, *, asked_experts: bool) -> pl.DataFrame:
    """Each measure of each simulation, None where it is unknown."""
    # without an expert there is no cost of one, and neither is there where its price is unknown: then there is no sum
    known = pl.col("expert_cost_usd").is_not_null() | pl.col("cost_usd").is_not_null() | pl.lit(not asked_experts)
    agent = pl.when(known).then(pl.col("agent_cost_usd") + pl.col("expert_cost_usd").fill_null(0.0))
    in_results = {"agent_in_results_usd": agent, "cost_in_results_usd": agent + pl.col("user_cost_usd")}
    # as logs do: sums that differ in their order alone are the same
    in_results = {name: cost.round(_DIGITS) for name, cost in in_results.items()}
    passed = pl.when(pl.col("reward").is_not_null()).then((pl.col("verdict") == "passed").cast(pl.Float64))
    # a call has tokens, so none at all means that nobody counted them
    counted = pl.when(pl.col("input_tokens") > 0).then(pl.col("input_tokens", "output_tokens"))
    told = kept.with_columns(passed.alias("passed"), counted, **in_results)
    columns = []
    for measure in MEASURES:
        value = pl.col(measure.column).cast(pl.Float64) * measure.scale
        columns.append(pl.when(value.is_finite()).then(value).alias(measure.key))
    return told.select(*TASK, "trial", *columns, *in_results)


def _llm_calls(table: EventTable, kept: pl.DataFrame) -> pl.DataFrame:
    calls = table.of("llm_call").filter(pl.col("error_type").is_null() & pl.col("duration_ms").is_not_null())
    of_kept = calls.select(SIMULATION.alias("simulation"), "duration_ms")
    return of_kept.join(kept.select("simulation", *TASK), on="simulation").select(*TASK, "duration_ms")


def _models(table: EventTable, kind: str) -> list[str]:
    return sorted(table.of(kind)["model"].drop_nulls().unique().to_list())


def _planned(results: Sequence[ResultsFile], choice: Choice) -> int | None:
    """Simulations that the results files' plans hold of what is chosen; None without such files."""
    if not results or choice.since is not None or choice.until is not None:
        return None
    planned = 0
    for found in results:
        if (choice.run is None or found.run in choice.run) and (choice.domain is None or found.domain in choice.domain):
            tasks = [task for task in found.gold if choice.task is None or task in choice.task]
            trials = range(found.planned // max(1, len(found.gold)))
            planned += len(tasks) * sum(choice.trial is None or trial in choice.trial for trial in trials)
    return planned


def _wall_time_s(attempts: pl.DataFrame, stops: Stops) -> float | None:
    """Several runs are added up."""
    timed = attempts.filter(pl.col("start_ms").is_not_null() & pl.col("end_ms").is_not_null())
    spans = timed.group_by("run").agg(pl.col("start_ms").min(), pl.col("end_ms").max())
    lengths_ms = [
        end_ms - start_ms - stopped_ms(stops.get(run, ()), start_ms, end_ms)
        for run, start_ms, end_ms in spans.iter_rows()
    ]
    return sum(lengths_ms) / 1000 if lengths_ms else None
