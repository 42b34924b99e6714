"""Which simulations a run consists of: all tasks of all domains and trials, domains interleaved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from tau2_enhanced import tau2_versions
from tau2_enhanced.domain_names import plain_domain
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.runner.jobs import Job, JobKey, derive_seed
from tau2_enhanced.runner.options import RunOptions

if TYPE_CHECKING:
    from tau2.data_model.tasks import Task
    from tau2.registry import Registry


@dataclass(frozen=True)
class Plan:
    """The simulations to come out with a verdict, and the tasks they are of."""

    jobs: Sequence[Job]
    tasks: Mapping[tuple[str, str], Task]
    domains: Sequence[str]

    @property
    def judged_by_reward(self) -> list[tuple[str, str]]:
        """The tasks whose reward can't be computed without a judge model."""
        return [key for key, task in self.tasks.items() if needs_judge(task)]


def make_plan(options: RunOptions, registry: Registry) -> Plan:
    """The plan that the options ask for. Raises UserMistake for a domain, a split or a task that is not there."""
    by_domain = {
        domain: tasks[: options.num_tasks]
        for domain, tasks in load_chosen(registry, options.domains, options.task_ids, options.task_split).items()
    }
    return plan_of(by_domain, options)


def plan_of(by_domain: Mapping[str, Sequence[Task]], options: RunOptions) -> Plan:
    """The plan of these tasks, in all trials. Raises UserMistake where there are none, or two of one id."""
    planned = {(domain, task.id): task for domain, tasks in by_domain.items() for task in tasks}
    if not planned:
        raise UserMistake("no tasks are chosen")
    if len(planned) < sum(map(len, by_domain.values())):
        raise UserMistake("two of the tasks have the same id")
    keys = [key for trial in range(options.num_trials) for key in _interleaved(by_domain, trial)]
    jobs = [Job(*key, seed=derive_seed(options.seed, key)) for key in keys]
    return Plan(jobs, planned, [domain for domain in options.domains if by_domain[domain]])


def longest_begin(jobs: Sequence[Job], at_once: int, tasks: Mapping[tuple[str, str], Task]) -> list[Job]:
    """The jobs in their order, but of the `at_once` that begin together those with the most to do first.

    To begin hundreds takes a while, which shorter ones have to spare.
    """
    first = sorted(jobs[:at_once], key=lambda job: _gold_actions(tasks[job.domain, job.task]), reverse=True)
    return [*first, *jobs[at_once:]]


def _gold_actions(task: Task) -> int:
    criteria = task.evaluation_criteria
    return len(criteria.actions or ()) if criteria is not None else 0


def needs_judge(task: Task) -> bool:
    """Whether the task's reward rests on natural-language assertions."""
    criteria = task.evaluation_criteria
    if criteria is None or not criteria.nl_assertions:
        return False
    return any(basis.value == "NL_ASSERTION" for basis in criteria.reward_basis)


def _interleaved(by_domain: Mapping[str, Sequence[Task]], trial: int) -> Iterator[JobKey]:
    for row in zip_longest(
        *([JobKey(domain, task.id, trial) for task in tasks] for domain, tasks in by_domain.items())
    ):
        yield from (key for key in row if key is not None)


def load_chosen(
    registry: Registry, domains: Sequence[str], task_ids: Sequence[str] | None, split: str
) -> dict[str, list[Task]]:
    """By domain the tasks of a split that `--task-ids` names; without ids all. Raises UserMistake."""
    chosen = chosen_ids(domains, task_ids)
    by_domain: dict[str, list[Task]] = {}
    for domain in domains:
        tasks = load_tasks(registry, domain, split)
        if chosen is not None:
            wanted = chosen.get(domain, [])
            missing = [task_id for task_id in wanted if task_id not in {task.id for task in tasks}]
            if missing:
                raise UserMistake(f"--task-ids: {domain} has no task {missing[0]!r} in split {split}")
            tasks = [task for task in tasks if task.id in wanted]
        by_domain[domain] = tasks
    return by_domain


def chosen_ids(domains: Sequence[str], task_ids: Sequence[str] | None) -> dict[str, list[str]] | None:
    """The ids that `--task-ids` gives, by domain; None for all. Raises UserMistake where the domain is unclear."""
    if task_ids is None:
        return None
    chosen: dict[str, list[str]] = {}
    for text in task_ids:
        # a task's own id may hold a colon: only a chosen domain's name counts as a prefix
        named, colon, task_id = text.partition(":")
        if colon and (domain := plain_domain(named)) in domains:
            chosen.setdefault(domain, []).append(task_id)
        elif len(domains) == 1:
            chosen.setdefault(domains[0], []).append(text)
        else:
            raise UserMistake(f"--task-ids {text}: with several domains, write DOMAIN:ID ({', '.join(domains)})")
    return chosen


def load_tasks(registry: Registry, domain: str, split: str) -> list[Task]:
    """The tasks of a split. Raises UserMistake for a domain or a split that is not there."""
    tau2_versions.check_domain(registry, domain)
    loader = registry.get_task_splits_loader(domain)
    splits = loader() if loader is not None else None
    if splits is not None and split not in splits:
        raise UserMistake(f"{domain} has no task split {split!r}: it has {', '.join(splits)}")
    if splits is None and split != "base":
        raise UserMistake(f"{domain} has no task splits: leave --task-split out")
    tasks: list[Task] = registry.get_tasks_loader(domain)(split if splits is not None else None)
    return tasks
