from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.logging import task_context
from tau2_enhanced.logging.events import EvaluatorEvent, ExecutionEvent, LLMCallEvent, ModelCallEvent, UserSimEvent
from tau2_enhanced.models.client import RequestedCall
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    BrokenArguments,
    ContextOverflow,
    EmptyAnswer,
    JudgeFailed,
    ModelCallError,
    RequestRefused,
    TransientFailure,
)
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import (
    Answer,
    Participant,
    ToolRequest,
    Used,
    read_arguments,
    read_judgement,
    without_thinking,
)
from tau2_enhanced.models.prices import Price, PriceBook
from tau2_enhanced.models.resolve import ModelSpec
from tau2_enhanced.models.simulation_models import SimulationModels

if TYPE_CHECKING:
    from tests.models.conftest import Handler, Recorded, Response, ScriptedServer, StillClock

MESSAGES = [{"role": "user", "content": "Hi"}]
CALL_USD = 0.002
"""What a scripted answer costs: 1000 tokens at 1 USD and 100 tokens at 10 USD per million."""
VERDICT = {"results": [{"expectedOutcome": "be kind", "reasoning": "it was", "metExpectation": True}]}


class Asked:
    """A participant of a scripted server, and what it has used."""

    def __init__(self, participant: Participant) -> None:
        self.participant = participant
        self.used = Used()

    def answer(self, arguments: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.participant.answer(MESSAGES, (), None, arguments or {}, headers or {}, self.used.add)


Ask = Callable[..., Asked]


def ended_by(reason: str, response: Response) -> Response:
    """The completion with another `finish_reason`."""
    status, headers, body = response
    assert isinstance(body, dict)
    return status, headers, {**body, "choices": [{**body["choices"][0], "finish_reason": reason}]}


@pytest.fixture
def ask(server: ScriptedServer, connect: Callable[..., OpenAIClient]) -> Ask:
    def ask(
        role: str = "agent", *, retries: int = 0, arguments: Mapping[str, Any] | None = None, price: bool = True
    ) -> Asked:
        spec = ModelSpec("vllm/m", "vllm", "m", server.url, None, arguments or {})
        prices = PriceBook({"m": Price(1, 10)} if price else {})
        return Asked(Participant(role, spec, connect(server.url), prices, retries=retries, timeout_s=20))

    return ask


def test_text_and_tool_calls_are_answers(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text("Hello"), server.calls(("look", '{"at": [1, "ä"]}')))
    asked = ask()
    first, second = asked.answer(), asked.answer()
    assert (first.content, list(first.tool_calls)) == ("Hello", [])
    assert (second.content, list(second.tool_calls)) == (None, [ToolRequest("c0", "look", {"at": [1, "ä"]})])


def test_the_models_own_arguments_go_before_tau2s(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text())
    ask(arguments={"temperature": 0.7, "top_p": 0.5}).answer({"temperature": 0.0, "seed": 5}, {"X-Sim": "1"})
    [request] = server.requests
    assert request.body == {"model": "m", "messages": MESSAGES, "temperature": 0.7, "top_p": 0.5, "seed": 5}
    assert request.headers["x-sim"] == "1"


def test_an_argument_of_none_is_not_sent(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text())
    ask(arguments={"temperature": None}).answer({"temperature": 0.0, "seed": None})
    assert server.bodies == [{"model": "m", "messages": MESSAGES}]


BROKEN = ['{"at"', "[1]", '"text"', "null", "look at it", '{"a": 1}{"a": 1}']


@pytest.mark.parametrize("arguments", BROKEN)
def test_broken_arguments_are_asked_for_again(server: ScriptedServer, ask: Ask, arguments: str) -> None:
    server.answers(server.calls(("look", arguments)), server.calls(("look", "{}")))
    assert list(ask().answer().tool_calls) == [ToolRequest("c0", "look", {})]
    assert len(server.requests) == 2


def test_arguments_broken_three_times_are_the_models_failure(server: ScriptedServer, ask: Ask) -> None:
    server.answers(*[server.calls(("look", '{"at"'))] * 4)
    with pytest.raises(BrokenArguments, match="look"):
        ask().answer()
    assert len(server.requests) == 3


def test_one_broken_call_among_good_ones_is_broken(server: ScriptedServer, ask: Ask) -> None:
    server.answers(*[server.calls(("look", "{}"), ("see", "{"))] * 3)
    with pytest.raises(BrokenArguments, match="see"):
        ask().answer()


@pytest.mark.parametrize("content", [None, "", " \n", "<think>hm</think>", "<think>hm</think>\n\n"])
def test_empty_answers_are_asked_for_again(server: ScriptedServer, ask: Ask, content: str | None) -> None:
    server.answers(server.text(content), server.text(content), server.text("at last"))
    assert ask().answer().content == "at last"


@pytest.mark.parametrize(
    ("reason", "message", "said"),
    [
        ("length", {"content": None}, "the limit of tokens cut the answer off"),
        ("content_filter", {"content": ""}, "the provider's content filter cut the answer off"),
        ("stop", {"content": None, "refusal": "I can't help."}, 'the model refuses to answer: "I can\'t help."'),
    ],
)
def test_an_empty_answer_says_why_it_is_empty(
    server: ScriptedServer, ask: Ask, reason: str, message: dict[str, Any], said: str
) -> None:
    server.answers(*[ended_by(reason, server.message(**message))] * 3)
    with pytest.raises(EmptyAnswer) as failure:
        ask().answer()
    assert str(failure.value) == f"the answer holds neither text nor a tool call: {said}"


def test_a_text_that_was_cut_off_is_taken_and_said(
    server: ScriptedServer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(ended_by("length", server.text("You owe me")), server.text("Bye"))
    asked = ask()
    assert asked.answer().content == "You owe me"
    assert caplog.messages == ["m: the limit of tokens cut the answer off"]
    assert asked.answer().content == "Bye"
    assert len(caplog.messages) == 1


def test_an_answer_empty_three_times_is_the_models_failure(server: ScriptedServer, ask: Ask) -> None:
    server.answers(*[server.text(None)] * 4)
    with pytest.raises(EmptyAnswer):
        ask().answer()
    assert len(server.requests) == 3


def test_different_unusable_answers_count_together(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text(""), server.calls(("look", "{")), server.text(None), server.text())
    with pytest.raises(EmptyAnswer):
        ask().answer()


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "tool_calls": [{"id": "c", "function": {"name": "look", "arguments": {"at": 1}}}]},
        {"content": None, "tool_calls": [{"id": "c", "function": {"name": "look", "arguments": 5}}]},
        {"content": [{"type": "text", "text": "Hello"}]},
        {"content": {"text": "Hello"}},
    ],
)
def test_an_answer_of_a_wrong_shape_is_used_or_is_a_model_call_error(
    server: ScriptedServer, ask: Ask, message: dict[str, Any]
) -> None:
    server.answers(*[server.message(**message)] * 3)
    try:
        answer = ask().answer()
    except ModelCallError:
        return
    assert answer.content == "Hello" or answer.tool_calls[0].arguments == {"at": 1}


