"""Golden cases, computed by hand."""

from __future__ import annotations

import pytest

from tau2_enhanced.runner.jobs import JobKey, Outcome, Status
from tau2_enhanced.runner.summary import summarise


def outcome(task: str, trial: int, reward: float | None, duration_ms: float = 1000.0) -> Outcome:
    used = {"calls": 2, "input_tokens": 100, "output_tokens": 10, "cached_tokens": 0, "cost_usd": 0.25, "seconds": 0.1}
    return Outcome(
        domain="retail",
        task=task,
        trial=trial,
        seed=0,
        sim=f"{task}{trial}",
        status=Status.VERDICT if reward is not None else Status.NO_VERDICT,
        reward=reward,
        termination_reason="user_stop" if reward is not None else "agent_error",
        error_type=None if reward is not None else "http_500",
        error=None,
        duration_ms=duration_ms,
        ended_ms=0.0,
        steps=1,
        used={"agent": dict(used), "user": dict(used, cost_usd=0.05)},
    )


PLANNED = [JobKey("retail", task, trial) for trial in range(2) for task in ("a", "b", "c")]
OUTCOMES = {
    found.key: found
    for found in (
        outcome("a", 0, 1.0, 1000.0),
        outcome("a", 1, 1.0, 2000.0),
        outcome("b", 0, 1.0, 3000.0),
        outcome("b", 1, 0.0, 4000.0),
        outcome("c", 0, None, 5000.0),
    )
}


def test_pass_hat_k_is_over_verdicts_with_the_coverage_beside_it() -> None:
    found = summarise(PLANNED, OUTCOMES.get)
    assert (found["planned"], found["finished"], found["passed"]) == (6, 4, 3)
    assert found["coverage"] == pytest.approx(4 / 6)
    # tasks a: 2 of 2, b: 1 of 2; c has no verdict
    assert found["pass_hat_k"] == pytest.approx({"1": 0.75, "2": 0.5})


def test_each_k_has_the_tasks_it_rests_on_beside_it() -> None:
    # three trials of a pass; one of b, which fails, has no verdict
    found = [outcome("a", trial, 1.0) for trial in range(3)] + [outcome("b", trial, 0.0) for trial in range(2)]
    planned = [JobKey("retail", task, trial) for trial in range(3) for task in ("a", "b")]
    summary = summarise(planned, {each.key: each for each in found}.get)
    assert summary["pass_hat_k"] == {"1": 0.5, "2": 0.5, "3": 1.0}
    assert summary["pass_hat_k_tasks"] == {"1": 2, "2": 2, "3": 1}
    assert summary["pass_hat_k_lower_bound"] == {"1": 0.5, "2": 0.5, "3": 0.5}


def test_the_lower_bound_counts_what_is_missing_as_failed() -> None:
    found = summarise(PLANNED, OUTCOMES.get)
    # a: 2 of 2, b: 1 of 2, c: 0 of 2
    assert found["pass_hat_k_lower_bound"] == pytest.approx({"1": 0.5, "2": 1 / 3})


def test_money_tokens_and_times() -> None:
    found = summarise(PLANNED, OUTCOMES.get)
    assert found["cost_usd"] == pytest.approx(1.5)
    assert found["cost_usd_by_role"] == pytest.approx({"agent": 1.25, "user": 0.25})
    assert (found["input_tokens"], found["output_tokens"], found["model_calls"]) == (1000, 100, 20)
    # of the four verdicts alone
    assert found["duration_ms_median"] == 2500.0
    assert found["duration_ms_p95"] == pytest.approx(3850.0)


def test_what_failed_and_what_is_missing_is_listed() -> None:
    found = summarise(PLANNED, OUTCOMES.get)
    assert [entry["task"] for entry in found["failed"]] == ["b"]
    assert [entry["error_type"] for entry in found["without_verdict"]] == ["http_500"]
    assert found["not_run"] == [{"domain": "retail", "task": "c", "trial": 1}]
    assert found["slowest"][0]["duration_ms"] == 5000.0
    assert found["termination_reasons"] == {"user_stop": 4, "no_verdict:http_500": 1}


def test_nothing_run_is_no_number() -> None:
    found = summarise(PLANNED, lambda _: None)
    assert (found["pass_hat_k"], found["mean_reward"], found["duration_ms_median"]) == ({}, None, None)
    assert found["pass_hat_k_lower_bound"] == {"1": 0.0, "2": 0.0}
