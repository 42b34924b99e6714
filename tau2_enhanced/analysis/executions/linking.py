"""Finds the simulations of results files in the earlier tool's recordings, which name none.

A results file has every call of a simulation with its arguments and outcome, so it also says for certain which of
a recording's environments are simulations' own. Simulations that are alike are taken in the order of time.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import polars as pl

from tau2_enhanced.analysis.executions.earlier_files import ENVIRONMENT, TOLD_BY
from tau2_enhanced.analysis.log_lines import column_types
from tau2_enhanced.analysis.results_events import SOURCE
from tau2_enhanced.analysis.results_file import ResultsFile, Simulation, answers_by_id
from tau2_enhanced.analysis.table import EventTable

_CERTAINTY = {"live": 0, "gold": 1, "replay": 2}
"""In which order environments of one content are looked at: a replay has its simulation."""


class _Environment(NamedTuple):
    name: str
    run: str
    phase: str
    assumed: bool
    began: Any


def linked(table: EventTable, results: Sequence[ResultsFile]) -> EventTable:
    """The table with `sim`, `task`, `trial` and `phase` of recorded environments as the results files tell them.

    What came of each simulation is there as a `task_complete` without times: clocks need not agree, and a duration
    would be all `framework_ms` where no model's call is known.
    Where all simulations of the results were found, nothing about these recordings is assumed any more.
    """
    calls = table.of("tool_execution")
    if not results or ENVIRONMENT not in calls.columns:
        return table
    waiting = _environments(calls.filter(pl.col(ENVIRONMENT).is_not_null()))
    environments: dict[str, dict[str, Any]] = {}
    simulations: dict[str, dict[str, Any]] = {}
    ends: list[dict[str, Any]] = []
    complete = True
    for file in results:
        run: str | None = None
        without_calls = []
        for simulation in sorted(file.simulations, key=lambda simulation: simulation.start_time or ""):
            identity = {"sim": simulation.sim, "task": simulation.task, "trial": simulation.trial}
            end = identity | {"domain": file.domain} | _end(simulation)
            same = waiting.get(_content(simulation), [])
            if not simulation.calls:
                without_calls.append(end)
            elif not same:
                complete = False
            else:
                environment = same.pop(0)
                run = environment.run
                environments[environment.name] = identity | {"phase": "live", TOLD_BY: "results"}
                simulations[environment.name] = identity
                ends.append(end | {"run": run})
        # nothing was recorded of these: their run is that of the file's others
        ends += [end | {"run": run} for end in without_calls if run is not None]
    if complete:
        left = (environment for same in waiting.values() for environment in same)
        environments |= {environment.name: {TOLD_BY: "results"} for environment in left if environment.assumed}
    frames = {kind: _told(frame, environments, simulations) for kind, frame in table.frames.items()}
    if ends:
        known = table.of("task_complete")
        frames["task_complete"] = pl.concat(
            [known, pl.DataFrame(ends, schema_overrides=column_types("task_complete"))], how="diagonal"
        )
    return replace(table, frames=frames)


def _end(simulation: Simulation) -> dict[str, Any]:
    """What came of it, as a `task_complete` has it."""
    return {
        "source": SOURCE,
        "reward": simulation.reward,
        "termination_reason": simulation.termination_reason,
        "cost_usd": simulation.cost_usd,
        "agent_cost_usd": simulation.agent_cost_usd,
        "user_cost_usd": simulation.user_cost_usd,
    }


def _environments(calls: pl.DataFrame) -> dict[Hashable, list[_Environment]]:
    """The environments by what was called in them, those that may be a simulation's own first, by time."""
    made: dict[Hashable, list[_Environment]] = {}
    for part in calls.partition_by(ENVIRONMENT, maintain_order=True):
        columns = part.select("tool_name", "tool_args", "success").iter_rows()
        content = tuple((name, _ordered(json.loads(text or "{}")), success) for name, text, success in columns)
        first = part.row(0, named=True)
        assumed = first[TOLD_BY] == "assumed"
        environment = _Environment(first[ENVIRONMENT], first["run"], first["phase"], assumed, first["timestamp"])
        made.setdefault(content, []).append(environment)
    for same in made.values():
        same.sort(key=lambda environment: (_CERTAINTY[environment.phase], environment.began))
        same[:] = [environment for environment in same if environment.phase == "live" or environment.assumed]
    return made


def _content(simulation: Simulation) -> Hashable:
    return tuple(_calls(simulation))


def _calls(simulation: Simulation) -> Iterator[tuple[str, str, bool]]:
    answers = answers_by_id(simulation.messages)
    for call in simulation.calls:
        left = answers.get(call["id"])
        failed = bool(left and left.popleft().get("error"))
        yield call["name"], _ordered(call["arguments"]), not failed


def _ordered(arguments: Any) -> str:
    return json.dumps(arguments, sort_keys=True)


def _told(
    frame: pl.DataFrame, environments: Mapping[str, Mapping[str, Any]], simulations: Mapping[str, Mapping[str, Any]]
) -> pl.DataFrame:
    """The frame with what was found of each row's environment, or of the simulation that it replays."""
    if ENVIRONMENT not in frame.columns:
        return frame
    columns = {}
    for name in ("sim", "task", "trial", "phase", TOLD_BY):
        sources = [
            pl.col(key).replace_strict(
                {place: values[name] for place, values in found.items() if name in values},
                default=None,
                return_dtype=frame.schema[name],
            )
            for key, found in ((ENVIRONMENT, environments), ("sim", simulations))
        ]
        columns[name] = pl.coalesce(*sources, name)
    return frame.with_columns(**columns)
