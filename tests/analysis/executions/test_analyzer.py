from __future__ import annotations

import inspect
import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import CHECKOUT

from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.logging import ExecutionLogger
from tau2_enhanced.logging.events import (
    ContextReductionEvent,
    ExecutionEvent,
    StateChangeEvent,
    TaskCompleteEvent,
    ToolExecutionEvent,
    event_fields,
    to_json,
)

METHODS = [name for name, _ in inspect.getmembers(LogAnalyzer, inspect.isfunction) if name.startswith("get_")]
AT = datetime(2026, 1, 2, 3, 4, 5)

METHOD_3 = """
from tau2_enhanced.analysis import LogAnalyzer

# Load and analyze enhanced logs
analyzer = LogAnalyzer("path/to/enhanced_logs.json")

# Get comprehensive analysis
analysis = analyzer.get_comprehensive_analysis()
print(f"Total tool calls: {analysis['basic_stats']['total_tool_calls']}")
print(f"Success rate: {analysis['basic_stats']['success_rate']:.2%}")

# Argument analysis
arg_analysis = analyzer.get_argument_analysis()
print(f"Most complex arguments: {arg_analysis['complexity_distribution']}")

# Performance insights
perf_analysis = analyzer.get_performance_analysis()
print(f"Slowest tools: {perf_analysis['slowest_tools']}")

# Get performance bottlenecks
bottlenecks = analyzer.get_performance_bottlenecks()
print(f"Slowest operations: {bottlenecks['slowest_operations']}")

# Analyze tool efficiency
efficiency = analyzer.get_tool_efficiency_metrics()
print(f"Most efficient tools: {efficiency['top_performers']}")

# Get argument correlations
correlations = analyzer.get_argument_correlation_analysis()
print(f"Performance predictors: {correlations['performance_predictors']}")
"""

REFERENCE = """
from tau2_enhanced.analysis import LogAnalyzer

analyzer = LogAnalyzer("enhanced_logs.json")

# Comprehensive analysis
analysis = analyzer.get_comprehensive_analysis()

# Specific analysis types
perf_analysis = analyzer.get_performance_analysis()
arg_analysis = analyzer.get_argument_analysis()
error_analysis = analyzer.get_error_analysis()
temporal_analysis = analyzer.get_temporal_analysis()
"""


def tool_call(**fields: Any) -> ToolExecutionEvent:
    return ToolExecutionEvent(**{"tool_name": "lookup", "success": True, "execution_time": 0.002, **fields})


def analyzer_of(folder: Path, events: list[ExecutionEvent]) -> LogAnalyzer:
    path = folder / "events.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in events))
    return LogAnalyzer(path)


def everything(analyzer: LogAnalyzer) -> dict[str, Any]:
    """The results of all methods, once through JSON that allows neither NaN nor Infinity."""
    made = {name: getattr(analyzer, name)() for name in METHODS}
    read = json.loads(json.dumps(made, allow_nan=False))
    assert read == made
    return made


@pytest.mark.parametrize("snippet", [METHOD_3, REFERENCE])
def test_the_documents_snippets_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], snippet: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with ExecutionLogger() as logger:
        for number in range(4):
            arguments = {"departure": "NYC", "destination": "LAX"}
            logger.log_tool_execution("search_flights", number > 0, 0.5, arguments, [number], sim="s")
        logger.export("enhanced_logs.json")
        logger.export("path/to/enhanced_logs.json")
    exec(snippet, {})
    if snippet == METHOD_3:
        shown = capsys.readouterr().out
        assert "Total tool calls: 4\nSuccess rate: 75.00%\nMost complex arguments: {'n': 4," in shown
        for words in ("Slowest tools:", "Slowest operations:", "Most efficient tools:"):
            assert f"{words} [{{'tool': 'search_flights'" in shown
        assert "Performance predictors: [{'predictor':" in shown


def test_a_call_that_took_longer_than_its_process_has_been_running_is_counted(tmp_path: Path) -> None:
    with ExecutionLogger(tmp_path / "execution.jsonl") as logger:
        logger.log_tool_execution("search_flights", True, 1e6)
    found = LogAnalyzer(tmp_path / "execution.jsonl").get_basic_statistics()
    assert (found["total_tool_calls"], found["broken_lines"]) == (1, 0)


def test_there_are_more_than_fifteen_methods_and_the_comprehensive_one_has_all() -> None:
    assert len(METHODS) > 15
    assert all(inspect.getdoc(getattr(LogAnalyzer, name)) for name in METHODS)


def test_no_events_have_defined_answers(tmp_path: Path) -> None:
    made = everything(analyzer_of(tmp_path, []))
    assert set(made) == set(METHODS)
    basic = made["get_basic_statistics"]
    assert (basic["total_tool_calls"], basic["success_rate"], basic["span_s"]) == (0, None, None)
    assert made["get_performance_analysis"]["slowest_tools"] == []
    assert made["get_inequality_analysis"]["calls_by_tool"] is None
    assert made["get_diversity_analysis"]["tools"]["shannon_bits"] is None
    assert made["get_outcome_analysis"]["pass_rate"] == {"value": None, "low": None, "high": None, "n": 0}


