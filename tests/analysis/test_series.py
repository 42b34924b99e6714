from __future__ import annotations

import pytest

from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.series import cost_by_role, duration_series, error_series, usage_series
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    ModelCallEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    UserSimEvent,
)


def table(*events: ExecutionEvent) -> EventTable:
    lines = Lines()
    read_events(events, lines)
    return to_table(lines)


def test_streams_have_series_of_their_own() -> None:
    calls = [
        LLMCallEvent(model="m", duration_ms=1000.0, ttft_ms=ttft, decode_ms=1000.0 - ttft, output_tokens=90)
        for ttft in (100.0, 300.0)
    ]
    whole = LLMCallEvent(model="m", duration_ms=500.0, output_tokens=20)
    found = table(*calls, whole)
    rows = {row["measure"]: row for row in duration_series(found, 10_000.0)}
    assert {measure: (row["n"], row["mean_ms"], row["share"]) for measure, row in rows.items()} == {
        "duration": (3, pytest.approx(2500 / 3), 0.25),
        "ttft": (2, 200.0, 0.04),
        "decode": (2, 800.0, 0.16),
    }
    (usage,) = usage_series(found)
    assert usage["decode_tokens_per_s"] == pytest.approx(178 / 1.6)
    assert usage["output_tokens_per_s"] == pytest.approx(200 / 2.5)


def test_decoding_has_the_tokens_that_it_made() -> None:
    calls = [
        LLMCallEvent(model="m", duration_ms=900.0, ttft_ms=100.0, decode_ms=800.0, output_tokens=41),
        LLMCallEvent(model="m", duration_ms=100.0, ttft_ms=100.0, decode_ms=0.0, output_tokens=500),
        LLMCallEvent(model="m", duration_ms=500.0, ttft_ms=100.0, decode_ms=400.0),
    ]
    (usage,) = usage_series(table(*calls))
    assert usage["decode_tokens_per_s"] == 50.0
    (usage,) = usage_series(table(*calls[1:]))
    assert usage["decode_tokens_per_s"] is None


def test_tokens_a_second_are_of_the_calls_whose_tokens_are_known() -> None:
    calls = [
        LLMCallEvent(model="m", duration_ms=1000.0, input_tokens=900, output_tokens=100),
        LLMCallEvent(model="m", duration_ms=500.0, output_tokens=20),
        LLMCallEvent(model="m", duration_ms=2500.0),
        LLMCallEvent(model="m", input_tokens=50, output_tokens=7),
        LLMCallEvent(model="m", duration_ms=4000.0, input_tokens=9, output_tokens=9, error_type="http_500"),
    ]
    (usage,) = usage_series(table(*calls))
    assert (usage["input_tokens_per_s"], usage["output_tokens_per_s"]) == (900.0, 80.0)


def test_a_role_costs_what_its_calls_do_and_unknown_is_not_zero() -> None:
    calls = [
        LLMCallEvent(model="a", cost_usd=0.5),
        LLMCallEvent(model="b", cost_usd=0.25),
        ExpertCallEvent(model="c", cost_usd=1.0),
        UserSimEvent(model="a", cost_usd=0.125),
    ]
    # in this order, however much each of them used
    assert list(cost_by_role(usage_series(table(*reversed(calls)))).items()) == [
        ("agent_usd", 0.75),
        ("expert_usd", 1.0),
        ("user_simulator_usd", 0.125),
        ("total_usd", 1.875),
    ]
    unknown = cost_by_role(usage_series(table(*calls, EvaluatorEvent(model="j"))))
    assert (unknown["agent_usd"], unknown["judge_usd"], unknown["total_usd"]) == (0.75, None, None)


def test_calls_of_no_known_role_go_by_their_type() -> None:
    costs = cost_by_role(usage_series(table(ModelCallEvent(model="b", cost_usd=2.0), LLMCallEvent(cost_usd=1.0))))
    assert list(costs.items()) == [("agent_usd", 1.0), (f"{ModelCallEvent.type}_usd", 2.0), ("total_usd", 3.0)]


def test_errors_are_counted_by_what_they_were() -> None:
    found = error_series(
        table(
            LLMCallEvent(error_type="http_500"),
            LLMCallEvent(error_type="http_500"),
            LLMCallEvent(),
            ToolCallEvent(error=True, error_type="ValueError"),
            ToolCallEvent(error=True),
            ToolCallEvent(error=False),
            TaskCompleteEvent(error_type="timeout"),
        )
    )
    assert [(row["type"], row["error_type"], row["n"]) for row in found] == [
        ("llm_call", "http_500", 2),
        ("task_complete", "timeout", 1),
        ("tool_call", "ValueError", 1),
        ("tool_call", "unknown", 1),
    ]
