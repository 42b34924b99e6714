from __future__ import annotations

import gc
import importlib
import json
import logging
import weakref
from typing import Any

import pytest

from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.logging import Clock, task_context
from tau2_enhanced.logging.events import ExecutionEvent, ToolCallEvent

pytestmark = pytest.mark.usefixtures("registry")


def call(name: str, requestor: str = "assistant", **arguments: Any) -> Any:
    made = importlib.import_module("tau2.data_model.message").ToolCall
    return made(id=f"id-{name}", name=name, arguments=arguments, requestor=requestor)


def pair(registry: Any, domain: str, **options: Any) -> tuple[Any, Any]:
    """Two equal environments, the first of them watched."""
    make = registry.get_env_constructor(domain)
    return LoggingEnvironment(make(**options)), make(**options)


def only(events: list[ExecutionEvent]) -> ToolCallEvent:
    [event] = events
    assert isinstance(event, ToolCallEvent)
    return event


@pytest.mark.parametrize(
    ("domain", "path", "name"),
    [
        ("mock", "tau2.environment.environment", "Environment"),
        ("telecom", "tau2.environment.environment", "Environment"),
        ("telecom", "tau2.domains.telecom.environment", "TelecomEnvironment"),
    ],
)
def test_it_is_an_instance_of_what_it_watches(registry: Any, domain: str, path: str, name: str) -> None:
    watched, plain = pair(registry, domain)
    assert isinstance(watched, getattr(importlib.import_module(path), name))
    assert watched.__class__ is type(plain)


def test_a_call_is_recorded_with_its_task(registry: Any, events: list[ExecutionEvent]) -> None:
    watched, _ = pair(registry, "mock")
    with task_context(run="r", sim="s", domain="mock", task="3", trial=1, step=4, clock=Clock()):
        response = watched.get_response(call("create_task", user_id="user_1", title="Grüße"))
    event = only(events)
    assert (event.run, event.sim, event.domain, event.task, event.trial, event.step) == ("r", "s", "mock", "3", 1, 4)
    assert (event.function, event.requestor, event.tool_call_id) == ("create_task", "assistant", "id-create_task")
    assert (event.error, event.error_type, event.call_type) == (False, None, "local_function")
    assert event.args_size == len(json.dumps({"user_id": "user_1", "title": "Grüße"}).encode())
    assert event.result_size == len(response.content.encode())
    assert event.duration_ms is not None
    assert event.start_ms is not None
    assert 0 <= event.start_ms <= event.start_ms + event.duration_ms


@pytest.mark.parametrize(
    ("name", "arguments", "error_type"),
    [
        ("create_task", {"user_id": "nobody", "title": "x"}, "ValueError"),
        ("create_task", {"user_id": "user_1"}, "TypeError"),
        ("create_task", {"user_id": "user_1", "title": "x", "colour": "red"}, "TypeError"),
        ("create_task", {"user_id": ["user_1"], "title": "x"}, "TypeError"),
        ("no_such_tool", {}, "ValueError"),
    ],
)
def test_a_tools_error_is_told_to_the_agent_and_recorded_with_its_class(
    registry: Any, events: list[ExecutionEvent], name: str, arguments: dict[str, Any], error_type: str
) -> None:
    watched, plain = pair(registry, "mock")
    response = watched.get_response(call(name, **arguments))
    assert response == plain.get_response(call(name, **arguments))
    assert response.error
    assert response.content.startswith("Error: ")
    event = only(events)
    assert (event.error, event.error_type) == (True, error_type)


def test_an_argument_of_tau2s_own_name_is_recorded_as_an_error_of_its_own(
    registry: Any, events: list[ExecutionEvent]
) -> None:
    """tau2 itself raises then, before any tool is looked for."""
    watched, plain = pair(registry, "mock")
    watched.get_response(call("no_such_tool"))
    asked = call("get_users").model_copy(update={"arguments": {"requestor": "user"}})
    assert watched.get_response(asked) == plain.get_response(asked)
    event = events[-1]
    assert isinstance(event, ToolCallEvent)
    assert (event.error, event.error_type) == (True, "TypeError")


