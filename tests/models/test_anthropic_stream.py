from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tau2_enhanced.models.anthropic_client import AnthropicClient
from tau2_enhanced.models.anthropic_stream import holds_token, message_of
from tau2_enhanced.models.client import Reply, Request, Usage
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    BrokenArguments,
    ContextOverflow,
    ModelCallError,
    RequestRefused,
    TransientFailure,
)
from tau2_enhanced.models.http import Received, decoded
from tau2_enhanced.models.participant import read_arguments
from tau2_enhanced.models.streaming import read_stream
from tests.models.streams import events, framed, pieces_of, received

if TYPE_CHECKING:
    from tests.models.conftest import ScriptedServer

Connect = Callable[[str], AnthropicClient]

STREAMED = Request("claude-m", [{"role": "user", "content": "Hi"}], arguments={"stream": True})
COUNTED = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 96,
    "cache_read_input_tokens": 900,
    "output_tokens": 100,
    "service_tier": "standard",
}
MESSAGE = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
}
PING = {"type": "ping"}


def start(usage: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "message_start", "message": {**MESSAGE, "usage": usage or {**COUNTED, "output_tokens": 1}}}


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(reason: str = "end_turn", **usage: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 100, **usage}},
        {"type": "message_stop"},
    ]


def text(piece: str) -> dict[str, Any]:
    return {"type": "text_delta", "text": piece}


def json_piece(piece: str) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": piece}


HELLO = [start(), PING, *block(0, {"type": "text", "text": ""}, text("Hel"), text("lo")), *end()]
CALL = {"type": "tool_use", "id": "toolu_01", "name": "look", "input": {}}

TEXTS = st.text(st.characters(exclude_categories=[]), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    kinds = st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
        st.builds(lambda text, sign: {"type": "thinking", "thinking": text, "signature": sign}, TEXTS, TEXTS),
        st.builds(lambda data: {"type": "redacted_thinking", "data": data}, st.text("ab=", min_size=1)),
        st.builds(
            lambda given: {"type": "tool_use", "id": "toolu_01", "name": "look", "input": given},
            st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
        ),
    )
    reason = draw(st.sampled_from(["end_turn", "tool_use", "max_tokens"]))
    return {**MESSAGE, "content": draw(st.lists(kinds, max_size=4)), "stop_reason": reason, "usage": COUNTED}


def as_events(draw: st.DrawFn, message: dict[str, Any]) -> list[dict[str, Any]]:
    """Some way in which the API may stream the message."""
    made = [start(draw(st.sampled_from([None, {**COUNTED, "input_tokens": 1, "output_tokens": 0}])))]
    for index, content in enumerate(message["content"]):
        made += draw(st.lists(st.just(PING), max_size=1))
        if content["type"] == "text":
            begun = {**content, "text": ""}
            made += block(index, begun, *map(text, pieces_of(draw, content["text"])))
        elif content["type"] == "thinking":
            thought = [{"type": "thinking_delta", "thinking": piece} for piece in pieces_of(draw, content["thinking"])]
            signed = {"type": "signature_delta", "signature": content["signature"]}
            made += block(index, {"type": "thinking", "thinking": "", "signature": ""}, *thought, signed)
        elif content["type"] == "tool_use":
            written = json.dumps(content["input"], ensure_ascii=draw(st.booleans()))
            made += block(index, {**content, "input": {}}, json_piece(""), *map(json_piece, pieces_of(draw, written)))
        else:
            made += block(index, content)
    counted = draw(st.sampled_from([{"input_tokens": 4}, {"input_tokens": 4, "cache_read_input_tokens": None}]))
    return [*made, *end(message["stop_reason"], **counted)]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(messages(), st.data())
def test_any_stream_of_a_message_is_read_as_the_message(message: dict[str, Any], data: st.DataObject) -> None:
    body = framed(data.draw, as_events(data.draw, message), last=None)
    assembled = message_of(read_stream(received(data.draw, body), holds_token))
    assert assembled == decoded(json.dumps(message).encode())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(messages(), st.data())
def test_a_stream_that_is_cut_anywhere_before_its_end_is_no_message(
    message: dict[str, Any], data: st.DataObject
) -> None:
    body = framed(data.draw, as_events(data.draw, message), last=None)
    last = body.rindex(b"stop_reason")
    cut = Received(body[: data.draw(st.integers(1, last))], [(last, 0.0)])
    with pytest.raises((TransientFailure, ValueError)) as caught:
        message_of(read_stream(cut, holds_token))
    if isinstance(caught.value, TransientFailure):
        assert caught.value.error_type == "connection"


@pytest.mark.parametrize(
    ("made", "first"),
    [
        (block(0, {"type": "text", "text": ""}, text("x")), 1),
        (block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "x"}), 1),
        (block(0, CALL, json_piece(""), json_piece("{}")), 0),
        ([start(), PING, *end()], None),
    ],
)
def test_the_first_token_is_text_thinking_or_the_beginning_of_a_call(
    made: list[dict[str, Any]], first: int | None
) -> None:
    assert next((number for number, event in enumerate(made) if holds_token(event)), None) == first


