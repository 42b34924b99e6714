"""Calls that hang and tasks that take too long: the run ends by itself, and each task has a verdict or a reason."""

from __future__ import annotations

import threading

from support import RunLocal, StandIn

from tau2_enhanced.logging.events import LLMCallEvent, UserSimEvent


def gold_at(url: str) -> list[str]:
    return [f"--{role}-{flag}" for role in ("agent", "user") for flag in ("model=vllm/gold", f"base-url={url}")]


def test_calls_that_hang_leave_every_task_with_a_verdict_or_a_reason(run_local: RunLocal, stand_in: StandIn) -> None:
    flags = ["--domains", "mock", "--num-tasks", "8", "--num-trials", "5", "--max-concurrency", "8"]
    run = run_local(*flags, *gold_at(stand_in("--hang-every", "20")), "--llm-timeout", "1")
    assert run.code == 1
    reasons = [(line["status"], line["error_type"]) for line in run.record]
    assert len(reasons) == 40
    assert set(reasons) == {("verdict", None), ("no_verdict", "deadline_passed")}
    calls = [event for event in run.events("mock") if isinstance(event, LLMCallEvent | UserSimEvent)]
    hung = [call for call in calls if call.error_type]
    assert len(hung) == reasons.count(("no_verdict", "deadline_passed")) == len(calls) // 20
    assert {call.error_type for call in hung} == {"deadline_passed"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("worker-")]
    mended = run_local("--resume", "R", *gold_at(stand_in()), "--llm-timeout", "600")
    assert (mended.code, mended.summary["finished"]) == (0, 40)


def one_task(run_local: RunLocal, url: str, *flags: str) -> tuple[object, ...]:
    run = run_local("--domains", "mock", "--task-ids", "create_task_1", *gold_at(url), *flags)
    (line,) = run.record
    return line["status"], line["reward"], line["error_type"]


def test_a_task_that_takes_too_long_has_no_verdict(run_local: RunLocal, stand_in: StandIn) -> None:
    """The limit cuts a call that its own limit would have let run."""
    url = stand_in("--hang-every", "3")
    assert one_task(run_local, url, "--task-timeout", "2") == ("no_verdict", None, "task_timeout")


def test_a_task_that_works_too_long_has_failed(run_local: RunLocal, stand_in: StandIn) -> None:
    url = stand_in("--latency", "30")
    assert one_task(run_local, url, "--task-working-timeout", "0.5") == ("verdict", 0.0, "limit_reached")


def test_waiting_for_a_server_in_trouble_is_no_work(run_local: RunLocal, stand_in: StandIn) -> None:
    url = stand_in("--fail-every", "1")
    flags = ["--llm-retries", "99", "--task-working-timeout", "0.4", "--task-timeout", "1.5"]
    assert one_task(run_local, url, *flags) == ("no_verdict", None, "task_timeout")
