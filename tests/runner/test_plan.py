from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.runner.jobs import JobKey, derive_seed
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.plan import longest_begin, make_plan


def plan(registry: Any, **options: Any) -> Any:
    return make_plan(RunOptions(**options), registry)


def test_the_default_is_all_base_tasks_of_three_domains(registry: Any) -> None:
    jobs = plan(registry).jobs
    assert len(jobs) == 114 + 114 + 50
    assert len({job.key for job in jobs}) == 278


def test_domains_take_turns(registry: Any) -> None:
    jobs = plan(registry, domains=["retail", "airline"], num_trials=2).jobs
    assert all(one.domain != other.domain for one, other in pairwise(jobs[:100]))
    assert [job.trial for job in jobs] == [0] * 164 + [1] * 164


def test_of_those_that_begin_together_the_longest_is_first(registry: Any) -> None:
    made = plan(registry, domains=["retail", "mock"], num_trials=2)
    jobs = longest_begin(made.jobs, 50, made.tasks)
    actions = [len(made.tasks[job.domain, job.task].evaluation_criteria.actions or ()) for job in jobs]
    assert actions[:50] == sorted(actions[:50], reverse=True)
    assert actions[0] > actions[49]
    assert set(jobs[:50]) == set(made.jobs[:50])
    assert jobs[50:] == list(made.jobs[50:])


def test_task_ids_name_their_domain(registry: Any) -> None:
    jobs = plan(registry, domains=["retail", "airline"], task_ids=["retail:3", "airline:3", "airline:5"]).jobs
    assert {job.key for job in jobs} == {
        JobKey("retail", "3", 0),
        JobKey("airline", "3", 0),
        JobKey("airline", "5", 0),
    }


def test_a_task_id_may_hold_a_colon(registry: Any) -> None:
    name = "[mobile_data_issue]airplane_mode_on|data_mode_off[PERSONA:None]"
    for task_id in (name, f"telecom:{name}"):
        (job,) = plan(registry, domains=["telecom"], task_ids=[task_id]).jobs
        assert job.task == name


def test_a_split_is_tau2s(registry: Any) -> None:
    assert len(plan(registry, domains=["retail"], task_split="test").jobs) == 40
    with pytest.raises(UserMistake, match="no task split"):
        plan(registry, domains=["retail"], task_split="hard")


def test_seeds_are_each_simulations_own() -> None:
    keys = [JobKey(domain, str(task), trial) for domain in "ab" for task in range(50) for trial in range(4)]
    seeds = [derive_seed(300, key) for key in keys]
    assert len(set(seeds)) > 390
    assert all(0 <= seed < 1_000_000 for seed in seeds)
    assert derive_seed(300, JobKey("retail", "0", 0)) != derive_seed(301, JobKey("retail", "0", 0))
    assert derive_seed(300, JobKey("retail", "0", 0)) == 3766
