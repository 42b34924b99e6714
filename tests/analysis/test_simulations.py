from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from support import RunLocal, Spawn, wait_until

from tau2_enhanced.analysis.inputs import find_logs
from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.simulations import chosen, count_attempts, simulations
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.analysis.table import Choice, EventTable, to_table
from tau2_enhanced.logging.events import (
    LLMCallEvent,
    RunCompleteEvent,
    RunStartEvent,
    TaskCompleteEvent,
    TaskStartEvent,
)


def began(task: str, sim: str, start_ms: float) -> TaskStartEvent:
    return TaskStartEvent(run="r", domain="retail", task=task, trial=0, sim=sim, start_ms=start_ms)


def ended(task: str, sim: str, start_ms: float, reward: float | None) -> TaskCompleteEvent:
    return TaskCompleteEvent(
        run="r", domain="retail", task=task, trial=0, sim=sim, start_ms=start_ms, duration_ms=1.0, reward=reward
    )


def test_the_attempt_with_a_verdict_counts() -> None:
    lines = Lines()
    read_events(
        [
            began("1", "killed", 0.0),
            began("1", "failed", 10.0),
            ended("1", "failed", 10.0, None),
            began("1", "good", 20.0),
            ended("1", "good", 20.0, 0.0),
            began("2", "first", 1.0),
            ended("2", "first", 1.0, None),
            began("2", "last", 2.0),
            began("3", "only", 3.0),
        ],
        lines,
    )
    found = simulations(to_table(lines))
    counting = set(found.filter("counts")["simulation"])
    assert counting == {"good", "first", "only"}
    assert count_attempts(found) == {"counting": 3, "repeated": 3, "unfinished": 3}


def test_a_conversation_has_the_verdict_and_the_costs_of_its_later_evaluations() -> None:
    def end(sim: str, reward: float | None, cost: float | None, judge: float | None, **more: str) -> TaskCompleteEvent:
        outcome = replace(ended("1", sim, float(len(sim)), reward), cost_usd=cost, judge_cost_usd=judge)
        return replace(outcome, trial=None, run=sim[0], **more)

    lines = Lines()
    read_events(
        [
            end("a", None, 1.0, None, error_type="judge_failed"),
            end("a2", None, 0.25, 0.25, error_type="judge_failed", continues="a"),
            end("a3", 1.0, 0.5, 0.5, continues="a"),
            end("b", None, None, None, error_type="judge_failed"),
            end("b2", 0.0, 0.5, 0.5, continues="b"),
            # the log of its conversation is lost
            end("c2", 1.0, 0.5, 0.5, continues="c"),
        ],
        lines,
    )
    found = simulations(to_table(lines)).select(
        "simulation", "counts", "verdict", "error_type", "cost_usd", "judge_cost_usd"
    )
    assert {name: tuple(rest) for name, *rest in found.iter_rows()} == {
        "a": (True, "passed", None, 1.75, 0.75),
        "a2": (False, "no verdict", "judge_failed", 0.25, 0.25),
        "a3": (False, "passed", None, 0.5, 0.5),
        "b": (True, "failed", None, None, None),
        "b2": (False, "failed", None, 0.5, 0.5),
        "c2": (True, "passed", None, 0.5, 0.5),
    }


def test_no_attempts_are_none() -> None:
    assert count_attempts(simulations(EventTable())) == {"counting": 0, "repeated": 0, "unfinished": 0}


def test_a_killed_and_resumed_run(run_local: RunLocal, spawn_run: Spawn) -> None:
    process = spawn_run("--domains", "mock", "--num-trials", "30", "--run-id", "R", "--display", "none")
    log = Path("logs/eval_mock.log")
    wait_until(lambda: log.exists() and log.read_text().count("type=task_complete") >= 20, process)
    process.kill()
    process.communicate()
    run = run_local("--resume", "R")
    assert run.code == 0
    table = read_table(find_logs(["logs"]))
    began, ended = (set(table.of(kind)["sim"]) for kind in ("task_start", "task_complete"))
    recorded = {line["sim"] for line in run.record}
    # of those that ended as the kill came, the record or the log may not have known yet
    assert count_attempts(simulations(table)) == {
        "counting": 270,
        "repeated": len(began - recorded),
        "unfinished": len(began - ended),
    }
    assert began - recorded


def test_time_chooses_whole_simulations() -> None:
    def at(minute: int) -> datetime:
        return datetime(2026, 3, 14, 9, minute)

    lines = Lines()
    read_events(
        [
            LLMCallEvent(sim="early", timestamp=at(1), start_ms=0.0, duration_ms=1.0),
            TaskCompleteEvent(sim="early", timestamp=at(10), duration_ms=9.0),
            LLMCallEvent(sim="late", timestamp=at(5), start_ms=0.0, duration_ms=2.0),
            TaskCompleteEvent(sim="late", timestamp=at(20), duration_ms=9.0),
            TaskStartEvent(sim="running", timestamp=at(19)),
            RunStartEvent(timestamp=at(0)),
            RunCompleteEvent(timestamp=at(30)),
        ],
        lines,
    )
    table = to_table(lines)

    def left(choice: Choice) -> tuple[list[str], set[str]]:
        found = chosen(table, choice)
        return sorted(simulations(found)["simulation"]), set(found.frames)

    calls = {"llm_call", "task_complete"}
    assert left(Choice(since=at(11))) == (["late", "running"], {*calls, "task_start", "run_complete"})
    assert left(Choice(until=at(11))) == (["early"], {*calls, "run_start"})
    assert left(Choice(since=at(11), until=at(20))) == (["running"], {"task_start"})
    assert chosen(table, Choice(since=at(40))).count == 0