def test_the_costs_of_discarded_tries_are_part_of_the_answers(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text(""), server.calls(("look", "{")), server.text("ok"))
    asked = ask()
    assert asked.answer().cost_usd == pytest.approx(3 * CALL_USD)
    assert asked.used.cost_usd == pytest.approx(3 * CALL_USD)
    assert (asked.used.calls, asked.used.input_tokens, asked.used.output_tokens) == (3, 3000, 300)


def test_the_costs_of_a_failed_question_are_kept(server: ScriptedServer, ask: Ask) -> None:
    server.answers(*[server.text("")] * 3)
    asked = ask()
    with pytest.raises(EmptyAnswer):
        asked.answer()
    assert asked.used.cost_usd == pytest.approx(3 * CALL_USD)


def test_an_unknown_price_makes_all_costs_unknown(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text())
    asked = ask(price=False)
    assert asked.answer().cost_usd is None
    assert asked.used.cost_usd is None
    assert asked.used.input_tokens == 1000


def test_missing_tokens_make_the_cost_unknown_from_there_on(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text("", usage=None), server.text(), server.text())
    asked = ask()
    assert asked.answer().cost_usd is None
    assert asked.answer().cost_usd == pytest.approx(CALL_USD)
    assert asked.used.cost_usd is None


def warnings_of(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return [message for message in found if text in message]


def test_a_refused_parameter_is_dropped_and_said_once(
    server: ScriptedServer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(server.refusal("temperature"), server.text(), server.text())
    asked = ask()
    for _ in range(2):
        assert asked.answer({"temperature": 0.0, "seed": 5}).content == "Hello"
    assert ["temperature" in body for body in server.bodies] == [True, False, False]
    assert [body["seed"] for body in server.bodies] == [5, 5, 5]
    assert len(warnings_of(caplog, "m does not take temperature")) == 1


def test_several_refused_parameters_are_dropped(server: ScriptedServer, ask: Ask) -> None:
    server.answers(*[server.refusal(name) for name in ("temperature", "seed", "top_p")], server.text())
    ask(arguments={"top_p": 1}).answer({"temperature": 0.0, "seed": 5})
    assert server.bodies[-1] == {"model": "m", "messages": MESSAGES}


def test_two_callers_refused_at_once_are_both_answered(
    server: ScriptedServer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    together = threading.Barrier(2)

    def refuse(_: Handler, __: Recorded) -> Response:
        together.wait(20)
        return server.refusal("seed")

    server.answers(refuse, refuse, server.text("a"), server.text("b"))
    participant = ask().participant
    with ThreadPoolExecutor(2) as pool:
        asked = [Asked(participant), Asked(participant)]
        answers = list(pool.map(lambda one: one.answer({"seed": 1}).content, asked))
    assert sorted(map(str, answers)) == ["a", "b"]
    assert len(warnings_of(caplog, "m does not take seed")) == 1


def test_max_tokens_is_renamed_where_it_is_refused(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.refusal("max_tokens"), server.text(), server.text())
    asked = ask(arguments={"max_tokens": 50})
    asked.answer()
    asked.answer()
    assert server.bodies[0] == {"model": "m", "messages": MESSAGES, "max_tokens": 50}
    assert server.bodies[1:] == [{"model": "m", "messages": MESSAGES, "max_completion_tokens": 50}] * 2


def test_both_names_of_max_tokens_may_be_refused(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.refusal("max_tokens"), server.refusal("max_completion_tokens"), server.text())
    ask(arguments={"max_tokens": 50}).answer()
    assert server.bodies[2] == {"model": "m", "messages": MESSAGES}


def test_a_refusal_that_dropping_can_not_help_is_raised(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.refusal("logprobs"), server.text())
    with pytest.raises(RequestRefused):
        ask().answer({"seed": 1})
    assert len(server.requests) == 1


def test_a_parameter_refused_though_it_was_left_out_does_not_loop(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.refusal("seed"), server.refusal("seed"), server.text())
    with pytest.raises(RequestRefused):
        ask().answer({"seed": 1})
    assert len(server.requests) == 2


def test_the_cost_of_a_discarded_try_survives_a_refused_parameter(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text(""), server.refusal("seed"), server.text("ok"))
    asked = ask()
    assert asked.answer({"seed": 1}).cost_usd == pytest.approx(2 * CALL_USD)


def test_a_refused_parameter_gives_no_more_than_three_tries(server: ScriptedServer, ask: Ask) -> None:
    empty = server.text("")
    server.answers(empty, empty, server.refusal("seed"), empty, server.text("a fourth try"))
    with pytest.raises(EmptyAnswer):
        ask().answer({"seed": 1})


@pytest.mark.parametrize("content", [None, "", "Hello", " Hello\n", "I think > you know", "a < b"])
def test_a_text_without_reasoning_stays_as_it_is(content: str | None) -> None:
    assert without_thinking(content) == content


@pytest.mark.parametrize(
    "content",
    [
        "<think>they want a refund</think>Hello",
        "<think>\none\n\ntwo\n</think>\n\nHello\n",
        "<think>a</think>Hello <think>b</think>",
        "<think></think>Hello",
    ],
)
def test_reasoning_in_the_text_is_taken_out(content: str) -> None:
    assert (without_thinking(content) or "").strip() == "Hello"


@pytest.mark.parametrize(
    "content",
    ["they want a refund</think>Hello", "\nthey want a refund\n</think>\n\nHello"],
)
def test_reasoning_whose_opening_tag_stood_in_the_prompt_is_taken_out(content: str) -> None:
    """The chat templates of DeepSeek-R1, QwQ and Qwen3-Thinking end with `<think>`; the answer starts inside."""
    assert (without_thinking(content) or "").strip() == "Hello"


@pytest.mark.parametrize("content", ["<think>cut off by max_tok", "<think>a</think><think>cut off"])
def test_reasoning_that_never_ends_is_no_answer(server: ScriptedServer, ask: Ask, content: str) -> None:
    server.answers(server.text(content), server.text("Hello"))
    assert ask().answer().content == "Hello"


def test_words_around_reasoning_stay_words() -> None:
    assert (without_thinking("Hello <think>hm</think> there") or "").split() == ["Hello", "there"]


@given(
    thought=st.text().filter(lambda text: "</think>" not in text), said=st.text().filter(lambda t: "think>" not in t)
)
def test_no_reasoning_is_ever_shown(thought: str, said: str) -> None:
    assert (without_thinking(f"<think>{thought}</think>{said}") or "").strip() == said.strip()


def test_reasoning_in_the_text_stays_in_raw(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text("<think>they want a refund</think>Hello"))
    answer = ask().answer()
    assert answer.content == "Hello"
    assert answer.raw["message"]["content"] == "<think>they want a refund</think>Hello"


def test_reasoning_beside_the_text_stays_in_raw(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.message(content="Hello", reasoning_content="they want a refund"))
    answer = ask().answer()
    assert answer.content == "Hello"
    assert answer.raw["message"]["reasoning_content"] == "they want a refund"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(VERDICT),
        f"```json\n{json.dumps(VERDICT, indent=2)}\n```",
        f"```\n{json.dumps(VERDICT)}\n```",
        f"Here is my verdict:\n```json\n{json.dumps(VERDICT)}\n```\nThat is all.",
        f"<think>hm</think>\n{json.dumps(VERDICT)}",
    ],
)
def test_a_judges_answer_becomes_plain_json(server: ScriptedServer, ask: Ask, text: str) -> None:
    server.answers(server.text(text))
    assert json.loads(ask("judge").answer().content or "") == VERDICT


UNREADABLE = [
    None,
    "",
    "yes, it did",
    "{}",
    "[]",
    "null",
    '{"results": []}',
    '{"results": null}',
    '{"results": 5}',
    '{"results": true}',
    '{"results": {"metExpectation": true}}',
    '{"results": ["met"]}',
    '{"results": [{"expectedOutcome": "x", "reasoning": "y", "metExpectation": "true"}]}',
    '{"results": [{"expectedOutcome": "x", "metExpectation": true}]}',
    '{"results": [{"expectedOutcome": "x", "reasoning": "y", "metExpectation": true}, {}]}',
    "```json\n{\n```",
]


@pytest.mark.parametrize("content", UNREADABLE)
def test_an_unreadable_judgement_is_a_judges_failure(content: str | None) -> None:
    with pytest.raises(JudgeFailed):
        read_judgement(content)


def test_a_judge_is_asked_three_times(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text("well"), server.text(None), server.text("{}"), server.text(json.dumps(VERDICT)))
    with pytest.raises(JudgeFailed):
        ask("judge").answer()
    assert len(server.requests) == 3


def test_a_judge_that_comes_to_reason_is_believed(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text("well"), server.text(json.dumps(VERDICT)))
    asked = ask("judge")
    answer = asked.answer()
    assert json.loads(answer.content or "") == VERDICT
    assert answer.cost_usd == pytest.approx(2 * CALL_USD)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.booleans())))
