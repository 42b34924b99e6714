from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import task_context
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import Price, PriceBook
from tau2_enhanced.models.resolve import ModelSpec
from tau2_enhanced.models.simulation_models import SimulationModels
from tests.models.streams import events

if TYPE_CHECKING:
    from tests.models.conftest import ScriptedServer

pytestmark = pytest.mark.usefixtures("registry")

MODULES = ["tau2.agent.llm_agent", "tau2.user.user_simulator", "tau2.evaluator.evaluator_nl_assertions"]


@pytest.fixture
def models(server: ScriptedServer, connect: Callable[..., OpenAIClient]) -> SimulationModels:
    spec = ModelSpec("vllm/m", "vllm", "m", server.url)
    prices = PriceBook({"m": Price(1, 10)})
    participants = {
        role: Participant(role, spec, connect(server.url), prices, retries=0) for role in ("agent", "user", "judge")
    }
    return SimulationModels(participants, headers=lambda asked: {"X-Role": asked.role})


@pytest.fixture
def messages() -> Any:
    """tau2's module of messages, importable once tau2 is loaded."""
    return importlib.import_module("tau2.data_model.message")


def agent_of(registry: Any, tools: list[Any]) -> Any:
    agent_class = importlib.import_module(MODULES[0]).LLMAgent
    return agent_class(tools=tools, domain_policy="Be kind.", llm="vllm/m", llm_args={"temperature": 0.0})


def user_of(registry: Any, tools: list[Any] | None = None) -> Any:
    return registry.get_user_constructor(tau2_versions.USER)(
        tools=tools, instructions="You are in a hurry.", llm="vllm/m", llm_args={"temperature": 0.0}
    )


@pytest.mark.parametrize("name", MODULES)
def test_outside_a_simulation_tau2_asks_by_itself(server: ScriptedServer, messages: Any, name: str) -> None:
    server.answers(server.text("from litellm"))
    answer = importlib.import_module(name).generate(
        "openai/m",
        [messages.UserMessage(role="user", content="Hi")],
        api_base=server.url,
        api_key="key-of-litellm",
        num_retries=0,
    )
    assert answer.content == "from litellm"
    [request] = server.requests
    assert request.headers["authorization"] == "Bearer key-of-litellm"
    assert "x-role" not in request.headers


def test_outside_a_simulation_an_unknown_provider_is_litellms_error(messages: Any) -> None:
    generate = importlib.import_module(MODULES[0]).generate
    with pytest.raises(importlib.import_module("litellm").BadRequestError, match="LLM Provider NOT provided"):
        generate("no-such-provider/m", [messages.UserMessage(role="user", content="Hi")])


def test_loading_again_routes_nothing_again() -> None:
    modules = [importlib.import_module(name) for name in MODULES]
    before = [module.generate for module in modules]
    tau2_versions.load()
    assert [module.generate for module in modules] == before


def test_the_agent_is_answered_by_its_model(
    server: ScriptedServer, models: SimulationModels, registry: Any, messages: Any
) -> None:
    server.answers(server.calls(("create_task", '{"user_id": "user_1", "title": "x"}')), server.text("Done"))
    environment = registry.get_env_constructor("mock")()
    agent = agent_of(registry, environment.get_tools())
    state = agent.get_init_state()
    with task_context(domain="mock"), tau2_versions.answered_by(models):
        called, state = agent.generate_next_message(messages.UserMessage(role="user", content="Hi"), state)
        result = messages.ToolMessage(id="c0", role="tool", content="made", requestor="assistant")
        said, _ = agent.generate_next_message(result, state)
    [call] = called.tool_calls
    assert (call.id, call.name, call.arguments) == ("c0", "create_task", {"user_id": "user_1", "title": "x"})
    assert call.requestor == "assistant"
    assert called.cost == pytest.approx(0.002)
    assert called.usage == {"completion_tokens": 100, "prompt_tokens": 1000}
    assert (said.content, said.tool_calls) == ("Done", None)
    first, second = server.requests
    assert first.headers["x-role"] == "agent"
    assert first.body["temperature"] == 0.0
    assert first.body["tools"] == [tool.openai_schema for tool in environment.get_tools()]
    assert [message["role"] for message in second.body["messages"]] == ["system", "user", "assistant", "tool"]
    assert second.body["messages"][3] == {"role": "tool", "content": "made", "tool_call_id": "c0"}