def test_one_event(tmp_path: Path) -> None:
    made = everything(analyzer_of(tmp_path, [tool_call(sim="s", timestamp=AT)]))
    basic = made["get_basic_statistics"]
    assert (basic["success_rate"], basic["span_s"], basic["execution_time"]["std_ms"]) == (1.0, 0.0, None)
    assert made["get_temporal_analysis"]["calls_per_minute"] is None
    assert [part["calls"] for part in made["get_temporal_analysis"]["timeline"]] == [1]
    assert made["get_confidence_intervals"]["mean_execution_time_ms"]["low"] is None
    assert made["get_transition_analysis"]["transitions"] == []


def test_an_event_that_says_nothing(tmp_path: Path) -> None:
    made = everything(analyzer_of(tmp_path, [ToolExecutionEvent()]))
    assert made["get_basic_statistics"]["calls_without_outcome"] == 1
    assert made["get_performance_analysis"] | {"execution_time": None} == {
        "execution_time": None,
        "slowest_tools": [],
        "untimed_calls": 1,
    }


def test_all_failing(tmp_path: Path) -> None:
    events: list[ExecutionEvent] = [
        tool_call(success=False, error_message=f"no {n}", sim="s", timestamp=AT + timedelta(seconds=n))
        for n in range(5)
    ]
    made = everything(analyzer_of(tmp_path, events))
    assert made["get_basic_statistics"]["success_rate"] == 0.0
    assert made["get_error_analysis"]["total_errors"] == made["get_error_analysis"]["longest_streak"] == 5
    assert made["get_error_analysis"]["recovery"]["recovered"]["value"] == 0.0
    assert made["get_confidence_intervals"]["by_tool"][0]["success_rate"]["low"] == 0.0
    assert made["get_tool_efficiency_metrics"]["useful_rate"]["value"] == 0.0


def test_all_at_once_and_in_no_time(tmp_path: Path) -> None:
    events: list[ExecutionEvent] = [tool_call(sim="s", timestamp=AT, execution_time=0.0) for _ in range(5)]
    made = everything(analyzer_of(tmp_path, events))
    temporal = made["get_temporal_analysis"]
    assert (temporal["span_s"], temporal["calls_per_minute"]) == (0.0, None)
    assert [part["calls"] for part in temporal["timeline"]] == [5]
    assert {trend["direction"] for trend in temporal["trends"]} == {"none"}
    assert made["get_inequality_analysis"]["execution_time_by_call"] is None
    assert made["get_performance_bottlenecks"]["by_total_time"][0]["share"] is None


def test_what_took_longer_than_anything_is_no_measurement(tmp_path: Path) -> None:
    made = everything(analyzer_of(tmp_path, [tool_call(execution_time=1.7e308), tool_call(execution_time=-1.0)]))
    assert made["get_performance_analysis"]["untimed_calls"] == 2


def test_the_evaluators_events_are_never_counted(tmp_path: Path) -> None:
    own: list[ExecutionEvent] = [
        tool_call(sim="s", timestamp=AT),
        StateChangeEvent(sim="s", action_trigger="lookup"),
        ContextReductionEvent(sim="s", tokens_before=9, tokens_after=4),
    ]
    others = [
        type(event)(**(vars(event) | {"phase": phase, "tool_call_id": f"{phase} {turn}"}))
        if isinstance(event, ToolExecutionEvent)
        else type(event)(**(vars(event) | {"phase": phase}))
        for turn, event in enumerate(own * 3)
        for phase in ("replay", "gold")
    ]
    alone = everything(analyzer_of(tmp_path, own))
    mixed = everything(analyzer_of(tmp_path, [*others, *own]))
    for made in (alone, mixed):
        del made["get_comprehensive_analysis"], made["get_basic_statistics"]["set_aside"]
    assert alone == mixed


def test_the_package_stays_light() -> None:
    heavy = ["polars", "pandas", "numpy", "scipy", "matplotlib", "tau2_enhanced.analysis.analyzer"]
    code = f"import sys, tau2_enhanced.analysis; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_messages = st.sampled_from(["a", "b", "Error 17 of 'x'\nmore", "1 validation error for X\nid\n  Bad"])
_texts = st.one_of(st.none(), _messages, st.text(max_size=5))
_floats = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 0.001, 0.5]))
_counts = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 3))
_json = st.recursive(
    _texts | st.booleans() | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_times = st.one_of(st.none(), st.datetimes(), st.datetimes(AT, AT + timedelta(seconds=2)))
_of_kind: dict[type, st.SearchStrategy[Any]] = {
    str: _texts,
    float: _floats,
    int: _counts,
    bool: st.one_of(st.none(), st.booleans()),
    object: _json,
    datetime: _times,
}


def _events(cls: type[ExecutionEvent]) -> st.SearchStrategy[ExecutionEvent]:
    fields = {spec.name: _of_kind[spec.kind] for spec in event_fields(cls) if spec.name != "extra"}
    named = {
        "sim": st.sampled_from([None, "s", "t"]),
        "phase": st.sampled_from([None, "live", "live", "replay", "gold"]),
    }
    return st.builds(cls, **(fields | named))


@given(
    st.lists(
        st.one_of(
            _events(ToolExecutionEvent),
            _events(ToolExecutionEvent),
            _events(StateChangeEvent),
            _events(ContextReductionEvent),
            _events(TaskCompleteEvent),
        ),
        max_size=8,
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_events_give_clean_answers(tmp_path_factory: pytest.TempPathFactory, events: list[ExecutionEvent]) -> None:
    # a file whose lines are all beyond belief is none of events
    everything(analyzer_of(tmp_path_factory.mktemp("any"), [tool_call(), *events]))
