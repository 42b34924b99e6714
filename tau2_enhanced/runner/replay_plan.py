"""The plan of a replay: the recording decides on domain, tasks, trials, seeds and limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.replay import Recording
from tau2_enhanced.runner.jobs import Job, JobKey, derive_seed
from tau2_enhanced.runner.options import RunOptions, flag_of
from tau2_enhanced.runner.plan import Plan, chosen_ids

if TYPE_CHECKING:
    from tau2.data_model.tasks import Task
    from tau2.registry import Registry


def following(options: RunOptions, recordings: Sequence[Recording], given: Collection[str] = ()) -> RunOptions:
    """The options with the domain, the seed and the limits of what is replayed.

    Raises UserMistake for several domains, and for an option among `given` that says otherwise than the recording.
    """
    if not recordings:
        return options
    domains = {recording.domain for recording in recordings}
    if len(domains) > 1:
        raise UserMistake(f"recordings of several domains can't be replayed together: {', '.join(sorted(domains))}")
    first = recordings[0]
    trials = max((trial + 1 for _, trial in first.simulations), default=1)
    recorded: dict[str, Any] = {
        "domains": [first.domain],
        "num_trials": trials,
        "max_steps": first.max_steps,
        "max_errors": first.max_errors,
    }
    if first.seed is not None:
        recorded["seed"] = first.seed
    for name, value in recorded.items():
        if name in given and getattr(options, name) != value:
            said = first.domain if name == "domains" else value
            raise UserMistake(f"{flag_of(name)} would not be used: {first.path} decides on it, with {said}")
    return replace(options, **recorded)


def make_replay_plan(options: RunOptions, registry: Registry, recordings: Sequence[Recording]) -> Plan:
    """The recorded simulations, or those of them that `--task-ids` and `--num-tasks` choose.

    Raises UserMistake for a domain or a task that the installed tau2 does not have.
    """
    domain, simulations = recordings[0].domain, recordings[0].simulations
    keys = [key for key in simulations if all(key in other.simulations for other in recordings)]
    chosen = chosen_ids(options.domains, options.task_ids)
    wanted = [task for task in dict.fromkeys(task for task, _ in keys) if chosen is None or task in chosen[domain]]
    wanted = wanted[: options.num_tasks]
    tasks = recorded_tasks(recordings[0], wanted, registry)
    jobs = []
    for task, trial in keys:
        key, seed = JobKey(domain, task, trial), simulations[task, trial].seed
        if task in wanted:
            jobs.append(Job(*key, seed=derive_seed(options.seed, key) if seed is None else seed))
    if not jobs:
        raise UserMistake("no recorded simulations are chosen")
    return Plan(jobs, {(domain, task.id): task for task in tasks}, [domain])


def recorded_tasks(recording: Recording, ids: Sequence[str], registry: Registry) -> list[Task]:
    """The installed tau2's tasks of these ids. Raises UserMistake for a domain or a task that it does not have."""
    if recording.domain not in registry.get_task_sets():
        raise UserMistake(f"{recording.path} is of the domain {recording.domain!r}, which tau2 does not have")
    loaded = {task.id: task for task in registry.get_tasks_loader(recording.domain)(None)}
    if missing := [task for task in ids if task not in loaded]:
        raise UserMistake(f"{recording.path}: tau2 has no {recording.domain} task {missing[0]!r}")
    return [loaded[task] for task in ids]
