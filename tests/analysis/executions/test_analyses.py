"""One small recording, and what every analysis has to say of it: the numbers were worked out by hand.

Of its three simulations A has five calls, B two, and C none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.logging.events import (
    ContextReductionEvent,
    ExecutionEvent,
    StateChangeEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    ToolExecutionEvent,
    to_json,
)

approx = pytest.approx
AT = datetime(2026, 1, 2, 3, 4, 5)


def call(
    sim: str, second: float, tool: str, took_ms: float, arguments: dict[str, Any], **fields: Any
) -> ExecutionEvent:
    given: dict[str, Any] = {
        "success": True,
        "state_changed": False,
        "requestor": "assistant",
        "domain": "airline",
        "task": {"A": "1", "B": "2"}[sim],
        "trial": 0,
        "args_count": len(arguments),
        "args_types": {name: type(value).__name__ for name, value in arguments.items()},
        "args_complexity_score": len(arguments) / 10,
        "required_args_provided": ["id"],
        "optional_args_provided": [name for name in arguments if name != "id"],
        "missing_args": [],
        "unexpected_args": [],
        "sensitive_args_detected": False,
        "timestamp": AT + timedelta(seconds=second),
    }
    return ToolExecutionEvent(
        tool_name=tool, execution_time=took_ms / 1000, tool_args=arguments, sim=sim, **(given | fields)
    )


BOOKING: dict[str, Any] = {"id": "12", "seats": [2]}
PHONE = {"sensitive_args_detected": True, "sensitive_args": {"phone": ["/seats/0", "/seats/1"]}}
REFUSED = {"success": False, "error_type": "ValueError", "error_message": "Seat 7 of 'X' for 12 is not free"}
UNKNOWN = {"success": False, "error_type": "KeyError", "error_message": "no such id: zzz\ntraceback"}
RECORDING: list[ExecutionEvent] = [
    call("A", 0, "find", 1, {"id": "12"}),
    call("B", 1, "find", 6, {"id": "zzz"}, **UNKNOWN),
    call("A", 2, "find", 2, {"id": "12"}),
    call("B", 3, "find", 7, {"id": "3"}),
    call("A", 4, "book", 3, BOOKING, **REFUSED, **PHONE),
    call("A", 6, "book", 4, {"seats": [2], "id": "12"}, state_changed=True, **PHONE),
    StateChangeEvent(
        sim="A",
        state_type="database",
        action_trigger="book",
        pre_state_hash="p",
        post_state_hash="q",
        state_diff=[
            {"op": "add", "path": "/bookings/12", "new": 1},
            {"op": "replace", "path": "/users/u/seats", "old": 0, "new": 1},
        ],
    ),
    call("A", 8, "find", 5, {"id": "12"}),
    ContextReductionEvent(
        sim="B", task="2", strategy="truncation", tokens_before=100, tokens_after=25, reduction_ratio=0.75
    ),
    TaskCompleteEvent(sim="A", domain="airline", task="1", trial=0, reward=1.0),
    TaskCompleteEvent(sim="B", domain="airline", task="2", trial=0, reward=0.0),
    TaskCompleteEvent(sim="C", domain="airline", task="2", trial=1, reward=1.0),
]


@pytest.fixture
def analyzer(tmp_path: Path) -> LogAnalyzer:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in RECORDING))
    return LogAnalyzer(path)


def test_basic_statistics(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_basic_statistics()
    assert (found["total_tool_calls"], found["successful_calls"], found["failed_calls"]) == (7, 5, 2)
    assert found["success_rate"] == 5 / 7
    assert (found["tools"], found["simulations"], found["tasks"], found["span_s"]) == (2, 3, 2, 8.0)
    times = found["execution_time"]
    assert (times["mean_ms"], times["total_ms"], times["p50_ms"]) == (
        approx(4.0),
        approx(28.0),
        approx(4.0),
    )
    assert times["std_ms"] == approx((28 / 6) ** 0.5)
    assert times["p90_ms"] == approx(6.4)
    assert (found["calls_per_simulation"]["n"], found["calls_per_simulation"]["mean"]) == (3, 7 / 3)


def test_confidence_intervals(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_confidence_intervals()
    book, find = found["by_tool"]
    assert (book["tool"], find["tool"]) == ("book", "find")
    assert find["success_rate"] == {
        "value": 0.8,
        "low": approx(0.375534, abs=1e-6),
        "high": approx(0.963776, abs=1e-6),
        "n": 5,
    }
    assert find["mean_execution_time_ms"]["value"] == approx(4.2)
    # two simulations: resamples have the mean of A (8/3 ms), of B (6.5 ms) or of both
    assert find["mean_execution_time_ms"]["low"] == approx(8 / 3)
    assert find["mean_execution_time_ms"]["high"] == approx(6.5)
    assert found["success_rate"]["clusters"] == 2
    assert found["mean_calls_per_simulation"]["value"] == 7 / 3


def test_distributions(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_distribution_analysis()
    assert [(row["tool"], row["count"]) for row in found["tool_usage"]] == [("find", 5), ("book", 2)]
    assert found["calls_per_simulation"] == [{"calls": size, "simulations": 1} for size in (0, 2, 5)]
    assert found["execution_time"]["skewness"] == approx(0.0)
    assert found["execution_time"]["geometric_mean_ms"] == approx(5040 ** (1 / 7))
    assert sum(part["count"] for part in found["execution_time"]["histogram"]) == 7


def test_inequality(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_inequality_analysis()
    assert found["calls_by_tool"] == approx(3 / 14)
    assert found["errors_by_tool"] == approx(0.0)
    assert found["execution_time_by_tool"] == approx((21 - 7) / (2 * 28))
    assert found["calls_by_simulation"] == approx(3 / 14)
    assert found["execution_time_by_call"] == approx((-6 - 8 - 6 + 0 + 10 + 24 + 42) / (7 * 28))


def test_diversity(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_diversity_analysis()
    assert found["tools"]["shannon_bits"] == approx(0.863121, abs=1e-6)
    assert found["tools"]["effective_kinds"] == approx(2**0.8631205686)
    assert found["argument_patterns"] == found["tools"]
    assert found["error_types"]["evenness"] == 1.0
    arguments = {row["tool"]: row["shannon_bits"] for row in found["arguments_by_tool"]}
    assert arguments["find"] == approx(0.6 * 0.7369656 + 0.4 * 2.3219281)


def test_performance(analyzer: LogAnalyzer) -> None:
    slowest = analyzer.get_performance_analysis()["slowest_tools"]
    assert [(row["tool"], row["p50_ms"]) for row in slowest] == [
        ("find", approx(5.0)),
        ("book", approx(3.5)),
    ]
    assert slowest[0]["share_of_time"] == approx(0.75)


def test_bottlenecks(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_performance_bottlenecks()
    first = found["slowest_operations"][0]
    assert (first["tool"], first["duration_ms"], first["times_median"]) == (
        "find",
        approx(7.0),
        approx(1.4),
    )
    assert [(row["tool"], row["share"], row["cumulative_share"]) for row in found["by_total_time"]] == [
        ("find", approx(0.75), approx(0.75)),
        ("book", approx(0.25), approx(1.0)),
    ]
    assert (found["total_ms"], found["outliers"]) == (approx(28.0), [])


def test_a_call_far_out_is_an_outlier(tmp_path: Path) -> None:
    """Of 1, 1, 2, 2, 60: quartiles 1 and 2, so what is above 5 is far out."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(to_json(call("A", 0, "find", took, {})) + "\n" for took in (1, 1, 2, 2, 60)))
    (found,) = LogAnalyzer(path).get_performance_bottlenecks()["outliers"]
    assert found == {
        "tool": "find",
        "calls": 5,
        "fence_ms": approx(5.0),
        "outliers": 1,
        "max_ms": approx(60.0),
    }