def test_the_user_is_answered_by_its_model(
    server: ScriptedServer, models: SimulationModels, registry: Any, messages: Any
) -> None:
    server.answers(server.calls(("toggle_data", "{}")))
    environment = registry.get_env_constructor("telecom")()
    user = user_of(registry, environment.get_user_tools())
    with task_context(domain="telecom"), tau2_versions.answered_by(models):
        called, _ = user.generate_next_message(
            messages.AssistantMessage(role="assistant", content="Hi!"), user.get_init_state()
        )
    assert called.tool_calls[0].requestor == "user"
    assert server.requests[0].headers["x-role"] == "user"
    assert server.bodies[0]["tools"] == [tool.openai_schema for tool in environment.get_user_tools()]


def test_the_judge_is_answered_by_its_model(server: ScriptedServer, models: SimulationModels, messages: Any) -> None:
    check = {"expectedOutcome": "be kind", "reasoning": "it was", "metExpectation": False}
    server.answers(server.text("let me think"), server.text(f"```json\n{json.dumps({'results': [check]})}\n```"))
    evaluator = importlib.import_module(MODULES[2]).NLAssertionsEvaluator
    with tau2_versions.answered_by(models):
        [judged] = evaluator.evaluate_nl_assertions(
            [messages.AssistantMessage(role="assistant", content="Hi!")], ["be kind"]
        )
    assert (judged.nl_assertion, judged.met, judged.justification) == ("be kind", False, "it was")
    assert [request.headers["x-role"] for request in server.requests] == ["judge", "judge"]


def test_tools_of_two_domains_are_not_mixed_up(
    server: ScriptedServer, models: SimulationModels, registry: Any, messages: Any
) -> None:
    server.answers(*[server.text()] * 4)
    for domain in ("mock", "telecom", "mock", "telecom"):
        tools = registry.get_env_constructor(domain)().get_tools()
        with task_context(domain=domain), tau2_versions.answered_by(models):
            agent_of(registry, tools).generate_next_message(
                messages.UserMessage(role="user", content="Hi"), agent_of(registry, tools).get_init_state()
            )
        assert server.bodies[-1]["tools"] == [tool.openai_schema for tool in tools]


def test_the_models_of_a_simulation_are_its_own(
    models: SimulationModels, server: ScriptedServer, messages: Any
) -> None:
    """Another thread, and the time after the block, are outside."""
    generate = importlib.import_module(MODULES[0]).generate
    unknown = importlib.import_module("litellm").BadRequestError
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            generate("no-such-provider/m", [messages.UserMessage(role="user", content="Hi")])
        except unknown as error:
            failures.append(error)

    with tau2_versions.answered_by(models):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    elsewhere()
    assert len(failures) == 2
    assert server.requests == []