def test_an_error_is_not_carried_to_the_next_call(registry: Any, events: list[ExecutionEvent]) -> None:
    watched, _ = pair(registry, "mock")
    watched.get_response(call("no_such_tool"))
    watched.get_response(call("get_users"))
    made = [(event.error, event.error_type) for event in events if isinstance(event, ToolCallEvent)]
    assert made == [(True, "ValueError"), (False, None)]


def test_an_error_of_the_synchronisation_is_recorded_with_its_class(
    registry: Any, events: list[ExecutionEvent]
) -> None:
    watched, plain = pair(registry, "telecom")
    for environment in (watched, plain):
        environment.user_tools.db.surroundings.phone_number = "000-no-such-number"
    with pytest.raises(Exception, match=r".") as raised:
        plain.sync_tools()
    response = watched.get_response(call("toggle_data", "user"))
    assert response.error
    assert only(events).error_type == type(raised.value).__name__


def test_an_answer_with_half_an_emoji_is_given_and_recorded(registry: Any, events: list[ExecutionEvent]) -> None:
    """JSON allows lone surrogates, so a model's arguments may hold one, and tau2's error text repeats it."""
    watched, plain = pair(registry, "mock")
    asked = call("create_task", user_id="half an emoji: \ud83d", title="x")
    assert watched.get_response(asked) == plain.get_response(asked)
    assert only(events).error is True


def prepared(environment: Any, task: Any) -> Any:
    state = task.initial_state
    environment.set_state(
        state.initialization_data if state else None,
        state.initialization_actions if state else None,
        (state.message_history if state else None) or [],
    )
    return environment


@pytest.mark.parametrize("domain", ["mock", "telecom"])
def test_it_answers_as_the_environment_it_watches(registry: Any, events: list[ExecutionEvent], domain: str) -> None:
    """Over the gold actions of real tasks, databases of agent and user included."""
    tasks = registry.get_tasks_loader(domain)("base")[::6]
    calls = 0
    for task in tasks:
        watched, plain = (prepared(environment, task) for environment in pair(registry, domain))
        for action in task.evaluation_criteria.actions or []:
            asked = call(action.name, action.requestor, **action.arguments)
            response, expected = watched.get_response(asked), plain.get_response(asked)
            assert response == expected
            assert response.content == expected.content
            calls += 1
        assert watched.get_db_hash() == plain.get_db_hash()
        assert watched.get_user_db_hash() == plain.get_user_db_hash()
    assert calls > 0
    assert len(events) == calls
    assert {event.error for event in events if isinstance(event, ToolCallEvent)} == {False}


def test_telecoms_two_databases_stay_synchronised(registry: Any) -> None:
    watched, _ = pair(registry, "telecom")
    line = watched.tools.db.lines[0]
    watched.user_tools.db.surroundings.phone_number = line.phone_number
    line.roaming_enabled = True
    watched.user_tools.db.surroundings.roaming_allowed = False
    watched.get_response(call("toggle_data", "user"))
    assert watched.user_tools.db.surroundings.roaming_allowed is True


def test_the_replay_of_a_message_history_is_not_recorded(registry: Any, events: list[ExecutionEvent]) -> None:
    [task] = [t for t in registry.get_tasks_loader("mock")("base") if t.id == "update_task_with_message_history"]
    history = task.initial_state.message_history
    assert any(message.role == "tool" for message in history)
    watched, plain = pair(registry, "mock")
    before = watched.get_db_hash()
    prepared(watched, task)
    prepared(plain, task)
    assert watched.get_db_hash() == plain.get_db_hash() != before
    assert events == []


def test_a_call_of_the_evaluator_is_not_recorded(registry: Any, events: list[ExecutionEvent]) -> None:
    watched, plain = pair(registry, "mock")
    arguments = {"user_id": "user_1", "title": "x"}
    made = watched.make_tool_call("create_task", requestor="assistant", **arguments)
    assert made == plain.make_tool_call("create_task", requestor="assistant", **arguments)
    with pytest.raises(ValueError, match="not found"):
        watched.make_tool_call("create_task", user_id="nobody", title="x")
    watched.sync_tools()
    assert events == []


