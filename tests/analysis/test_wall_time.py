from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support import RunLocal

from tau2_enhanced.analysis.inputs import find_logs
from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.main import main
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.analysis.wall_time import (
    critical_path,
    slowest_calls,
    slowest_simulations,
    unknown_parts,
    where_time_went,
)
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    HeartbeatEvent,
    LLMCallEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
    UserSimEvent,
    to_line,
)


def table(*events: ExecutionEvent) -> EventTable:
    lines = Lines()
    read_events(events, lines)
    return to_table(lines)


def simulated(*events: ExecutionEvent) -> pl.DataFrame:
    return simulations(table(*events))


def test_the_parts_of_a_simulation_add_up() -> None:
    found = where_time_went(
        simulated(
            LLMCallEvent(sim="a", duration_ms=100.0, retry_wait_ms=30.0),
            LLMCallEvent(sim="a", duration_ms=50.0, retry_wait_ms=0.0),
            UserSimEvent(sim="a", duration_ms=40.0),
            EvaluatorEvent(sim="a", duration_ms=20.0),
            ToolCallEvent(sim="a", duration_ms=5.0),
            TaskCompleteEvent(sim="a", duration_ms=300.0),
            LLMCallEvent(sim="killed", duration_ms=1000.0),
        )
    )
    assert found == {
        "model_ms": 150.0,
        "user_simulator_ms": 40.0,
        "judge_ms": 20.0,
        "tools_ms": 5.0,
        "retry_wait_ms": 30.0,
        "unfinished_call_ms": 0.0,
        "framework_ms": 55.0,
        "total_ms": 300.0,
    }


