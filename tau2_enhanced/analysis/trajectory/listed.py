"""The simulations that there are to look at: those of tau2's results files, and of records of runs that go on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tau2_enhanced.analysis.inputs import opened
from tau2_enhanced.analysis.json_events import load_json
from tau2_enhanced.analysis.natural_order import natural
from tau2_enhanced.analysis.results_file import ResultsFile, Simulation, results_of
from tau2_enhanced.domain_names import SUFFIX, plain_domain
from tau2_enhanced.errors import UserMistake

_CONVERSATION = b',"simulation":'
"""Before the part of a record's line that is long, and of which a list needs nothing."""


@dataclass(frozen=True)
class Listed:
    """One attempt at a task's trial, without its conversation."""

    path: Path
    run: str
    domain: str
    task: str
    trial: int
    sim: str | None
    reward: float | None
    """None where there is no verdict."""
    ended_by: str
    """What went wrong with it, else tau2's reason for its end."""
    duration_s: float
    cost_usd: float | None
    """Of all roles; None where a part is unknown."""
    agent_model: str | None = None
    user_model: str | None = None
    load: Callable[[], Mapping[str, Any]] = field(repr=False, default=dict)
    """Its tau2 `SimulationRun`, as JSON."""

    @property
    def name(self) -> str:
        """As the command line names it."""
        return f"{self.domain}:{self.task}:{self.trial}"

    @property
    def logged_as(self) -> Sequence[str]:
        """The ids that its events have: two, where its conversation was held in another attempt than the evaluation."""
        return [*dict.fromkeys(filter(None, (self.load().get("id"), self.sim)))]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        names = ("run", "domain", "task", "trial", "sim", "reward", "ended_by", "duration_s", "cost_usd")
        return {name: getattr(self, name) for name in names} | {"file": str(self.path)}


def list_simulations(paths: Sequence[Path]) -> list[Listed]:
    """Those of all files, by domain, task and trial.

    Of several files those that hold none are passed over. Raises UserMistake where all are neither results nor records.
    """
    found: list[Listed] = []
    mistakes: list[UserMistake] = []
    for path in paths:
        try:
            found += _of_record(path) if ".jsonl" in path.suffixes else _of_results(path)
        except UserMistake as mistake:
            mistakes.append(mistake)
    if mistakes and len(mistakes) == len(paths):
        raise mistakes[0]
    return sorted(found, key=lambda one: (one.run, one.domain, natural(one.task), one.trial))


def choose(listed: Sequence[Listed], named: str) -> Listed:
    """The simulation of that name: an id, DOMAIN:TASK:TRIAL, DOMAIN:TASK or TASK, or a beginning that only one has.

    A name may be shortened, as lists show it: "…" stands for anything. Of a task's trials the first is meant, of a
    trial's attempts the one that counts. Raises UserMistake.
    """
    asked = plain_name(named)
    exact = [one for one in listed if asked in _names(one)] or [one for one in listed if is_called(asked, _names(one))]
    found = exact or [one for one in listed if any(name.startswith(asked) for name in _names(one))]
    tasks = {(one.run, one.domain, one.task) for one in found}
    if not found:
        raise UserMistake(f"no simulation is called {named!r}; without a name they are listed")
    if len(tasks) > 1 or (not exact and len({one.trial for one in found}) > 1):
        alike = [one.name if len({run for run, *_ in tasks}) == 1 else f"{one.name} of {one.run}" for one in found]
        more = f" and {len(alike) - _NAMED} more" if len(alike) > _NAMED else ""
        raise UserMistake(f"{named!r} may be any of {', '.join(alike[:_NAMED])}{more}")
    first = min(one.trial for one in found)
    attempts = [one for one in found if one.trial == first]
    return max(attempts, key=lambda one: (one.reward is not None, attempts.index(one)))


def is_called(asked: str, names: Iterable[str]) -> bool:
    """Whether that is one of the names, with "…" for anything that was left out."""
    pattern = re.compile(".*".join(map(re.escape, asked.split("…"))), re.DOTALL)
    return any(pattern.fullmatch(name) for name in names)


def plain_name(named: str) -> str:
    """The name with a domain's own name in the place of its enhanced form's."""
    return re.sub(rf"^(\w+){SUFFIX}:", r"\1:", named)


_NAMED = 4
"""How many simulations a mistake names."""


def _names(one: Listed) -> tuple[str, ...]:
    domain = plain_domain(one.domain)
    return (
        one.sim or "",
        f"{domain}:{one.task}:{one.trial}",
        f"{domain}:{one.task}",
        f"{one.task}:{one.trial}",
        one.task,
    )


def _of_results(path: Path) -> Iterator[Listed]:
    data = load_json(path)
    results = results_of(data, path)
    entries: Sequence[Mapping[str, Any]] = data["simulations"]
    for entry, simulation in zip(entries, results.simulations, strict=True):
        yield _listed(results, simulation, partial(dict, entry))


def _listed(results: ResultsFile, simulation: Simulation, load: Callable[[], Mapping[str, Any]]) -> Listed:
    return Listed(
        path=results.path,
        run=results.run,
        domain=results.domain,
        task=simulation.task,
        trial=simulation.trial,
        sim=simulation.sim,
        reward=simulation.reward,
        ended_by=simulation.termination_reason,
        duration_s=simulation.duration_s,
        cost_usd=simulation.cost_usd,
        agent_model=results.agent_model,
        user_model=results.user_model,
        load=load,
    )


def _of_record(path: Path) -> Iterator[Listed]:
    """What a run's record holds; a last line that is not whole yet is passed over."""
    try:
        with opened(path) as file:
            offset = 0
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _of_line(path, line, number, offset)
                offset += len(line)
    except OSError as error:
        raise UserMistake(f"{path} can't be read: {error.strerror or error}") from None


def _of_line(path: Path, line: bytes, number: int, offset: int) -> Listed:
    start, mark, _ = line.partition(_CONVERSATION)
    try:
        outcome = json.loads(start + b"}" if mark else line)
        costs = [used["cost_usd"] for used in outcome["used"].values()]
        return Listed(
            path=path,
            run=path.absolute().parent.parent.name,
            domain=outcome["domain"],
            task=outcome["task"],
            trial=outcome["trial"],
            sim=outcome["sim"],
            reward=outcome["reward"],
            ended_by=outcome["error_type"] or outcome["termination_reason"],
            duration_s=outcome["duration_ms"] / 1000,
            cost_usd=None if None in costs else float(sum(costs)),
            load=partial(_load, path, offset),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserMistake(f"{path} is no record of a run: line {number} ({type(error).__name__}: {error})") from None


def _load(path: Path, offset: int) -> Mapping[str, Any]:
    with opened(path) as file:
        file.seek(offset)
        simulation: Mapping[str, Any] = json.loads(file.readline())["simulation"]
        return simulation
