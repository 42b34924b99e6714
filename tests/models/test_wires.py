"""Turns written in the stand-in's wire formats and read by the clients of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.models import anthropic_messages, anthropic_stream, chat_stream, openai_client
from tau2_enhanced.models.client import Reply
from tau2_enhanced.models.http import Received
from tau2_enhanced.models.stand_in.chat_completions import ChatCompletions
from tau2_enhanced.models.stand_in.messages_api import MessagesAPI
from tau2_enhanced.models.stand_in.wires import Call, Tokens, Turn, Wire
from tau2_enhanced.models.streaming import Stream, read_stream

ARGUMENTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9) | st.none(), max_size=3)
CALLS = st.builds(Call, st.sampled_from(["look", "see"]), ARGUMENTS, st.none())
TURNS = st.builds(
    Turn, st.text(min_size=1, max_size=20) | st.none(), st.lists(CALLS, min_size=1, max_size=3)
) | st.builds(Turn, st.text(min_size=1, max_size=20))
BODY: Mapping[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "stream_options": {"include_usage": True}}


def of_chat(stream: Stream) -> Reply:
    return openai_client.read_reply(chat_stream.completion_of(stream))


def of_messages(stream: Stream) -> Reply:
    return anthropic_messages.read_reply(anthropic_stream.message_of(stream))


@pytest.mark.parametrize(
    ("wire", "read", "holds_token", "read_streamed"),
    [
        (ChatCompletions(), openai_client.read_reply, chat_stream.holds_token, of_chat),
        (MessagesAPI(), anthropic_messages.read_reply, anthropic_stream.holds_token, of_messages),
    ],
)
@given(turn=TURNS)
def test_a_turn_is_read_as_it_was_meant_streamed_or_not(
    wire: Wire,
    read: Callable[[Mapping[str, Any]], Reply],
    holds_token: Callable[[Any], bool],
    read_streamed: Callable[[Stream], Reply],
    turn: Turn,
) -> None:
    answer = wire.answer(3, turn, Tokens(9, 0, 4), BODY)
    body = b"".join(event.data for event in wire.events(answer, BODY))
    for reply in (read(answer), read_streamed(read_stream(Received(body, [(len(body), 1.0)]), holds_token))):
        assert (reply.content or None) == turn.text
        calls = [(call.name, json.loads(call.arguments)) for call in reply.tool_calls]
        assert calls == [(call.name, call.arguments) for call in turn.calls]
        assert len({call.id for call in reply.tool_calls}) == len(calls)
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (9, 4)


@pytest.mark.parametrize("wire", [ChatCompletions(), MessagesAPI()])
def test_a_calls_own_id_is_kept(wire: Wire) -> None:
    answer = wire.answer(3, Turn(None, [Call("look", {}, "mine"), Call("look", {})]), Tokens(9, 0, 4), BODY)
    read = openai_client.read_reply if isinstance(wire, ChatCompletions) else anthropic_messages.read_reply
    ids = [call.id for call in read(answer).tool_calls]
    assert ids[0] == "mine"
    assert ids[1]


@pytest.mark.parametrize(
    "system", ["Be kind.", [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]]
)
def test_anthropics_format_is_read_with_its_prompt_and_whoever_speaks_first(system: Any) -> None:
    """litellm sends tau2's greeting as it is; a task is known by the system prompt."""
    turns = [{"role": "assistant", "content": "Hi!"}, {"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    read = MessagesAPI().conversation({"max_tokens": 9, "system": system, "messages": turns})
    assert [(message["role"], message["content"]) for message in read] == [
        ("system", "Be kind."),
        ("assistant", "Hi!"),
        ("user", "Hello"),
    ]