def test_what_never_ended_is_in_all_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    when = datetime(2026, 3, 14)
    again: dict[str, Any] = {"timestamp": when, "run": "R", "domain": "retail", "task": "1", "trial": 0}
    events = [
        TaskStartEvent(sim="killed", start_ms=0.0, **again),
        LLMCallEvent(sim="killed", start_ms=10.0, duration_ms=90.0, **again),
        TaskStartEvent(sim="whole", start_ms=500.0, **again),
        LLMCallEvent(sim="whole", start_ms=500.0, duration_ms=200.0, **again),
        TaskCompleteEvent(sim="whole", start_ms=500.0, duration_ms=300.0, reward=1.0, **again),
    ]
    log = tmp_path / "eval_retail.log"
    log.write_text("".join(f"{to_line(event)}\n" for event in events))
    out = tmp_path / "out"
    assert main(["--log_file", str(log), "--output_dir", str(out), "--no-figures"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    (calls,) = summary["durations"][:1]
    assert (summary["wall_time"]["model_ms"], summary["wall_time"]["framework_ms"]) == (290.0, 110.0)
    assert calls["total_ms"] / calls["share"] == summary["wall_time"]["total_ms"] == 400.0
    said = capsys.readouterr().out
    for note in (
        "1 attempt never ended: killed, or still running",
        "1 attempt had to be repeated: in all times and costs, in no pass rate",
    ):
        assert f"note: {note}\n" in said
        assert f"- {note}\n" in (out / "report.md").read_text()


def beat(sim: str, at_ms: float, waiting_for: str | None, since_ms: float, age_ms: float) -> HeartbeatEvent:
    waiting_ms = None if waiting_for is None else at_ms - since_ms
    return HeartbeatEvent(sim=sim, start_ms=at_ms, age_ms=age_ms, waiting_for=waiting_for, waiting_ms=waiting_ms)


def test_a_call_that_was_never_answered_is_no_time_of_the_framework() -> None:
    found = simulated(
        TaskCompleteEvent(sim="whole", start_ms=0.0, duration_ms=5.0),
        TaskStartEvent(sim="killed", start_ms=0.0),
        UserSimEvent(sim="killed", start_ms=5.0, duration_ms=95.0),
        beat("killed", 1000.0, "agent m", 110.0, age_ms=890.0),
        beat("killed", 2000.0, "agent m", 110.0, age_ms=1890.0),
        # its first attempt hung too
        TaskStartEvent(sim="retried", start_ms=0.0),
        beat("retried", 1000.0, "agent m", 900.0, age_ms=950.0),
        TaskStartEvent(sim="given up", start_ms=0.0),
        beat("given up", 1000.0, "tool f", 200.0, age_ms=800.0),
        TaskCompleteEvent(sim="given up", start_ms=0.0, duration_ms=1500.0, error_type="given_up"),
        TaskStartEvent(sim="answered", start_ms=0.0),
        beat("answered", 1000.0, "user m", 0.0, age_ms=1000.0),
        UserSimEvent(sim="answered", start_ms=0.0, duration_ms=1200.0),
        TaskStartEvent(sim="evaluated", start_ms=0.0),
        beat("evaluated", 1000.0, "evaluator", 0.0, age_ms=1000.0),
        TaskStartEvent(sim="working", start_ms=0.0),
        beat("working", 1000.0, None, 0.0, age_ms=1000.0),
    )
    shares = found.select("simulation", "unfinished_call_ms", "framework_ms")
    assert {name: tuple(shares) for name, *shares in shares.iter_rows()} == {
        "whole": (0.0, 5.0),
        "killed": (1890.0, 15.0),
        "retried": (950.0, 50.0),
        "given up": (1300.0, 200.0),
        "answered": (0.0, 0.0),
        "evaluated": (0.0, 1000.0),
        "working": (0.0, 1000.0),
    }
    parts = where_time_went(found)
    assert parts is not None
    assert (parts["unfinished_call_ms"], parts["framework_ms"]) == (4140.0, 2270.0)
    assert sum(parts.values()) == 2 * parts["total_ms"]


def test_without_an_ended_simulation_there_is_nothing_to_divide() -> None:
    assert where_time_went(simulated(LLMCallEvent(sim="a", duration_ms=1.0))) is None
    assert where_time_went(simulations(EventTable())) is None
    assert slowest_calls(EventTable()) == slowest_simulations(simulations(EventTable())) == []


def test_what_was_not_logged_is_no_time_of_the_framework() -> None:
    below = [
        UserSimEvent(sim="below", duration_ms=40.0, input_tokens=9, retry_wait_ms=0.0),
        TaskCompleteEvent(sim="below", duration_ms=300.0, steps=4),
    ]
    found = simulated(*below)
    assert where_time_went(found) is None
    assert critical_path(simulated(*below, TaskStartEvent(sim="below", start_ms=0.0))) is None
    assert unknown_parts(found) == {"unlogged_calls": 1, "untimed_calls": 0}
    unknown = ("model_ms", "tools_ms", "retry_wait_ms", "framework_ms", "llm_calls", "tool_calls", "tool_errors",
               "retries", "input_tokens", "output_tokens")  # fmt: skip
    assert found.select(unknown).row(0) == (None,) * len(unknown)
    assert found.select("user_simulator_ms", "judge_ms").row(0) == (40.0, 0.0)
    # one that ended before its first step, and one that asked the user's model alone, have no such calls
    seen = simulated(
        *below,
        TaskCompleteEvent(sim="early", duration_ms=7.0, steps=0),
        UserSimEvent(sim="user", duration_ms=2.0),
        StepCompleteEvent(sim="user", total_duration_ms=2.5),
        TaskCompleteEvent(sim="user", duration_ms=3.0, steps=1),
    )
    assert where_time_went(seen) == {
        "model_ms": 0.0, "user_simulator_ms": 2.0, "judge_ms": 0.0, "tools_ms": 0.0, "retry_wait_ms": 0.0,
        "unfinished_call_ms": 0.0, "framework_ms": 8.0, "total_ms": 10.0,
    }  # fmt: skip
    calls = dict(seen.select("simulation", "llm_calls").iter_rows())
    assert calls == {"below": None, "early": 0, "user": 0}


def ran(sim: str, thread: str | None, start_ms: float, end_ms: float, run: str = "r") -> TaskCompleteEvent:
    return TaskCompleteEvent(run=run, sim=sim, thread=thread, start_ms=start_ms, duration_ms=end_ms - start_ms)


def test_the_critical_path_follows_the_worker_that_ended_last() -> None:
    found = critical_path(
        simulated(
            ran("a", "w1", 0.0, 500.0),
            ran("b", "w2", 10.0, 400.0),
            ran("c", "w2", 450.0, 1000.0),
            ran("d", "w1", 500.0, 900.0),
            LLMCallEvent(run="r", sim="b", thread="w2", start_ms=20.0, duration_ms=300.0),
            LLMCallEvent(run="r", sim="c", thread="w2", start_ms=460.0, duration_ms=100.0, retry_wait_ms=5.0),
            LLMCallEvent(run="r", sim="d", thread="w1", start_ms=510.0, duration_ms=390.0),
        )
    )
    assert found == {
        "model_ms": 400.0,
        "user_simulator_ms": 0.0,
        "judge_ms": 0.0,
        "tools_ms": 0.0,
        "retry_wait_ms": 5.0,
        "unfinished_call_ms": 0.0,
        "framework_ms": 535.0,
        # before b, and between b and c
        "idle_ms": 60.0,
        "total_ms": 1000.0,
        "stopped_ms": 0.0,
    }


def test_without_workers_whatever_ended_before_may_precede_and_runs_add_up() -> None:
    found = critical_path(
        simulated(ran("a", None, 0.0, 300.0), ran("b", None, 300.0, 700.0), ran("c", None, 5.0, 15.0, run="s"))
    )
    assert found is not None
    assert (found["idle_ms"], found["framework_ms"], found["total_ms"]) == (0.0, 710.0, 710.0)
    assert critical_path(simulations(EventTable())) is None


def test_the_slowest_come_first_and_are_ten() -> None:
    events = [ToolCallEvent(sim="a", function=f"f{n}", duration_ms=float(n)) for n in range(12)]
    events_and_ends = [*events, *(TaskCompleteEvent(sim=str(n), task=str(n), duration_ms=n) for n in range(12))]
    found = table(LLMCallEvent(model="m", duration_ms=10.5), *events_and_ends)
    assert [call["name"] for call in slowest_calls(found)] == ["f11", "m", *(f"f{n}" for n in range(10, 2, -1))]
    assert [simulation["task"] for simulation in slowest_simulations(simulations(found))] == [
        str(n) for n in range(11, 1, -1)
    ]


def test_a_real_runs_time_is_accounted_for(run_local: RunLocal) -> None:
    run_local("--domains", "mock")
    simulated_run = simulations(read_table(find_logs(["logs"])))
    found = where_time_went(simulated_run)
    assert found is not None
    assert sum(ms for name, ms in found.items() if name != "total_ms") == pytest.approx(found["total_ms"])
    assert found["framework_ms"] > 0
    path = critical_path(simulated_run)
    assert path is not None
    assert sum(ms for name, ms in path.items() if name != "total_ms") == pytest.approx(path["total_ms"])
    assert path["total_ms"] <= found["total_ms"]
