from __future__ import annotations

import pytest

from tau2_enhanced.analysis.concurrency import BINS, concurrency, numbers
from tau2_enhanced.analysis.figures import task_gantt
from tau2_enhanced.analysis.figures.concurrency import draw
from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.table import Choice, EventTable, to_table
from tau2_enhanced.analysis.timeline import timeline
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    HeartbeatEvent,
    LLMCallEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
)


def table(*events: ExecutionEvent) -> EventTable:
    lines = Lines()
    read_events(events, lines)
    return to_table(lines)


def ran(sim: str, start_ms: float, end_ms: float) -> TaskCompleteEvent:
    return TaskCompleteEvent(run="r", sim=sim, start_ms=start_ms, duration_ms=end_ms - start_ms)


def test_golden_numbers() -> None:
    call = LLMCallEvent(run="r", sim="a", start_ms=1015.0, duration_ms=30.0, retry_wait_ms=10.0)
    found = numbers(timeline(table(ran("a", 1000.0, 1600.0), ran("b", 1300.0, 1600.0), call)))
    assert found is not None
    assert (found["run"], found["start_ms"], found["bin_ms"]) == ("r", 1000.0, pytest.approx(600 / BINS))
    simulations = found["simulations"]
    assert (simulations["mean"], simulations["peak"]) == (pytest.approx(1.5), 2)
    assert simulations["mean_over_time"] == pytest.approx([1.0] * 30 + [2.0] * 30)
    assert found["model_calls"]["mean_over_time"][:6] == pytest.approx([0, 0.5, 1, 1, 0.5, 0])
    assert found["model_calls"]["mean"] == pytest.approx(30 / 600)
    assert found["waiting_to_retry"]["mean_over_time"][:3] == pytest.approx([0.5, 0.5, 0])


def test_the_picture_averages_over_the_same_time_as_the_numbers() -> None:
    call = LLMCallEvent(run="r", sim="a", start_ms=1040.0, duration_ms=40.0, retry_wait_ms=20.0)
    shown = timeline(table(ran("a", 1000.0, 1100.0), call))
    found, levels = numbers(shown), concurrency(shown)
    assert found is not None
    assert levels is not None
    assert (found["model_calls"]["mean"], found["waiting_to_retry"]["mean"]) == pytest.approx((0.4, 0.2))
    assert [axes.get_title() for axes in draw(levels, "run r").axes] == [
        "simulations running: 1 on average, 1 at most",
        "model calls under way: 0.4 on average, 1 at most",
        "model calls waiting to retry: 0.2 on average, 1 at most",
    ]


def test_a_call_that_was_never_answered_is_under_way_until_the_end() -> None:
    started = [TaskStartEvent(run="r", sim=sim, start_ms=0.0) for sim in ("hangs", "pauses")]
    answered = LLMCallEvent(run="r", sim="hangs", start_ms=0.0, duration_ms=100.0)
    beats = [
        HeartbeatEvent(run="r", sim=sim, start_ms=1000.0, age_ms=800.0, waiting_for=what, waiting_ms=800.0)
        for sim, what in (("hangs", "user gold"), ("pauses", "another attempt at gold"))
    ]
    shown = timeline(table(*started, answered, *beats))
    found = numbers(shown)
    assert found is not None
    assert found["model_calls"]["mean"] == pytest.approx(0.9)
    (panel,) = task_gantt.select(shown).panels
    assert [(bar.participant, bar.start_s, bar.end_s) for bar in panel.bars] == [
        ("agent", 0.0, 0.1),
        ("user", 0.2, 1.0),
    ]


def test_types_left_out_tell_when_calls_ran_not_when_simulations_did() -> None:
    call = LLMCallEvent(run="r", sim="a", start_ms=1200.0, duration_ms=300.0)
    later = LLMCallEvent(run="r", sim="a", start_ms=1700.0, duration_ms=100.0)
    tool = ToolCallEvent(run="r", sim="a", start_ms=1500.0, duration_ms=100.0)
    logged = table(ran("a", 1000.0, 2000.0), call, tool, later)
    whole = numbers(timeline(logged))
    assert whole is not None
    assert (whole["simulations"]["mean"], whole["model_calls"]["mean"]) == pytest.approx((1.0, 0.4))
    # from the first call's start to the last one's end: 400 of 600 ms
    calls = numbers(timeline(logged.chosen(Choice(type=["llm_call"]))))
    assert calls is not None
    assert (calls["start_ms"], calls["bin_ms"], calls["model_calls"]["mean"]) == pytest.approx((1200.0, 10.0, 2 / 3))
    assert not calls.keys() & {"simulations", "waiting_to_retry"}
    assert numbers(timeline(logged.chosen(Choice(type=["tool_call"])))) is None


def test_thinned_levels_keep_the_mean() -> None:
    many = [ran(str(n), n * 10.0, n * 10.0 + 5.0) for n in range(2000)]
    found = numbers(timeline(table(*many)))
    assert found is not None
    assert found["simulations"]["mean"] == pytest.approx(0.5, abs=0.01)


def test_where_nothing_lasted_there_is_none() -> None:
    assert numbers(timeline(EventTable())) is None
    assert numbers(timeline(table(ran("a", 5.0, 5.0)))) is None