def test_arguments_are_read_as_written(arguments: dict[str, Any]) -> None:
    assert read_arguments(RequestedCall("c", "f", json.dumps(arguments))) == arguments


@pytest.mark.parametrize("text", ["[" * 100_000, "", "1e999", "NaN"])
def test_odd_arguments_are_broken(text: str) -> None:
    with pytest.raises(BrokenArguments):
        read_arguments(RequestedCall("c", "f", text))


def only(events: list[ExecutionEvent]) -> ModelCallEvent:
    [event] = events
    assert isinstance(event, ModelCallEvent)
    return event


@pytest.mark.parametrize(("role", "kind"), [("agent", LLMCallEvent), ("user", UserSimEvent), ("judge", EvaluatorEvent)])
def test_each_role_has_its_event(
    server: ScriptedServer, ask: Ask, events: list[ExecutionEvent], role: str, kind: type[ModelCallEvent]
) -> None:
    server.answers(server.text(json.dumps(VERDICT)))
    ask(role).answer()
    assert type(only(events)) is kind


def test_a_call_is_recorded_with_its_task_and_all_it_took(
    server: ScriptedServer, ask: Ask, events: list[ExecutionEvent], clock: StillClock
) -> None:
    def slow(_: Handler, __: Recorded) -> Response:
        clock.now_ms += 40.5
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 600}}
        return server.message(usage, content=None, tool_calls=[{"id": "c", "function": {"name": "look"}}])

    server.answers(slow)
    clock.now_ms = 500.0
    asked = ask()
    with task_context(run="r", sim="s", domain="mock", task="7", trial=2, step=3, clock=clock):
        asked.answer()
    event = only(events)
    assert (event.run, event.sim, event.domain, event.task, event.trial, event.step) == ("r", "s", "mock", "7", 2, 3)
    assert (event.model, event.call_type, event.has_tool_calls) == ("m", "vllm", True)
    assert (event.start_ms, event.duration_ms, event.attempts, event.retry_wait_ms) == (500.0, 40.5, 1, 0.0)
    assert (event.input_tokens, event.output_tokens, event.cached_tokens) == (1000, 100, 600)
    assert event.cost_usd == pytest.approx(CALL_USD)
    assert event.error_type is None
    assert asked.used.seconds == pytest.approx(0.0405)
    assert asked.used.cached_tokens == 600