def test_an_answer_without_tokens_has_no_usage(server: ScriptedServer, models: SimulationModels, messages: Any) -> None:
    server.answers(server.text("Hi", usage=None))
    with tau2_versions.answered_by(models):
        answer = importlib.import_module(MODULES[0]).generate("m", [messages.UserMessage(role="user", content="Hi")])
    assert (answer.content, answer.usage, answer.cost) == ("Hi", None, None)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_signature_of_a_call_goes_back_to_the_model(
    server: ScriptedServer, models: SimulationModels, messages: Any, streamed: bool
) -> None:
    signature = {"google": {"thought_signature": "s=="}}
    call = {"id": "c0", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    chunk = {"choices": [{"delta": {"tool_calls": [{"index": 0, **call, "extra_content": signature}]}}]}
    whole = server.message(content=None, tool_calls=[{**call, "extra_content": signature}])
    server.answers(server.stream(events(chunk)) if streamed else whole, server.text("Done"))
    generate = importlib.import_module(MODULES[0]).generate
    asked = messages.UserMessage(role="user", content="Hi")
    with tau2_versions.answered_by(models):
        calling = generate("m", [asked], stream=streamed)
        seen = messages.ToolMessage(id="c0", role="tool", content="seen", requestor="assistant")
        generate("m", [asked, calling, seen], stream=False)
    assert server.bodies[1]["messages"][1]["tool_calls"] == [{**call, "extra_content": signature}]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_details"])
def test_reasoning_goes_back_to_the_agent_and_never_to_the_user(
    server: ScriptedServer, models: SimulationModels, registry: Any, messages: Any, name: str
) -> None:
    server.answers(
        server.message(content="<think>secret-a</think>Which one?", **{name: "secret-b"}),
        server.text("The first"),
        server.text("Fine"),
    )
    agent, user = agent_of(registry, registry.get_env_constructor("mock")().get_tools()), user_of(registry)
    agent_state, user_state = agent.get_init_state(), user.get_init_state()
    with tau2_versions.answered_by(models):
        asked, agent_state = agent.generate_next_message(messages.UserMessage(role="user", content="Help"), agent_state)
        said, _ = user.generate_next_message(asked, user_state)
        agent.generate_next_message(said, agent_state)
    _, to_user, to_agent = server.bodies
    assert "secret" not in json.dumps(to_user)
    assert to_user["messages"][-1] == {"role": "user", "content": "Which one?"}
    assert to_agent["messages"][2] == {"role": "assistant", "content": "Which one?", name: "secret-b"}
    assert "secret-a" not in json.dumps(to_agent)
    assert asked.raw_data["message"][name] == "secret-b"


def test_the_users_reasoning_is_never_shown_to_the_agent(
    server: ScriptedServer, models: SimulationModels, registry: Any, messages: Any
) -> None:
    server.answers(
        server.message(content="<think>secret-a</think>The first", reasoning_content="secret-b"), server.text("Fine")
    )
    agent, user = agent_of(registry, registry.get_env_constructor("mock")().get_tools()), user_of(registry)
    with tau2_versions.answered_by(models):
        said, _ = user.generate_next_message(
            messages.AssistantMessage(role="assistant", content="Which one?"), user.get_init_state()
        )
        agent.generate_next_message(said, agent.get_init_state())
    assert "secret" not in json.dumps(server.bodies[1])
    assert server.bodies[1]["messages"][-1] == {"role": "user", "content": "The first"}


def test_messages_have_the_shape_of_chat_completions(messages: Any) -> None:
    call = messages.ToolCall(id="c1", name="look", arguments={"at": "ä"})
    chat = tau2_versions.to_chat(
        [
            messages.SystemMessage(role="system", content="Be kind."),
            messages.UserMessage(role="user", content="Hi"),
            messages.AssistantMessage(role="assistant", tool_calls=[call]),
            messages.ToolMessage(id="c1", role="tool", content="seen", requestor="assistant"),
            messages.AssistantMessage(role="assistant", content="Done"),
        ]
    )
    function = {"name": "look", "arguments": chat[2]["tool_calls"][0]["function"]["arguments"]}
    assert chat == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "content": "seen", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Done"},
    ]
    assert json.loads(function["arguments"]) == {"at": "ä"}


def test_only_the_speakers_own_messages_carry_reasoning(messages: Any) -> None:
    raw = {"message": {"reasoning_content": "secret", "reasoning": None}}
    user = messages.UserMessage(role="user", content="Hi", raw_data=raw)
    agent = messages.AssistantMessage(role="assistant", content="Yes", raw_data=raw)
    assert tau2_versions.to_chat([user, agent]) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes", "reasoning_content": "secret"},
    ]


@pytest.mark.parametrize("raw", [None, {}, {"message": None}, {"message": {"reasoning_content": ""}}])
def test_a_message_without_reasoning_carries_none(messages: Any, raw: dict[str, Any] | None) -> None:
    agent = messages.AssistantMessage(role="assistant", content="Yes", raw_data=raw)
    assert tau2_versions.to_chat([agent]) == [{"role": "assistant", "content": "Yes"}]


def test_the_prompts_of_a_domain_have_a_digest_of_their_own(registry: Any) -> None:
    mock, again, telecom = (tau2_versions.domain_prompts(registry, name) for name in ("mock", "mock", "telecom"))
    assert mock == again
    assert mock.digest != telecom.digest
    assert mock.policy == registry.get_env_constructor("mock")().get_policy()
