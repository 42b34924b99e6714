"""tau2's own agent and user, answered by Claude."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from anthropic_rules import broken_rules

from tau2_enhanced import tau2_versions
from tau2_enhanced.models.anthropic_client import AnthropicClient
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import Price, PriceBook
from tau2_enhanced.models.resolve import ModelSpec
from tau2_enhanced.models.simulation_models import SimulationModels

if TYPE_CHECKING:
    from tests.models.conftest import Response, ScriptedServer

pytestmark = pytest.mark.usefixtures("registry")

THINKING = [
    {"type": "thinking", "thinking": "secret-a", "signature": "secret-signature=="},
    {"type": "redacted_thinking", "data": "secret-b=="},
]


@pytest.fixture
def models(server: ScriptedServer) -> Iterator[SimulationModels]:
    client = AnthropicClient(server.url, "key-1234")
    spec = ModelSpec("claude-m", "anthropic", "claude-m", server.url)
    prices = PriceBook({"claude-m": Price(1, 10)})
    yield SimulationModels(
        {role: Participant(role, spec, client, prices, retries=0) for role in ("agent", "user")},
        headers=lambda _: {},
    )
    client.close()


def message(*blocks: dict[str, Any]) -> Response:
    usage = {"input_tokens": 100, "output_tokens": 10}
    return 200, {}, {"type": "message", "role": "assistant", "content": list(blocks), "usage": usage}


def test_thinking_goes_back_to_the_agent_and_never_to_the_user(
    server: ScriptedServer, models: SimulationModels, registry: Any
) -> None:
    from tau2.agent.llm_agent import LLMAgent
    from tau2.data_model.message import AssistantMessage, ToolMessage, UserMessage

    use = {"type": "tool_use", "id": "toolu_1", "name": "get_users", "input": {}}
    answer = [*THINKING, {"type": "text", "text": "Which one?"}]
    server.answers(
        message({"type": "text", "text": "Help me"}),
        message(*THINKING, use),
        message(*answer),
        message({"type": "text", "text": "The first"}),
        message({"type": "text", "text": "Fine"}),
    )
    tools = registry.get_env_constructor("mock")().get_tools()
    agent = LLMAgent(tools=tools, domain_policy="Be kind.", llm="claude-m", llm_args={"temperature": 0.0})
    user = registry.get_user_constructor(tau2_versions.USER)(
        tools=None, instructions="You are in a hurry.", llm="claude-m", llm_args={"temperature": 0.0}
    )
    greeting = AssistantMessage(role="assistant", content="Hi! How can I help you today?")
    agent_state, user_state = agent.get_init_state([greeting]), user.get_init_state()
    with tau2_versions.answered_by(models):
        said, user_state = user.generate_next_message(greeting, user_state)
        called, agent_state = agent.generate_next_message(said, agent_state)
        seen = ToolMessage(id="toolu_1", role="tool", content="[]", requestor="assistant")
        asked, agent_state = agent.generate_next_message(seen, agent_state)
        said, user_state = user.generate_next_message(asked, user_state)
        agent.generate_next_message(UserMessage(role="user", content=said.content), agent_state)
    _, _, with_result, to_user, to_agent = server.bodies
    assert [broken_rules(body) for body in server.bodies] == [[]] * 5
    assert with_result["messages"][-2] == {"role": "assistant", "content": [*THINKING, use]}
    assert to_agent["messages"][-4]["content"] == [*THINKING, use]
    assert to_agent["messages"][-2]["content"] == answer
    assert "secret" not in json.dumps(to_user)
    assert to_user["messages"][-1]["content"][0]["text"] == "Which one?"
    assert called.raw_data["message"]["content_blocks"] == [*THINKING, use]


def test_the_users_thinking_goes_back_to_the_user_alone(
    server: ScriptedServer, models: SimulationModels, registry: Any
) -> None:
    from tau2.agent.llm_agent import LLMAgent
    from tau2.data_model.message import AssistantMessage, ToolMessage

    use = {"type": "tool_use", "id": "toolu_1", "name": "check_status_bar", "input": {}}
    answer = [*THINKING, {"type": "text", "text": "No service"}]
    fine = message({"type": "text", "text": "Fine"})
    server.answers(message(*THINKING, use), message(*answer), fine, fine)
    tools = registry.get_env_constructor("telecom")().get_user_tools()
    user = registry.get_user_constructor(tau2_versions.USER)(tools=tools, instructions="Hurry.", llm="claude-m")
    agent = LLMAgent(tools=[], domain_policy="Be kind.", llm="claude-m")
    state = user.get_init_state()
    with tau2_versions.answered_by(models):
        user.generate_next_message(AssistantMessage(role="assistant", content="What do you see?"), state)
        seen = ToolMessage(id="toolu_1", role="tool", content="no bars", requestor="user")
        said, _ = user.generate_next_message(seen, state)
        asked, _ = agent.generate_next_message(said, agent.get_init_state())
        user.generate_next_message(asked, state)
    _, with_result, to_agent, to_user = server.bodies
    assert [broken_rules(body) for body in server.bodies] == [[]] * 4
    assert [turn["role"] for turn in to_user["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert with_result["messages"][1]["content"] == [*THINKING, use]
    assert to_user["messages"][1]["content"] == [*THINKING, use]
    assert to_user["messages"][3]["content"] == answer
    assert "secret" not in json.dumps(to_agent)