def test_a_retried_call_is_one_event_that_hides_no_time(
    server: ScriptedServer, ask: Ask, events: list[ExecutionEvent], clock: StillClock
) -> None:
    def failing(_: Handler, __: Recorded) -> Response:
        clock.now_ms += 250
        return server.error(429, "slow down", {"retry-after-ms": "0"})

    def answering(_: Handler, __: Recorded) -> Response:
        clock.now_ms += 30
        return server.text()

    server.answers(failing, answering)
    asked = ask(retries=1)
    with task_context(clock=clock):
        asked.answer()
    event = only(events)
    assert (event.attempts, event.retry_wait_ms, event.start_ms, event.duration_ms) == (2, 250.0, 250.0, 30.0)
    assert event.error_type is None
    assert asked.used.seconds == pytest.approx(0.030)


def test_warnings_of_further_attempts_name_the_role(
    server: ScriptedServer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(server.error(500, "oh"), server.text(""), server.text("Hello"))
    with caplog.at_level(logging.WARNING):
        ask("user", retries=1).answer()
    failed, empty = (record.getMessage() for record in caplog.records)
    assert failed.startswith("user m: attempt 1 failed (HTTP 500")
    assert empty.startswith("user m: the answer holds neither text nor a tool call")


@pytest.mark.parametrize(
    ("status", "fields", "failure", "error_type"),
    [
        (401, {}, AuthenticationFailed, "authentication"),
        (429, {"headers": {"Retry-After": "60"}}, TransientFailure, "rate_limit"),
        (500, {}, TransientFailure, "http_500"),
        (400, {}, RequestRefused, "bad_request"),
        (400, {"code": "context_length_exceeded"}, ContextOverflow, "context_overflow"),
    ],
)
def test_a_failed_call_is_recorded_with_its_reason(
    server: ScriptedServer,
    ask: Ask,
    events: list[ExecutionEvent],
    status: int,
    fields: dict[str, Any],
    failure: type[ModelCallError],
    error_type: str,
) -> None:
    server.answers(server.error(status, "no", **fields))
    asked = ask()
    with pytest.raises(failure):
        asked.answer()
    event = only(events)
    assert (event.error_type, event.attempts) == (error_type, 1)
    assert event.duration_ms is not None
    assert (event.input_tokens, event.cost_usd, event.has_tool_calls) == (None, None, None)
    assert asked.used == Used()


def test_each_try_is_an_event_with_its_own_cost(server: ScriptedServer, ask: Ask, events: list[ExecutionEvent]) -> None:
    server.answers(server.text(""), server.refusal("seed"), server.text())
    ask().answer({"seed": 1})
    made = [(event.error_type, event.cost_usd) for event in events if isinstance(event, ModelCallEvent)]
    assert made == [(None, CALL_USD), ("bad_request", None), (None, CALL_USD)]


def test_an_unknown_price_leaves_the_events_cost_out(
    server: ScriptedServer, ask: Ask, events: list[ExecutionEvent]
) -> None:
    server.answers(server.text())
    ask(price=False).answer()
    event = only(events)
    assert event.cost_usd is None
    assert "cost_usd" not in str(event)
    assert event.input_tokens == 1000


def test_what_a_task_waits_for_is_known_while_it_waits(server: ScriptedServer, ask: Ask) -> None:
    seen: list[str] = []
    asked = ask("user")
    with task_context() as context:

        def look(_: Handler, __: Recorded) -> Response:
            seen.append(context.waiting_for)
            return server.text()

        server.answers(look)
        asked.answer()
        assert (seen, context.waiting_for) == (["user m"], "")


def test_a_simulation_keeps_an_account_and_headers_for_each_role(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text("a"), server.text("b"), server.text("c"))
    participants = {"agent": ask("agent").participant, "user": ask("user").participant}
    models = SimulationModels(participants, headers=lambda asked: {"X-Role": asked.role})
    for role in ("agent", "user", "agent"):
        models.answer(role, MESSAGES, (), None, {})
    assert [request.headers["x-role"] for request in server.requests] == ["agent", "user", "agent"]
    assert {role: used.calls for role, used in models.used.items()} == {"agent": 2, "user": 1}
    assert models.used["agent"].cost_usd == pytest.approx(2 * CALL_USD)


def test_simulations_of_one_participant_have_accounts_of_their_own(server: ScriptedServer, ask: Ask) -> None:
    server.answers(server.text(), server.text())
    participants = {"agent": ask("agent").participant}
    one, other = (SimulationModels(participants, headers=lambda _: {}) for _ in range(2))
    one.answer("agent", MESSAGES, (), None, {})
    other.answer("agent", MESSAGES, (), None, {})
    assert (one.used["agent"].calls, other.used["agent"].calls) == (1, 1)


def test_at_debug_each_message_of_the_prompt_is_shown_once(
    server: ScriptedServer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(server.text("first answer"), server.text("second answer"))
    models = SimulationModels({"agent": ask("agent").participant}, headers=lambda _: {})
    conversation: list[dict[str, Any]] = [{"role": "user", "content": "unique-one"}]
    with caplog.at_level(logging.DEBUG, logger="tau2_enhanced"):
        models.answer("agent", conversation, (), None, {})
        conversation += [{"role": "assistant", "content": "x"}, {"role": "user", "content": "unique-two"}]
        models.answer("agent", conversation, (), None, {})
    prompts = [text for text in caplog.messages if text.startswith("prompt of the agent")]
    assert len(prompts) == 3
    assert [sum(word in text for text in prompts) for word in ("unique-one", "unique-two")] == [1, 1]
