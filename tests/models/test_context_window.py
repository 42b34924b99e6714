"""What of a conversation is left where it does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.logging.events import ContextReductionEvent, ExecutionEvent
from tau2_enhanced.models.context_window import ContextWindow, shortened, size_of
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import PriceBook
from tau2_enhanced.models.resolve import ModelSpec
from tau2_enhanced.models.simulation_models import SimulationModels

if TYPE_CHECKING:
    from tests.models.conftest import ScriptedServer

Message = dict[str, Any]


def said(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def called(*ids: str, length: int = 5) -> list[Message]:
    """An assistant's tool calls and their results."""
    calls = [{"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}} for id in ids]
    results = [{"role": "tool", "tool_call_id": id, "content": "x" * length} for id in ids]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *results]


SYSTEM, GREETING, FIRST = said("system", "policy"), said("assistant", "greeting"), said("user", "first")
TURNS = [said(role, f"{role} {number}") for number in range(4) for role in ("assistant", "user")]
CONVERSATION = [SYSTEM, GREETING, FIRST, *TURNS]


def sizes(messages: list[Message]) -> int:
    return sum(size_of(message) for message in messages)


@pytest.mark.parametrize("strategy", ["none", "middle", "window"])
def test_what_fits_is_left_alone(strategy: str) -> None:
    assert shortened(CONVERSATION, strategy, sizes(CONVERSATION)) == CONVERSATION


def test_by_default_nothing_is_cut() -> None:
    assert shortened(CONVERSATION, "none", 1) == CONVERSATION


def test_a_window_is_the_newest_that_fits() -> None:
    kept = [SYSTEM, FIRST, *TURNS[5:]]
    assert shortened(CONVERSATION, "window", sizes(kept)) == kept
    assert shortened(CONVERSATION, "window", sizes(kept) - 1) == [SYSTEM, FIRST, *TURNS[6:]]


def test_the_middle_goes_and_both_ends_stay() -> None:
    # beside what must stay there is room for 175 characters: of the beginning 42 + 45 fit into half of it, of the
    # end 35 + 45 into the rest
    kept = [SYSTEM, GREETING, FIRST, TURNS[0], *TURNS[5:]]
    assert shortened(CONVERSATION, "middle", sizes(kept) + 8) == kept


def test_a_call_goes_with_its_results() -> None:
    conversation = [SYSTEM, FIRST, *called("a", "b", length=100), said("user", "thanks")]
    assert shortened(conversation, "window", sizes(conversation) - 1) == [SYSTEM, FIRST, conversation[-1]]


def test_the_call_that_is_answered_now_stays() -> None:
    conversation = [SYSTEM, FIRST, *called("a"), said("user", "and"), *called("b", "c", length=500)]
    assert shortened(conversation, "window", 100) == [SYSTEM, FIRST, *called("b", "c", length=500)]


turns = st.one_of(
    st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text(max_size=30)).map(lambda turn: [said(*turn)]),
    st.integers(1, 3).flatmap(lambda calls: st.integers(0, 60).map(lambda n: called(*"abc"[:calls], length=n))),
)
conversations = st.lists(turns, max_size=15).map(lambda parts: [message for part in parts for message in part])
strategies = st.sampled_from(["middle", "window"])


@given(conversations, strategies, st.integers(0, 2500))
def test_what_must_stay_stays_and_the_rest_fits(conversation: list[Message], strategy: str, most: int) -> None:
    kept = shortened(conversation, strategy, most)
    places = [next(place for place, other in enumerate(conversation) if other is message) for message in kept]
    assert places == sorted(set(places))
    first = next((place for place, message in enumerate(conversation) if message["role"] == "user"), None)
    begin = len(conversation) - 1
    while begin > 0 and conversation[begin]["role"] == "tool":
        begin -= 1
    needed = {place for place, message in enumerate(conversation) if message["role"] == "system"}
    needed |= set(range(max(begin, 0), len(conversation))) | ({first} if first is not None else set())
    assert needed <= set(places)
    for place, message in enumerate(conversation):
        if message["role"] == "tool":
            assert (place in places) == (place - 1 in places)
    if sizes(kept) > most:
        assert set(places) == needed
    if sizes(conversation) <= most:
        assert kept == conversation
    assert shortened(kept, strategy, most) == kept


@given(conversations, st.integers(0, 2500))
def test_a_window_has_no_gap_after_what_must_stay(conversation: list[Message], most: int) -> None:
    kept = {id(message) for message in shortened(conversation, "window", most)}
    optional = [message for message in conversation if message["role"] != "system"]
    first = next((message for message in optional if message["role"] == "user"), None)
    stays = [id(message) in kept for message in optional if message is not first]
    assert stays == sorted(stays)


def test_the_servers_own_counts_tell_how_much_fits(
    server: ScriptedServer, connect: Callable[..., OpenAIClient], events: list[ExecutionEvent]
) -> None:
    spec = ModelSpec("vllm/m", "vllm", "m", server.url)
    agent = Participant("agent", spec, connect(server.url), PriceBook({}), retries=0)
    models = SimulationModels({"agent": agent}, lambda _: {}, context=ContextWindow(100, "window"))
    # a third of a token for each character of this conversation: 300 characters are 100 tokens
    usage = {"prompt_tokens": (sizes(CONVERSATION) + 2) // 3, "completion_tokens": 1}
    server.answers(server.text("a", usage), server.text("b"))
    models.context._tokens_per_character = 0.01  # type: ignore[union-attr]  # so that all of it is sent at first
    models.answer("agent", CONVERSATION, (), None, {})
    models.answer("agent", CONVERSATION, (), None, {})
    whole, cut = (body["messages"] for body in server.bodies)
    assert whole == CONVERSATION
    assert cut == shortened(CONVERSATION, "window", 298)
    (event,) = [event for event in events if isinstance(event, ContextReductionEvent)]
    assert (event.strategy, event.messages_before, event.messages_after) == ("window", 11, len(cut))
    assert event.tokens_before == (sizes(CONVERSATION) + 2) // 3
    assert event.tokens_after is not None
    assert event.tokens_after <= 100
    assert event.reduction_ratio == pytest.approx(1 - event.tokens_after / event.tokens_before, abs=1e-4)