def test_efficiency(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_tool_efficiency_metrics()
    find, book = found["top_performers"]
    assert (find["tool"], find["useful_calls"], find["repeated_calls"], find["success_rate"]) == ("find", 3, 1, 0.8)
    assert (book["tool"], book["useful_calls"], book["repeated_calls"], book["success_rate"]) == ("book", 1, 1, 0.5)
    assert find["efficiency"] == approx(0.230724, abs=1e-6)
    assert (found["wasted_calls"], found["least_efficient"]) == (3, [book, find])


def test_arguments(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_argument_analysis()
    assert found["complexity_distribution"]["mean"] == approx(0.9 / 7)
    assert [part["count"] for part in found["complexity_distribution"]["histogram"]][:4] == [0, 5, 2, 0]
    assert found["most_complex_calls"][0]["tool"] == "book"
    assert found["types"] == {"str": 7, "list": 2}
    assert found["names"][1] == {"tool": "book", "argument": "seats", "count": 2, "rate": 1.0, "types": {"list": 2}}
    assert found["patterns"] == [
        {"tool": "find", "arguments": ["id"], "count": 5},
        {"tool": "book", "arguments": ["id", "seats"], "count": 2},
    ]
    book, find = found["signature_usage"]
    assert (book["required"], book["optional"], book["calls_with_optional"]) == ({"id": 2}, {"seats": 1.0}, 2)
    assert (find["optional"], find["missing"]) == ({}, {})


def test_correlations(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_argument_correlation_analysis()
    rows = {row["predictor"]: row for row in found["performance_predictors"]}
    # times by rank 1..7, two arguments for the third and fourth: rho = -0.5 / sqrt(28 / 5.25 * 28) by hand
    assert rows["args_count"]["rho"] == approx(-0.158114, abs=1e-6)
    assert rows["args_count"]["rho_within_tools"] is None
    assert rows["args_size_bytes"]["p_value"] is None
    tested = [
        row for row in [*found["performance_predictors"], *found["error_predictors"]] if row["p_value"] is not None
    ]
    assert tested
    assert all(row["q_value"] >= row["p_value"] and row["significant"] == (row["q_value"] <= 0.05) for row in tested)


def test_sensitive_data(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_sensitive_data_analysis()
    assert found["calls_with_sensitive_data"]["value"] == 2 / 7
    assert found["findings_by_kind"] == {"phone": 4}
    assert found["findings_by_place"] == [{"tool": "book", "place": "/seats/*", "kind": "phone", "count": 4}]


def test_errors(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_error_analysis()
    assert (found["total_errors"], found["error_rate"]["value"]) == (2, 2 / 7)
    assert found["by_type"] == {"KeyError": 1, "ValueError": 1}
    assert [(row["tool"], row["errors"], row["error_rate"]["value"]) for row in found["by_tool"]] == [
        ("book", 1, 0.5),
        ("find", 1, 0.2),
    ]
    assert [(cause["cause"], cause["count"]) for cause in found["causes"]] == [
        ("Seat … of … for … is not free", 1),
        ("no such id: …", 1),
    ]
    assert found["recovery"]["recovered"]["value"] == 1.0
    assert found["recovery"]["calls_until_success"]["mean"] == 1.0
    assert (found["longest_streak"], found["simulations_with_errors"]["value"]) == (1, 2 / 3)


def test_redundant_calls(analyzer: LogAnalyzer) -> None:
    """The last find of A comes after a change, and the order of a call's arguments is none."""
    found = analyzer.get_redundant_calls()
    assert (found["redundant_calls"], found["after_success"], found["after_error"]) == (2, 1, 1)
    assert [(row["tool"], row["repeated_calls"], row["repeated_rate"]) for row in found["by_tool"]] == [
        ("book", 1, 0.5),
        ("find", 1, 0.2),
    ]
    assert found["most_repeated"][0] == {
        "simulation": "A",
        "task": "1",
        "tool": "find",
        "arguments": '{"id":"12"}',
        "times": 2,
    }


def test_a_call_that_comes_again_after_one_of_unknown_effect_is_not_examined(tmp_path: Path) -> None:
    """After `book`, which may have changed what `find` finds, but not after one that failed or changed nothing."""
    made: list[tuple[str, bool, bool | None, bool | None]] = [
        # tool, succeeded, changed something, repeats another
        ("find", True, None, False),
        ("find", True, None, True),
        ("book", True, None, False),
        ("find", True, None, None),
        ("find", True, None, True),
        ("cancel", False, None, False),
        ("find", True, None, True),
        ("count", True, False, False),
        ("find", True, None, True),
        ("pay", True, True, False),
        ("find", True, None, False),
        ("book", True, None, False),
    ]
    events = [
        call("A", second, tool, 1, {"id": "1"}, success=success, state_changed=changed)
        for second, (tool, success, changed, _) in enumerate(made)
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in events))
    assert LogAnalyzer(path).executions.calls_with_repeats["repeated"].to_list() == [repeats for *_, repeats in made]
    found = LogAnalyzer(path).get_redundant_calls()
    assert (found["redundant_calls"], found["redundant_rate"]["value"], found["calls_not_examined"]) == (4, 4 / 11, 1)


def test_transitions_never_cross_simulations(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_transition_analysis()
    assert [(row["from"], row["to"], row["count"]) for row in found["transitions"]] == [
        ("find", "find", 2),
        ("book", "book", 1),
        ("book", "find", 1),
        ("find", "book", 1),
    ]
    assert found["transitions"][0]["probability"] == approx(2 / 3)
    assert found["transitions"][0]["lift"] == approx(10 / 9)
    assert found["next_tool_bits"] == approx((3 * 0.9182958 + 2 * 1.0) / 5)
    assert found["any_tool_bits"] == approx(0.9709506)
    assert found["same_tool_again_rate"] == 0.6
    assert (found["first_tools"], found["last_tools"]) == ({"find": 2}, {"find": 2})
    assert {"tools": ["find", "find", "book"], "count": 1} in found["patterns"]


def test_temporal(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_temporal_analysis()
    assert found["calls_per_minute"] == 6 / 8 * 60
    assert len(found["timeline"]) == 20
    assert found["timeline"][0]["start"] == "2026-01-02T03:04:05"
    assert (sum(part["calls"] for part in found["timeline"]), found["timeline"][19]["calls"]) == (7, 1)
    assert [(row["position"], row["calls"], row["errors"]) for row in found["by_position"]] == [
        (0, 2, 1),
        (1, 2, 0),
        (2, 1, 1),
        (3, 1, 0),
        (4, 1, 0),
    ]
    assert found["between_calls_s"]["n"] == 5
    assert found["between_calls_s"]["max_s"] == approx(1.998)


def test_a_rising_trend(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    rising = [call("A", 60 * n, "find", 1 + n, {}) for n in range(12)]
    path.write_text("".join(to_json(event) + "\n" for event in rising))
    trends = LogAnalyzer(path).get_temporal_analysis()["trends"]
    found = {(row["measure"], row["tool"]): row for row in trends}
    assert found["duration_ms", "find"]["tau"] == approx(1.0)
    assert found["duration_ms", "find"]["slope_per_hour"] == approx(60.0)
    assert found["duration_ms", "find"]["direction"] == "rising"
    assert found["errors", None]["direction"] == "none"


def test_state_changes(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_state_change_analysis()
    assert (found["state_changes"], found["changing_calls"]["value"]) == (1, 1 / 7)
    assert found["by_tool"][0] == {"tool": "book", "calls": 2, "changing_calls": 1, "changing_rate": 0.5}
    assert found["simulations_with_changes"]["value"] == 1 / 3
    assert found["operations"] == {"add": 1, "replace": 1}
    assert found["places"] == {"/bookings": 1, "/users": 1}
    assert (found["distinct_states"], found["states_seen_before"], found["failed_calls_that_changed"]) == (2, 0, 0)


def test_context_reductions(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_context_reduction_analysis()
    assert (found["context_reductions"], found["tokens_saved"], found["by_task"]) == (1, 75, {"2": 1})
    assert found["simulations_with_reductions"]["value"] == 1 / 3
    assert found["reduction_ratio"]["mean"] == 0.75


def test_tasks_domains_and_simulations(analyzer: LogAnalyzer) -> None:
    tasks = {row["task"]: row for row in analyzer.get_task_analysis()["tasks"]}
    assert (tasks["1"]["calls"], tasks["1"]["errors"], tasks["1"]["pass_rate"]["value"]) == (5, 1, 1.0)
    assert (tasks["2"]["simulations"], tasks["2"]["calls"], tasks["2"]["pass_rate"]["value"]) == (2, 2, 0.5)
    assert analyzer.get_task_analysis()["unsteady_tasks"] == [{"domain": "airline", "task": "2"}]
    (domain,) = analyzer.get_domain_analysis()["domains"]
    assert (domain["domain"], domain["simulations"], domain["tools"]) == ("airline", 3, {"find": 5, "book": 2})
    rows = analyzer.get_simulation_analysis()["simulations"]
    assert [(row["simulation"], row["calls"], row["repeated_calls"], row["passed"]) for row in rows] == [
        ("A", 5, 2, True),
        ("B", 2, 0, False),
        ("C", 0, 0, True),
    ]


def test_outcomes(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_outcome_analysis()
    assert (found["simulations"], found["with_verdict"], found["pass_rate"]["value"]) == (3, 3, 2 / 3)
    assert found["pass_rate_with_errors"]["value"] == 0.5
    assert found["pass_rate_without_errors"]["value"] == 1.0
    calls = found["measures"][0]
    assert (calls["measure"], calls["mean_passed"], calls["mean_failed"], calls["p_value"]) == ("calls", 2.5, 2.0, None)


def test_outcomes_of_six_simulations(tmp_path: Path) -> None:
    """Passed ones call 1, 2 and 3 times, failed ones 4, 5 and 6: one of the 20 ways to deal six ranks, times two."""
    events: list[ExecutionEvent] = []
    for size in range(1, 7):
        tool = "find" if size <= 3 else "book"
        events += [ToolExecutionEvent(tool_name=tool, success=True, sim=f"s{size}") for _ in range(size)]
        events.append(TaskCompleteEvent(sim=f"s{size}", task=str(size), reward=1.0 if size <= 3 else 0.0))
    path = tmp_path / "events.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in events))
    found = LogAnalyzer(path).get_outcome_analysis()
    assert (found["measures"][0]["effect"], found["measures"][0]["p_value"]) == (0.0, approx(0.1))
    assert [(row["tool"], row["pass_rate_with"]["value"], row["p_value"]) for row in found["tools"]] == [
        ("book", 0.0, approx(0.1)),
        ("find", 1.0, approx(0.1)),
    ]


def test_what_no_call_tells_is_no_zero(tmp_path: Path) -> None:
    """Lines of a log: nothing of arguments, changes or, here, times; C called no tool at all."""
    events: list[ExecutionEvent] = [
        *(ToolCallEvent(sim=sim, domain="airline", task="1", function="find", error=False) for sim in "AAB"),
        *(TaskCompleteEvent(sim=sim, domain="airline", task="1", reward=1.0) for sim in "ABC"),
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in events))
    found = LogAnalyzer(path).get_comprehensive_analysis()
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    assert found["basic_stats"]["state_changing_calls"] is None
    changes = found["state_changes"]
    assert changes["changing_calls"] == changes["simulations_with_changes"] == nothing
    assert [changes[name] for name in ("state_changes", "failed_calls_that_changed", "distinct_states")] == [None] * 3
    repeats = found["redundant_calls"]
    assert (repeats["redundant_calls"], repeats["redundant_rate"], repeats["calls_not_examined"]) == (None, nothing, 3)
    means = {row["measure"]: row["mean_passed"] for row in found["outcomes"]["measures"]}
    assert means == {
        "calls": 1.0,
        "errors": 0.0,
        "repeated_calls": None,
        "tools": 2 / 3,
        "state_changing_calls": None,
        "tools_ms": None,
    }
    (task,) = found["tasks"]["tasks"]
    assert (task["calls"], task["repeated_calls"], task["state_changing_calls"]) == (3, None, None)
    (find,) = found["efficiency"]["top_performers"]
    assert (find["useful_calls"], find["repeated_calls"]) == (3, None)


def test_shares_are_of_the_calls_that_tell(tmp_path: Path) -> None:
    """Of A's calls one tells its arguments and no change, of B's two both; one call of B's repeats the other."""
    told: dict[str, Any] = {"tool_name": "find", "success": True, "tool_args": {"id": "1"}, "state_changed": False}
    events: list[ExecutionEvent] = [
        ToolExecutionEvent(sim="A", **told),
        ToolExecutionEvent(sim="A", tool_name="find", success=True),
        ToolExecutionEvent(sim="B", **told),
        ToolExecutionEvent(sim="B", **told | {"state_changed": True}),
        ToolExecutionEvent(sim="D", tool_name="find", success=True),
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in events))
    found = LogAnalyzer(path)
    changes = found.get_state_change_analysis()
    assert (changes["changing_calls"]["value"], changes["simulations_with_changes"]["value"]) == (1 / 3, 1 / 2)
    repeats = found.get_redundant_calls()
    assert (repeats["redundant_rate"]["value"], repeats["calls_not_examined"]) == (1 / 3, 2)
    assert repeats["by_tool"] == [{"tool": "find", "calls": 5, "repeated_calls": 1, "repeated_rate": 1 / 3}]
    rows = found.get_simulation_analysis()["simulations"]
    assert [(row["repeated_calls"], row["state_changing_calls"]) for row in rows] == [(0, 0), (1, 1), (None, None)]


def test_the_comprehensive_analysis_has_all_of_them(analyzer: LogAnalyzer) -> None:
    found = analyzer.get_comprehensive_analysis()
    assert found["basic_stats"] == analyzer.get_basic_statistics()
    assert found["errors"] == analyzer.get_error_analysis()
    assert found["notes"] == []
