"""What is recorded of real tau2 environments, read back from the file that it was written to."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.logging import StateTracker, configure_logging, task_context
from tau2_enhanced.logging.audit import State, verify
from tau2_enhanced.logging.diff import apply
from tau2_enhanced.logging.event_files import read_events
from tau2_enhanced.logging.event_stream import EventStream, stream_to
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    StateChangeEvent,
    StateSnapshotEvent,
    ToolCallEvent,
    ToolExecutionEvent,
    parse_line,
)
from tau2_enhanced.logging.execution_logger import ExecutionLogger
from tau2_enhanced.logging.state_hash import state_hash

pytestmark = pytest.mark.usefixtures("registry")


def call(name: str, requestor: str = "assistant", call_id: str = "c", **arguments: Any) -> Any:
    made = importlib.import_module("tau2.data_model.message").ToolCall
    return made(id=call_id, name=name, arguments=arguments, requestor=requestor)


class Recording:
    """Environments recorded into one file."""

    def __init__(self, registry: Any, path: Path) -> None:
        self.registry = registry
        self.path = path
        self.stream = EventStream(ExecutionLogger(path))

    def environment(self, domain: str, **options: Any) -> Any:
        return LoggingEnvironment(self.registry.get_env_constructor(domain)(), events=self.stream, **options)

    def events(self, *kinds: type[ExecutionEvent]) -> list[Any]:
        self.stream.flush()
        return [event for event in read_events(self.path) if isinstance(event, kinds or ExecutionEvent)]


@pytest.fixture
def recording(registry: Any, tmp_path: Path) -> Any:
    made = Recording(registry, tmp_path / "events.jsonl")
    yield made
    made.stream.close()


def test_a_call_is_recorded_with_its_simulation_and_its_tools_own_signature(recording: Recording) -> None:
    environment = recording.environment("mock")
    with task_context(run="r", sim="s", domain="mock", task="3", trial=1, step=4):
        environment.get_response(call("create_task", user_id="user_1", title="Grüße"))
    [event] = recording.events(ToolExecutionEvent)
    where = (event.run, event.sim, event.domain, event.task, event.trial, event.step, event.phase)
    assert where == ("r", "s", "mock", "3", 1, 4, "live")
    assert (event.tool_name, event.tool_call_id, event.requestor) == ("create_task", "c", "assistant")
    assert (event.success, event.state_changed, event.result_type) == (True, True, "Task")
    assert event.tool_args == {"user_id": "user_1", "title": "Grüße"}
    assert (event.required_args_provided, event.optional_args_provided) == (["user_id", "title"], [])
    assert (event.missing_args, event.unexpected_args, event.validation_errors) == ([], [], [])
    assert json.loads(event.result_preview)["title"] == "Grüße"
    assert event.thread == "MainThread"


@pytest.mark.parametrize(
    ("arguments", "missing", "unexpected", "validation"),
    [
        ({"user_id": "user_1"}, ["title"], [], ["missing 1 required positional argument: 'title'"]),
        (
            {"user_id": "user_1", "title": "x", "colour": "red"},
            [],
            ["colour"],
            ["got an unexpected keyword argument 'colour'"],
        ),
        ({"user_id": "nobody", "title": "x"}, [], [], []),
        ({"user_id": "user_1", "title": 7}, [], [], ["title: Input should be a valid string"]),
    ],
)
def test_what_was_wrong_with_the_arguments_is_what_tau2_said(
    recording: Recording, arguments: dict[str, Any], missing: list[str], unexpected: list[str], validation: list[str]
) -> None:
    response = recording.environment("mock").get_response(call("create_task", **arguments))
    [event] = recording.events(ToolExecutionEvent)
    assert event.success is False
    assert response.content == f"Error: {event.error_message}"
    assert (event.missing_args, event.unexpected_args, event.validation_errors) == (missing, unexpected, validation)
    assert event.state_changed is False


def test_calls_of_one_id_are_told_apart(recording: Recording) -> None:
    environment = recording.environment("mock")
    for call_id in ("c", "c", "", ""):
        environment.get_response(call("get_users", call_id=call_id))
    ids = [event.tool_call_id for event in recording.events(ToolExecutionEvent)]
    assert len(set(ids)) == 4
    assert ids[0] == "c"


def test_snapshots_are_taken_at_the_start_around_each_call_at_errors_and_at_the_end(recording: Recording) -> None:
    environment = recording.environment("mock")
    with environment.to_its_end():
        environment.get_response(call("get_users"))
        environment.get_response(call("create_task", user_id="user_1", title="x"))
        environment.get_response(call("create_task"))
    snapshots = recording.events(StateSnapshotEvent)
    assert [(snapshot.action_trigger, snapshot.changed) for snapshot in snapshots] == [
        ("start", None),
        ("before_get_users", False),
        ("after_get_users", False),
        ("before_create_task", False),
        ("after_create_task", True),
        ("before_create_task", False),
        ("error_create_task", False),
        ("end", False),
    ]
    assert len({snapshot.state_hash for snapshot in snapshots}) == 2


def test_a_simulation_that_breaks_off_ends_in_an_errors_snapshot(recording: Recording) -> None:
    environment = recording.environment("mock")
    with pytest.raises(KeyError), environment.to_its_end():
        raise KeyError("broken off")
    assert [event.action_trigger for event in recording.events(StateSnapshotEvent)] == ["start", "error"]


def prepared(environment: Any, task: Any) -> Any:
    state = task.initial_state
    environment.set_state(
        state.initialization_data if state else None,
        state.initialization_actions if state else None,
        (state.message_history if state else None) or [],
    )
    return environment


def databases(environment: Any) -> dict[str, Any]:
    """Both, in full, as tau2 serialises them."""
    kits = {"database": environment.tools, "user_database": environment.user_tools}
    return {kind: json.loads(kit.db.model_dump_json()) for kind, kit in kits.items() if kit is not None}


@pytest.mark.parametrize("domain", ["mock", "retail", "airline", "telecom"])
def test_differences_are_those_of_the_whole_databases(recording: Recording, domain: str) -> None:
    """Each state change, applied to the database before the call, gives the database after it, and its hash."""
    loader = recording.registry.get_tasks_loader(domain)
    changed = 0
    for task in loader("base" if domain != "mock" else None)[:40:8]:
        environment = prepared(recording.environment(domain), task)
        plain = prepared(recording.registry.get_env_constructor(domain)(), task)
        for number, action in enumerate(task.evaluation_criteria.actions or []):
            asked = call(action.name, action.requestor, f"{task.id}-{number}", **action.arguments)
            before = databases(plain)
            environment.get_response(asked)
            plain.get_response(asked)
            after = databases(plain)
            events = {
                event.state_type: event
                for event in recording.events(StateChangeEvent)
                if event.tool_call_id == asked.id
            }
            for kind, database in before.items():
                if kind in events:
                    event = events[kind]
                    assert apply(database, event.state_diff) == after[kind]
                    assert (event.pre_state_hash, event.post_state_hash) == (
                        state_hash(database),
                        state_hash(after[kind]),
                    )
                    changed += 1
                else:
                    assert database == after[kind]
        assert databases(environment) == databases(plain)
    assert changed > 0


def test_replays_and_gold_actions_are_recorded_on_request_and_never_counted(recording: Recording) -> None:
    [task] = [
        t for t in recording.registry.get_tasks_loader("mock")(None) if t.id == "update_task_with_message_history"
    ]
    prepared(recording.environment("mock"), task)
    assert recording.events(ToolExecutionEvent) == []
    environment = prepared(recording.environment("mock", record_replays=True), task)
    made = environment.make_tool_call("create_task", requestor="assistant", user_id="user_1", title="x")
    assert made.title == "x"
    with pytest.raises(ValueError, match="not found"):
        environment.make_tool_call("create_task", user_id="nobody", title="x")
    events = recording.events(ToolExecutionEvent)
    assert [event.phase for event in events] == ["replay"] * (len(events) - 2) + ["gold", "gold"]
    assert len(events) > 2
    assert [event.success for event in events[-2:]] == [True, False]
    statistics = recording.stream.loggers[0].get_statistics()
    assert statistics["tool_calls"]["total"] == 0
    assert statistics["events_by_phase"]["gold"] == 2


def test_a_tracker_keeps_the_snapshots(registry: Any) -> None:
    tracker = StateTracker()
    environment: Any = LoggingEnvironment(registry.get_env_constructor("telecom")(), state_tracker=tracker)
    with task_context(sim="s", task="t"):
        environment.get_response(call("toggle_data", "user"))
    assert [snapshot.action_trigger for snapshot in tracker.snapshots] == [
        "start",
        "before_toggle_data",
        "after_toggle_data",
    ]
    first, _, last = tracker.snapshots
    assert (last.sim, last.task, last.changed) == ("s", "t", True)
    assert first.state_hash != last.state_hash
    assert last.state_data["user_database"]["device"]["data_enabled"] is False


@pytest.mark.parametrize("hashes", [True, False])
def test_environments_that_share_a_tracker_have_their_own_hashes(registry: Any, hashes: bool) -> None:
    """At its start neither differs from the database it began with; calls that only read change nothing."""
    shared, alone = StateTracker(track_state_hash=hashes), StateTracker(track_state_hash=hashes)
    for domain, read, trackers in (("airline", "list_all_airports", [shared]), ("mock", "get_users", [shared, alone])):
        for tracker in trackers:
            environment: Any = LoggingEnvironment(registry.get_env_constructor(domain)(), state_tracker=tracker)
            environment.get_response(call(read))
    assert [snapshot.changed for snapshot in shared.snapshots] == [None, False, False, True, False, False]
    assert [snapshot.state_hash for snapshot in shared.snapshots[3:]] == [s.state_hash for s in alone.snapshots]
    assert len({snapshot.state_hash for snapshot in shared.snapshots}) == (2 if hashes else 1)


def test_a_log_file_alone_is_enough(registry: Any, tmp_path: Path) -> None:
    path = tmp_path / "custom.jsonl"
    for _ in range(2):
        LoggingEnvironment(registry.get_env_constructor("mock")(), log_file=path).get_response(call("get_users"))
    stream_to(path).close()
    assert verify(path).state is State.INTACT
    assert sum(isinstance(event, ToolExecutionEvent) for event in read_events(path)) == 2


def test_each_environment_is_a_simulation_where_no_context_names_one(registry: Any, tmp_path: Path) -> None:
    path = tmp_path / "custom.jsonl"
    for _ in range(2):
        environment: Any = LoggingEnvironment(registry.get_env_constructor("mock")(), log_file=path)
        for _ in range(3):
            environment.get_response(call("get_users"))
    with task_context(task="7", trial=0):
        environment.get_response(call("get_users"))
    stream_to(path).close()
    found = LogAnalyzer(path)
    assert [row["calls"] for row in found.get_simulation_analysis()["simulations"]] == [3, 3, 1]
    assert found.get_redundant_calls()["redundant_calls"] == 4
    assert next(read_events(path)).sim is not None
    assert [row["task"] for row in found.get_simulation_analysis()["simulations"]] == [None, None, "7"]


def test_an_environment_that_is_watched_already_is_not_told_twice(registry: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "domains.jsonl", tmp_path / "own.jsonl"]
    environment: Any = registry.get_env_constructor("mock_enhanced")()
    for path in paths:
        environment = LoggingEnvironment(environment, log_file=path)
    with configure_logging(["mock"], run_id="r", log_dir=tmp_path), task_context(domain="mock", task="1") as context:
        environment.get_response(call("get_users"))
        environment.get_response(call("create_task", user_id="nobody", title="x"))
    of_log = (parse_line(line) for line in (tmp_path / "eval_mock.log").read_text(encoding="utf-8").splitlines())
    told = [event for event in of_log if isinstance(event, ToolCallEvent)]
    assert context.called_ms == pytest.approx(sum(event.duration_ms or 0 for event in told), abs=0.01)
    assert len(told) == 2
    for path in paths:
        stream_to(path).close()
        read, refused = (event for event in read_events(path) if isinstance(event, ToolExecutionEvent))
        assert (read.result_type, refused.error_type) == ("list", "ValueError")


@pytest.mark.parametrize("domain", ["mock", "mock_enhanced"])
def test_half_a_character_in_a_database_ends_no_simulation(registry: Any, tmp_path: Path, domain: str) -> None:
    path = tmp_path / "custom.jsonl"
    environment: Any = LoggingEnvironment(registry.get_env_constructor(domain)(), log_file=path)
    for title in ("cut \ud83d", "whole"):
        assert not environment.get_response(call("create_task", user_id="user_1", title=title)).error
    stream_to(path).close()
    first, second = (event for event in read_events(path) if isinstance(event, StateChangeEvent))
    assert first.state_diff[0]["new"]["title"] == "cut \ud83d"
    assert [change["path"] for change in second.state_diff] == ["/tasks/task_3", "/users/user_1/tasks/2"]
    assert first.post_state_hash == second.pre_state_hash
    assert [row["calls"] for row in LogAnalyzer(path).get_simulation_analysis()["simulations"]] == [2]


def test_what_was_recorded_can_be_read_once_it_is_flushed(registry: Any, tmp_path: Path) -> None:
    path, tracker = tmp_path / "custom.jsonl", StateTracker()
    constructor = registry.get_env_constructor("retail")
    environment: Any = LoggingEnvironment(constructor(), log_file=path, state_tracker=tracker)
    for _ in range(5):
        environment.get_response(call("list_all_product_types"))
    environment.flush()
    assert len(tracker.snapshots) == 11
    assert LogAnalyzer(path).get_basic_statistics()["total_tool_calls"] == 5
    stream_to(path).close()
