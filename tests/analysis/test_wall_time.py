from __future__ import annotations

import polars as pl
import pytest
from support import RunLocal

from tau2_enhanced.analysis.inputs import find_logs
from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.analysis.wall_time import slowest_calls, slowest_simulations, where_time_went
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    LLMCallEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    UserSimEvent,
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
        "framework_ms": 55.0,
        "total_ms": 300.0,
    }


def test_without_an_ended_simulation_there_is_nothing_to_divide() -> None:
    assert where_time_went(simulated(LLMCallEvent(sim="a", duration_ms=1.0))) is None
    assert where_time_went(simulations(EventTable())) is None
    assert slowest_calls(EventTable()) == slowest_simulations(simulations(EventTable())) == []


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
    found = where_time_went(simulations(read_table(find_logs(["logs"]))))
    assert found is not None
    assert sum(ms for name, ms in found.items() if name != "total_ms") == pytest.approx(found["total_ms"])
    assert found["framework_ms"] > 0
