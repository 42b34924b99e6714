"""The snippets of the document about logging, as they stand there; what they leave open is defined around them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tau2_enhanced.logging.events import EVENT_TYPES, from_json, to_dict, to_json

LOGGER = """
from tau2_enhanced.logging import ExecutionLogger

logger = ExecutionLogger(
    log_file="execution.jsonl",
    auto_flush=True,
    console_output=False
)

# Log tool execution
logger.log_tool_execution(
    tool_name="search_flights",
    success=True,
    execution_time=0.5,
    tool_args={"departure": "NYC", "destination": "LAX"},
    result=flight_results
)

# Get statistics
stats = logger.get_statistics()
print(f"Total events: {stats['total_events']}")
"""

TRACKER = """
from tau2_enhanced.logging import StateTracker

tracker = StateTracker(
    max_snapshots=1000,
    auto_snapshot=True,
    track_state_hash=True
)

# Create state snapshot
tracker.create_snapshot(
    state_data={"bookings": 5, "customers": 100},
    action_trigger="book_flight",
    metadata={"tool": "book_flight", "success": True}
)
"""

CUSTOM = """
from tau2_enhanced.logging.events import ExecutionEvent

@dataclass
class CustomAnalysisEvent(ExecutionEvent):
    analysis_type: str = ""
    metrics: Dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        self.source = f"analysis:{self.analysis_type}"
"""

TOOL_EXECUTION = {
    *("tool_name", "tool_call_id", "execution_time", "success", "requestor", "state_changed"),
    *("args_count", "args_size_bytes", "args_complexity_score", "args_types"),
    *("has_file_args", "has_large_args", "sensitive_args_detected"),
    *("required_args_provided", "optional_args_provided", "missing_args", "unexpected_args"),
    *("result_size", "result_type", "result_complexity_score", "result_contains_errors", "result_truncated"),
}
STATE_CHANGE = {
    *("state_type", "action_trigger", "pre_state_hash", "post_state_hash", "state_diff", "change_summary"),
}


@pytest.fixture
def types() -> Iterator[None]:
    before = dict(EVENT_TYPES)
    yield
    EVENT_TYPES.clear()
    EVENT_TYPES.update(before)


def run(snippet: str, **defined: Any) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "snippet", **defined}
    exec(compile(snippet, "snippet", "exec", dont_inherit=True), names)
    return names


def test_the_execution_logger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(LOGGER, flight_results=[{"flight_number": "HAT001", "price": 174}])
    assert capsys.readouterr().out == "Total events: 1\n"
    [line] = (tmp_path / "execution.jsonl").read_text().splitlines()
    assert json.loads(line)["result_preview"] == '[{"flight_number":"HAT001","price":174}]'
    names["logger"].close()


def test_the_state_tracker() -> None:
    tracker = run(TRACKER)["tracker"]
    [snapshot] = tracker.snapshots
    assert snapshot.state_data == {"bookings": 5, "customers": 100}
    assert snapshot.metadata == {"tool": "book_flight", "success": True}


def test_the_custom_event(types: None) -> None:
    # the snippet leaves these imports to its reader
    imports = "from dataclasses import dataclass, field\nfrom typing import Any, Dict\n"
    made = run(imports + CUSTOM)["CustomAnalysisEvent"](analysis_type="drift", metrics={"p": 0.5})
    assert made.source == "analysis:drift"
    assert from_json(to_json(made)) == made


def test_a_tool_execution_has_every_field_of_the_document(tmp_path: Path) -> None:
    from tau2_enhanced.logging import ExecutionLogger

    event = ExecutionLogger().log_tool_execution(
        tool_name="search_flights",
        success=True,
        execution_time=0.245,
        tool_args={"departure": "NYC", "destination": "LAX", "date": "2024-05-01"},
        result={"flights": []},
        state_changed=True,
        signature={"required": ["departure", "destination"], "optional": ["date"]},
    )
    assert set(to_dict(event)) >= TOOL_EXECUTION
    assert event.args_types == {"departure": "str", "destination": "str", "date": "str"}
    assert (event.required_args_provided, event.optional_args_provided) == (["departure", "destination"], ["date"])


def test_a_state_change_has_every_field_of_the_document() -> None:
    from tau2_enhanced.logging import ExecutionLogger

    event = ExecutionLogger().log_state_change("book_flight", {"bookings": {}}, {"bookings": {"B1": {}}})
    assert set(to_dict(event)) >= STATE_CHANGE
    assert event.change_summary == "bookings/B1: added"
