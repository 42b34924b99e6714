from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced import tau2_versions

tau2_versions.load()

from tau2.data_model.message import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage  # noqa: E402
from tau2.orchestrator.orchestrator import Orchestrator  # noqa: E402

from tau2_enhanced.runner.orchestrator import RecordedOrchestrator  # noqa: E402

TIMES = st.sampled_from(["2026-01-01T00:00:00.1", "2026-01-01T00:00:00.2", "2026-01-01T00:00:01"])
CALL = ToolCall(id="c0", name="look", arguments={"at": [1, {"x": 2}]})


def messages(timestamp: str) -> st.SearchStrategy[Message]:
    said: dict[str, Any] = {"timestamp": timestamp}
    return st.sampled_from(
        [
            AssistantMessage(role="assistant", content="Hi", raw_data={"message": {"content": "Hi"}}, **said),
            AssistantMessage(role="assistant", tool_calls=[CALL], turn_idx=7, **said),
            UserMessage(role="user", content="Hello", cost=0.1, usage={"prompt_tokens": 1}, **said),
            ToolMessage(id="c0", role="tool", content="{}", requestor="assistant", **said),
        ]
    )


@given(st.lists(TIMES.flatmap(messages)))
def test_the_trajectory_is_tau2s(exchanged: list[Message]) -> None:
    before = [message.model_dump() for message in exchanged]
    orchestrator = RecordedOrchestrator.__new__(RecordedOrchestrator)
    orchestrator.trajectory = exchanged
    ours, theirs = orchestrator.get_trajectory(), Orchestrator.get_trajectory(orchestrator)
    assert ours == theirs
    assert [message.model_dump_json() for message in ours] == [message.model_dump_json() for message in theirs]
    assert [message.model_dump() for message in exchanged] == before
