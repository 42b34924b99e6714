from __future__ import annotations

import pytest

from tau2_enhanced.analysis.goodput import goodput, parse_limits
from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.events import LLMCallEvent, StepCompleteEvent, TaskCompleteEvent, UserSimEvent


def test_the_share_within_a_limit_by_hand() -> None:
    lines = Lines()
    read_events(
        [
            LLMCallEvent(duration_ms=100.0, ttft_ms=20.0),
            LLMCallEvent(duration_ms=200.0, ttft_ms=60.0),
            LLMCallEvent(duration_ms=300.0),
            LLMCallEvent(duration_ms=1.0, error_type="http_500"),
            UserSimEvent(duration_ms=9.0, ttft_ms=5.0),
            StepCompleteEvent(total_duration_ms=50.0),
        ],
        lines,
    )
    limits = parse_limits(["llm_call:200", "ttft:50", "step_complete:49.9", "evaluator:1"])
    found = {row["name"]: (row["n"], row["within"], row["share"]) for row in goodput(to_table(lines), limits)}
    assert found == {
        "llm_call": (4, 2, 0.5),
        "ttft": (3, 2, pytest.approx(2 / 3)),
        "step_complete": (1, 0, 0.0),
        "evaluator": (0, 0, None),
    }
    assert goodput(EventTable(), {}) == []


def test_a_simulation_without_a_verdict_is_within_no_limit() -> None:
    lines = Lines()
    read_events(
        [
            TaskCompleteEvent(duration_ms=100.0, reward=1.0),
            TaskCompleteEvent(duration_ms=100.0, reward=0.0, termination_reason="agent_error", error_type="loop"),
            TaskCompleteEvent(duration_ms=100.0, error_type="http_500"),
            TaskCompleteEvent(duration_ms=100.0, termination_reason="infrastructure_error"),
            TaskCompleteEvent(duration_ms=300.0, reward=1.0),
        ],
        lines,
    )
    (found,) = goodput(to_table(lines), {"task_complete": 200.0})
    assert (found["n"], found["within"], found["share"]) == (5, 2, 0.4)


@pytest.mark.parametrize("text", ["llm_call", "llm_call:fast", "llm_call:-1", "llm_call:inf", "prefill:5", ":5", ""])
def test_a_limit_that_is_none_is_the_users_mistake(text: str) -> None:
    with pytest.raises(UserMistake, match="expected NAME:MS"):
        parse_limits([text])
