"""An agent that lets experts take its turn: what it is told, who sees what, and what each mistake comes to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import task_context
from tau2_enhanced.logging.events import ExecutionEvent, ExpertCallEvent, LLMCallEvent
from tau2_enhanced.models.anthropic_client import AnthropicClient
from tau2_enhanced.models.conversation import kept_of, seen_by
from tau2_enhanced.models.experts import Experts, ExpertTool, parse_expert
from tau2_enhanced.models.failures import CallFailed, ExpertFailed, LimitReached
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Answer, Participant, ToolRequest
from tau2_enhanced.models.prices import FREE, Price, PriceBook
from tau2_enhanced.models.resolve import ModelSpec
from tau2_enhanced.models.simulation_models import SimulationModels

if TYPE_CHECKING:
    from tests.models.conftest import Handler, Recorded, Response, Scripted, ScriptedServer, StillClock

LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
CALL_USD = 0.002
"""What a scripted answer costs: 1000 tokens at 1 USD and 100 tokens at 10 USD per million."""


def asking(name: str = "wise") -> tuple[str, str]:
    return "call_expert", json.dumps({"expert": name, "reason": "it is hard"})


class Scaffold:
    """An agent with experts, all on one scripted server, and its turns."""

    def __init__(self, experts: Experts, participants: Mapping[str, Participant]) -> None:
        self.experts = experts
        self._participants = participants
        self.models = self.simulation()

    def simulation(self, **limits: Any) -> SimulationModels:
        return SimulationModels(
            self._participants,
            headers=lambda asked: {"X-Who": asked.expert or asked.role},
            expert_tool=ExpertTool(self.experts),
            **limits,
        )

    def turn(self, messages: list[dict[str, Any]] | None = None) -> Answer:
        return self.models.answer("agent", messages or MESSAGES, [LOOK], None, {"temperature": 0.0})


@pytest.fixture
def scaffold(server: ScriptedServer, connect: Callable[..., OpenAIClient]) -> Scaffold:
    client = connect(server.url)
    book = PriceBook({"m": Price(1, 10), "big": Price(1, 10)})

    def join(role: str, model: str, expert: str | None = None) -> Participant:
        spec = ModelSpec(f"vllm/{model}", "vllm", model, server.url)
        return Participant(role, spec, client, book, retries=0, timeout_s=20, expert=expert)

    asked = [join("expert", "big", "wise"), join("expert", "other", "odd")]
    return Scaffold(Experts(asked, {"wise": Price(1, 10), "odd": None}), {"agent": join("agent", "m")})


def askers(server: ScriptedServer) -> list[str]:
    """Who was asked, in order."""
    return [request.headers["x-who"] for request in server.requests]


def test_an_expert_takes_the_turn(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(server.calls(asking()), server.calls(("look", '{"at": 1}')))
    answer = scaffold.turn()
    assert (answer.content, list(answer.tool_calls)) == (None, [ToolRequest("c0", "look", {"at": 1})])
    assert answer.cost_usd == pytest.approx(2 * CALL_USD)
    assert answer.raw["expert"] == "wise"
    assert askers(server) == ["agent", "wise"]
    to_agent, to_expert = server.bodies
    assert to_expert == {**to_agent, "model": "big", "tools": [LOOK]}
    assert [tool["function"]["name"] for tool in to_agent["tools"]] == ["look", "call_expert"]
    assert to_agent["messages"] == MESSAGES


def test_an_agent_may_answer_by_itself(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(server.text("Hello"))
    answer = scaffold.turn()
    assert (answer.content, answer.cost_usd) == ("Hello", pytest.approx(CALL_USD))
    assert "expert" not in answer.raw


def test_each_call_is_one_event_and_no_time_is_in_two(
    server: ScriptedServer, scaffold: Scaffold, events: list[ExecutionEvent], clock: StillClock
) -> None:
    def taking(ms: float, response: Response) -> Scripted:
        def respond(_: Handler, __: Recorded) -> Response:
            clock.now_ms += ms
            return response

        return respond

    server.answers(taking(30, server.calls(asking())), taking(500, server.text("Yes")))
    with task_context(clock=clock):
        scaffold.turn()
    own, expert = events
    assert isinstance(own, LLMCallEvent)
    assert isinstance(expert, ExpertCallEvent)
    assert (own.model, own.start_ms, own.duration_ms, own.has_tool_calls) == ("m", 0.0, 30.0, True)
    assert (expert.model, expert.expert, expert.start_ms, expert.duration_ms) == ("big", "wise", 30.0, 500.0)
    assert (expert.input_tokens, expert.output_tokens, expert.cost_usd) == (1000, 100, pytest.approx(CALL_USD))


def test_experts_have_an_account_of_their_own(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(server.calls(asking()), server.text("Yes"), server.calls(asking("odd")), server.text("No"))
    scaffold.turn()
    assert {role: used.calls for role, used in scaffold.models.used.items()} == {"agent": 1, "expert": 1}
    assert scaffold.models.cost_usd("agent", "expert") == pytest.approx(2 * CALL_USD)
    scaffold.turn()
    assert scaffold.models.used["expert"].calls == 2
    # `odd` has no price
    assert scaffold.models.cost_usd("expert") is None


def test_limits_of_a_task_count_its_experts(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(server.calls(asking()), server.text("Yes"))
    scaffold.models = scaffold.simulation(cost_limit_usd=1.5 * CALL_USD)
    scaffold.turn()
    with pytest.raises(LimitReached, match=r"0\.0040 USD"):
        scaffold.turn()


def test_a_limit_reached_by_the_agents_question_asks_no_expert(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(server.calls(asking()))
    scaffold.models = scaffold.simulation(token_limit=1000)
    with pytest.raises(LimitReached):
        scaffold.turn()
    assert askers(server) == ["agent"]


WRONG: dict[str, tuple[list[tuple[str, str]], str]] = {
    "an unknown expert": ([asking("guru")], 'there is no expert "guru"; the experts are wise, odd'),
    "no expert's name": ([("call_expert", '{"expert": ["wise"]}')], 'there is no expert ["wise"]'),
    "no name at all": ([("call_expert", "{}")], "there is no expert null"),
    "two at once": ([asking(), asking("odd")], "must be called once and by itself"),
    "beside another tool": ([("look", "{}"), asking()], "must be called once and by itself"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_is_told_to_the_agent_alone(server: ScriptedServer, scaffold: Scaffold, case: str) -> None:
    calls, problem = WRONG[case]
    server.answers(server.calls(*calls), server.calls(asking()), server.text("Yes"))
    answer = scaffold.turn()
    assert (answer.content, list(answer.tool_calls)) == ("Yes", [])
    assert answer.cost_usd == pytest.approx(3 * CALL_USD)
    assert askers(server) == ["agent", "agent", "wise"]
    _, again, to_expert = server.bodies
    said, *results = again["messages"][2:]
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in said["tool_calls"]] == calls
    assert [result["tool_call_id"] for result in results] == [f"c{index}" for index in range(len(calls))]
    assert all(result["content"].startswith("Error: ") and problem in result["content"] for result in results)
    assert to_expert["messages"] == MESSAGES


def test_wrong_calls_three_times_over_are_the_agents_failure(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(*[server.calls(asking("guru"))] * 4)
    with pytest.raises(ExpertFailed, match=r"3 times over: .*guru"):
        scaffold.turn()
    assert askers(server) == ["agent"] * 3


@pytest.mark.parametrize("failing", ["empty", "broken", "overflow"])
def test_an_expert_that_fails_by_itself_leaves_the_turn_to_the_agent(
    server: ScriptedServer, scaffold: Scaffold, failing: str
) -> None:
    unusable = {
        "empty": [server.text(None)] * 3,
        "broken": [server.calls(("look", "{"))] * 3,
        "overflow": [server.error(400, "too long", code="context_length_exceeded")],
    }[failing]
    server.answers(server.calls(asking()), *unusable, server.text("I do it myself"))
    assert scaffold.turn().content == "I do it myself"
    assert askers(server) == ["agent", *["wise"] * len(unusable), "agent"]
    assert "wise gave no usable answer" in server.bodies[-1]["messages"][-1]["content"]


def test_an_expert_that_asks_for_an_expert_gives_no_answer(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(*[server.calls(asking()), server.calls(asking("odd"))] * 3)
    with pytest.raises(ExpertFailed, match="asked for an expert itself"):
        scaffold.turn()
    assert askers(server) == ["agent", "wise"] * 3


def test_an_expert_whose_server_fails_breaks_the_simulation_off(server: ScriptedServer, scaffold: Scaffold) -> None:
    server.answers(server.calls(asking()), server.error(500, "no"))
    with pytest.raises(CallFailed):
        scaffold.turn()


def test_the_next_turn_knows_nothing_of_what_was_said_in_private(
    server: ScriptedServer, scaffold: Scaffold, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(server.calls(asking("guru")), server.text("Hello"), server.text("Bye"))
    scaffold.turn()
    following = [*MESSAGES, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "unique-word"}]
    with caplog.at_level(10, logger="tau2_enhanced"):
        scaffold.turn(following)
    assert server.bodies[-1]["messages"] == following
    assert sum("unique-word" in text for text in caplog.messages) == 1


def test_a_simulations_description_stays_while_latencies_become_known(
    server: ScriptedServer, scaffold: Scaffold, clock: StillClock
) -> None:
    def slow(_: Handler, __: Recorded) -> Response:
        clock.now_ms += 2345.0
        return server.text("Yes")

    with task_context(clock=clock):
        for _ in range(3):
            server.answers(server.calls(asking()), slow)
            scaffold.turn()
    told = [body["tools"][-1]["function"]["description"] for body in server.bodies if body["model"] == "m"]
    assert len(set(told)) == 1
    assert told[0].endswith(
        "The experts:\n- wise: big; 1 USD per million tokens in, 10 out\n- odd: other; its price is not known"
    )
    later = scaffold.experts.tool()["function"]["description"]
    assert "- wise: big; 1 USD per million tokens in, 10 out; answers in about 2 s\n" in later


def test_a_free_expert_is_called_free(server: ScriptedServer, connect: Callable[..., OpenAIClient]) -> None:
    spec = ModelSpec("gold", "gold", "gold", server.url)
    expert = Participant("expert", spec, connect(server.url), PriceBook({}), expert="g")
    assert "- g: gold; free" in Experts([expert], {"g": FREE}).tool()["function"]["description"]


def test_reasoning_goes_back_to_whom_it_belongs() -> None:
    own = {"role": "assistant", "content": "a", "reasoning_content": "mine"}
    experts = {"role": "assistant", "content": "b", "expert": "wise", "content_blocks": [{"type": "thinking"}]}
    conversation = [*MESSAGES, own, experts]
    bare = [{"role": "assistant", "content": text} for text in ("a", "b")]
    assert seen_by(None, conversation) == [*MESSAGES, own, bare[1]]
    assert seen_by("wise", conversation) == [*MESSAGES, bare[0], {**bare[1], "content_blocks": [{"type": "thinking"}]}]
    assert seen_by("odd", conversation) == [*MESSAGES, *bare]


def test_the_signature_of_a_call_goes_back_to_whom_it_belongs() -> None:
    call = {"id": "c0", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    signed = {**call, "extra_content": {"google": {"thought_signature": "s=="}}}
    said = {"role": "assistant", "content": None, "tool_calls": [signed]}
    assert seen_by(None, [said]) == [said]
    assert seen_by("wise", [said]) == [{**said, "tool_calls": [call]}]


def test_an_expert_sees_neither_the_agents_reasoning_nor_who_wrote_what(
    server: ScriptedServer, scaffold: Scaffold
) -> None:
    own = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    others = {"role": "assistant", "content": "b", "reasoning_content": "so", "expert": "odd"}
    server.answers(server.calls(asking()), server.text("Yes"))
    scaffold.turn([*MESSAGES, own, others, MESSAGES[1]])
    to_agent, to_expert = (body["messages"][2:4] for body in server.bodies)
    bare = [{"role": "assistant", "content": text} for text in ("a", "b")]
    assert to_agent == [own, bare[1]]
    assert to_expert == bare


def test_claudes_blocks_are_sent_to_nobody_else(
    server: ScriptedServer, scaffold: Scaffold, connect: Callable[..., OpenAIClient]
) -> None:
    claude = AnthropicClient(server.url, "key-1234")
    spec = ModelSpec("claude-m", "anthropic", "claude-m", server.url)
    wise = Participant("expert", spec, claude, PriceBook({}), retries=0, expert="wise")
    scaffold.experts = Experts([wise], {})
    scaffold.models = scaffold.simulation()
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s=="}, {"type": "text", "text": "Yes"}]
    usage = {"input_tokens": 100, "output_tokens": 10}
    message = {"type": "message", "role": "assistant", "content": blocks, "usage": usage}
    server.answers(server.calls(asking()), (200, {}, message), server.calls(asking()), (200, {}, message))
    first = scaffold.turn()
    assert first.content == "Yes"
    said = {"role": "assistant", "content": first.content, **kept_of(first.raw)}
    scaffold.turn([*MESSAGES, said, {"role": "user", "content": "And now?"}])
    claude.close()
    _, _, to_agent, to_claude = server.bodies
    assert to_agent["messages"][2] == {"role": "assistant", "content": "Yes"}
    assert to_claude["messages"][1]["content"] == blocks


def test_a_private_exchange_gives_the_agent_its_own_reasoning_back(server: ScriptedServer, scaffold: Scaffold) -> None:
    function = {"name": "call_expert", "arguments": '{"expert": "guru"}'}
    signed = {"google": {"thought_signature": "s=="}}
    call = {"id": "c0", "type": "function", "function": function, "extra_content": signed}
    server.answers(server.message(content=None, tool_calls=[call], reasoning_content="hm"), server.text("Hello"))
    scaffold.turn()
    own = server.bodies[1]["messages"][2]
    assert (own["reasoning_content"], own["tool_calls"][0]["extra_content"]) == ("hm", signed)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("wise=gpt-5", ("wise", "gpt-5", None)),
        ("w-1=vllm/org/m@http://host:8000/v1", ("w-1", "vllm/org/m", "http://host:8000/v1")),
        ("w=m@https://user:pw@host/v1", ("w", "m", "https://user:pw@host/v1")),
        ("w=vertex_ai/claude@20250101", ("w", "vertex_ai/claude@20250101", None)),
    ],
)
def test_an_expert_is_read(text: str, parts: tuple[str, str, str | None]) -> None:
    assert parse_expert(text) == parts


@pytest.mark.parametrize("text", ["", "wise", "wise=", "=gpt-5", "w e=m", "wise=@http://user:secret-word@host"])
def test_a_bad_expert_is_the_users_mistake(text: str) -> None:
    with pytest.raises(UserMistake, match="expected NAME=MODEL") as caught:
        parse_expert(text)
    assert "secret-word" not in str(caught.value)
