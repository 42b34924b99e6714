"""What tau2 copies whole is copied as it is read, and what it was copied from stays as it is."""

from __future__ import annotations

import copy
from typing import Any

from tau2_enhanced import tau2_versions


def test_a_replay_leaves_the_conversation_as_it_was() -> None:
    from tau2.data_model.message import AssistantMessage, ToolCall, ToolMessage

    construct = tau2_versions.load().get_env_constructor("mock")
    good = ToolCall(id="1", name="create_task", arguments={"user_id": "user_1", "title": "Call back"})
    refused = ToolCall(id="2", name="create_task", arguments={"user_id": "user_1", "title": ["no", "text"]})
    environment = construct()
    answers = [environment.get_response(call.model_copy(deep=True)) for call in (good, refused)]
    said = AssistantMessage(role="assistant", tool_calls=[good, refused], raw_data={"id": "chatcmpl-1"})
    replied = [ToolMessage(id=answer.id, role="tool", content=answer.content) for answer in answers]
    before = said.model_dump()

    replaying = construct()
    make_tool_call = replaying.make_tool_call

    def changing(tool_name: str, **options: Any) -> Any:
        given = copy.deepcopy(options)
        if isinstance(options["title"], list):
            options["title"].append("changed by the tool")
        return make_tool_call(tool_name, **given)

    replaying.make_tool_call = changing
    replaying.set_state(None, None, [said, *replied])
    assert said.model_dump() == before
    assert type(said) is AssistantMessage
    assert replaying.get_db_hash() == environment.get_db_hash() != construct().get_db_hash()


def test_each_simulation_has_a_first_message_of_its_own() -> None:
    from tau2.data_model.message import AssistantMessage
    from tau2.orchestrator import orchestrator
    from tau2.orchestrator.orchestrator import DEFAULT_FIRST_AGENT_MESSAGE

    tau2_versions.load()
    before = DEFAULT_FIRST_AGENT_MESSAGE.model_dump()
    one, other = (vars(orchestrator)["deepcopy"](DEFAULT_FIRST_AGENT_MESSAGE) for _ in range(2))
    one.timestamp = "2026-01-01T00:00:00"
    assert type(one) is AssistantMessage
    assert one.model_dump() == before | {"timestamp": "2026-01-01T00:00:00"}
    assert other.model_dump() == DEFAULT_FIRST_AGENT_MESSAGE.model_dump() == before


def test_a_copys_copy_is_whole() -> None:
    """As tau2's own orchestrator makes them of a trajectory: a copy of the list, and one of each message in it."""
    from tau2.data_model.message import AssistantMessage
    from tau2.orchestrator import orchestrator

    tau2_versions.load()
    copied = vars(orchestrator)["deepcopy"]
    message = AssistantMessage(role="assistant", content="hello", raw_data={"a": [1]})
    [first] = copied([message])
    second = copied(first)
    second.turn_idx = 3
    second.raw_data["a"].append(2)
    assert (first.turn_idx, first.raw_data) == (None, {"a": [1]})
    assert (message.turn_idx, message.raw_data) == (None, {"a": [1]})
    assert type(second) is AssistantMessage