@pytest.fixture(scope="module")
def connect_claude() -> Iterator[Connect]:
    made: dict[str, AnthropicClient] = {}

    def connect(url: str) -> AnthropicClient:
        if url not in made:
            made[url] = AnthropicClient(url, "key-1234")
        return made[url]

    yield connect
    for client in made.values():
        client.close()


def ask(server: ScriptedServer, connect: Connect, *made: dict[str, Any], whole: bool = True) -> Reply:
    server.answers(server.stream(events(*made, done=False), whole=whole))
    return connect(server.url).complete(STREAMED)


def failure_of(server: ScriptedServer, connect: Connect, *made: dict[str, Any], whole: bool = True) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        ask(server, connect, *made, whole=whole)
    return caught.value


def test_a_streamed_answer_is_as_one_in_one_piece(server: ScriptedServer, connect_claude: Connect) -> None:
    thinking = [{"type": "thinking_delta", "thinking": "Well"}, {"type": "signature_delta", "signature": "s="}]
    made = [
        start(),
        *block(0, {"type": "thinking", "thinking": "", "signature": ""}, *thinking),
        *block(1, {"type": "text", "text": ""}, text("I "), text("look")),
        *block(2, CALL, json_piece(""), json_piece('{"at": '), json_piece('"x"}')),
        *end("tool_use"),
    ]
    reply = ask(server, connect_claude, *made)
    assert server.bodies[0]["stream"] is True
    assert "stream_options" not in server.bodies[0]
    assert reply.content == "I look"
    assert [(call.id, call.name, json.loads(call.arguments)) for call in reply.tool_calls] == [
        ("toolu_01", "look", {"at": "x"})
    ]
    assert reply.raw["message"]["content_blocks"][0] == {"type": "thinking", "thinking": "Well", "signature": "s="}
    assert reply.usage == Usage(1000, 100, 900, 96)
    assert reply.ttft_ms is not None
    assert reply.decode_ms is not None


def test_a_plain_message_in_place_of_a_stream_is_read(server: ScriptedServer, connect_claude: Connect) -> None:
    whole = {**MESSAGE, "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn", "usage": COUNTED}
    server.answers((200, {}, whole))
    reply = connect_claude(server.url).complete(STREAMED)
    assert (reply.content, reply.ttft_ms) == ("Hello", None)


@pytest.mark.parametrize("reason", ["tool_use", "max_tokens"])
@pytest.mark.parametrize("pieces", [['{"at": "x'], ["{}", "}"], ["[]"]])
def test_a_call_whose_input_is_no_object_is_broken(
    server: ScriptedServer, connect_claude: Connect, reason: str, pieces: list[str]
) -> None:
    reply = ask(server, connect_claude, start(), *block(0, CALL, *map(json_piece, pieces)), *end(reason))
    with pytest.raises(BrokenArguments):
        read_arguments(reply.tool_calls[0])


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("count", [1, 4, 6])
def test_half_a_stream_is_no_answer(server: ScriptedServer, connect_claude: Connect, count: int, whole: bool) -> None:
    failure = failure_of(server, connect_claude, *HELLO[:count], whole=whole)
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


@pytest.mark.parametrize(
    ("kind", "said", "expected", "error_type"),
    [
        ("overloaded_error", "Overloaded", TransientFailure, "http_529"),
        ("rate_limit_error", "Too many tokens", TransientFailure, "rate_limit"),
        ("api_error", "Internal server error", TransientFailure, "http_500"),
        ("of_another_kind", "?", TransientFailure, "http_500"),
        ("billing_error", "no money", AuthenticationFailed, "authentication"),
        ("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", ContextOverflow, "context_overflow"),
    ],
)
def test_an_error_in_the_stream_is_the_failure_that_it_is_elsewhere(
    server: ScriptedServer,
    connect_claude: Connect,
    kind: str,
    said: str,
    expected: type[ModelCallError],
    error_type: str,
) -> None:
    error = {"type": "error", "error": {"type": kind, "message": said}}
    failure = failure_of(server, connect_claude, *HELLO[:4], error)
    assert isinstance(failure, expected)
    assert failure.error_type == error_type
    assert said in str(failure)


def test_events_of_another_kind_are_passed_over(server: ScriptedServer, connect_claude: Connect) -> None:
    assert ask(server, connect_claude, {"type": "of_tomorrow", "x": 1}, *HELLO).content == "Hello"


def test_a_server_that_refuses_streams_says_so_of_the_parameter(
    server: ScriptedServer, connect_claude: Connect
) -> None:
    said = "stream: Extra inputs are not permitted"
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    server.answers((400, {}, error))
    with pytest.raises(RequestRefused) as caught:
        connect_claude(server.url).complete(STREAMED)
    assert caught.value.parameter == "stream"


def test_a_loopback_server_is_asked_directly_where_a_proxy_is_set(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own HTTP client takes the environment's proxies even where it is told not to."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = AnthropicClient(server.url, "key-1234")
    server.answers(server.stream(events(*HELLO, done=False)))
    assert client.complete(STREAMED).content == "Hello"
    client.close()