def test_solo_mode_is_kept(registry: Any) -> None:
    watched, plain = pair(registry, "telecom", solo_mode=True)
    assert watched.solo_mode is True
    for requestor in ("assistant", "user"):
        asked = call("toggle_data", requestor)
        assert watched.get_response(asked) == plain.get_response(asked)
    assert watched.get_response(call("toggle_data", "user")).error


def test_what_is_set_through_it_lands_on_the_original(registry: Any) -> None:
    original = registry.get_env_constructor("telecom")()
    watched: Any = LoggingEnvironment(original)
    watched.policy = "another policy"
    watched.own_note = 5
    watched.set_solo_mode(True)
    assert (original.policy, original.own_note, original.solo_mode) == ("another policy", 5, True)
    assert watched.get_policy() == "another policy"


def test_what_is_not_there_is_an_attribute_error(registry: Any) -> None:
    watched, _ = pair(registry, "mock")
    with pytest.raises(AttributeError, match="no_such_attribute"):
        _ = watched.no_such_attribute


def test_tools_and_prompts_are_those_of_the_original(registry: Any) -> None:
    watched, plain = pair(registry, "telecom")
    assert [tool.name for tool in watched.get_tools()] == [tool.name for tool in plain.get_tools()]
    assert [tool.name for tool in watched.get_user_tools()] == [tool.name for tool in plain.get_user_tools()]
    assert watched.get_policy() == plain.get_policy()
    assert watched.get_info(include_tool_info=False) == plain.get_info(include_tool_info=False)


def test_what_a_task_waits_for_is_known_while_a_tool_runs(registry: Any) -> None:
    original = registry.get_env_constructor("mock")()
    seen: list[str] = []
    with task_context() as context:
        make_tool_call = original.make_tool_call

        def look(*args: Any, **kwargs: Any) -> Any:
            seen.append(context.waiting_for)
            return make_tool_call(*args, **kwargs)

        original.make_tool_call = look
        LoggingEnvironment(original).get_response(call("get_users"))
        assert (seen, context.waiting_for) == (["tool get_users"], "")


def test_at_debug_a_call_is_shown_with_what_it_changed(
    registry: Any, events: list[ExecutionEvent], caplog: pytest.LogCaptureFixture
) -> None:
    watched, _ = pair(registry, "mock")
    with caplog.at_level(logging.DEBUG, logger="tau2_enhanced.environments"):
        watched.get_response(call("create_task", user_id="user_1", title="unique title"))
        watched.get_response(call("get_users"))
        watched.get_response(call("create_task", user_id="nobody", title="x"))
    shown = [record for record in caplog.records if record.name.startswith("tau2_enhanced.environments")]
    texts = [record.getMessage() for record in shown]
    assert any(text.startswith("tool create_task(") and "unique title" in text for text in texts)
    assert any(text.startswith("tool get_users returned") for text in texts)
    assert sum(text.startswith("state changed by") for text in texts) == 1
    [traceback] = [record.exc_info for record in shown if record.exc_info]
    assert traceback[0] is ValueError
    assert len(events) == 3


@pytest.mark.parametrize("levels", [(logging.INFO, logging.DEBUG), (logging.DEBUG, logging.INFO)])
def test_the_level_may_change_while_a_tool_runs(
    registry: Any, caplog: pytest.LogCaptureFixture, levels: tuple[int, int]
) -> None:
    original = registry.get_env_constructor("mock")()
    make_tool_call = original.make_tool_call

    def change(*args: Any, **kwargs: Any) -> Any:
        caplog.set_level(levels[1], logger="tau2_enhanced.environments")
        return make_tool_call(*args, **kwargs)

    original.make_tool_call = change
    caplog.set_level(levels[0], logger="tau2_enhanced.environments")
    response = LoggingEnvironment(original).get_response(call("create_task", user_id="user_1", title="t"))
    assert not response.error
    assert "state changed" not in caplog.text


def test_when_it_is_over_its_databases_need_no_garbage_collection(registry: Any) -> None:
    environment = LoggingEnvironment(registry.get_env_constructor("mock")())
    with environment.to_its_end():
        environment.get_response(call("get_users"))
    tools = weakref.ref(environment.tools)
    gc.disable()
    try:
        del environment
        assert tools() is None
    finally:
        gc.enable()
