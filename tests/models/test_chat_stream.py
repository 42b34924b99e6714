from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tau2_enhanced.models.chat_stream import completion_of, holds_token
from tau2_enhanced.models.client import Reply, Request, RequestedCall, Usage
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    CallFailed,
    ContextOverflow,
    ModelCallError,
    RequestRefused,
    TransientFailure,
)
from tau2_enhanced.models.http import Received, decoded
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Participant, Used
from tau2_enhanced.models.prices import FREE, PriceBook
from tau2_enhanced.models.resolve import parse_model
from tau2_enhanced.models.streaming import read_stream
from tests.models.streams import events, framed, interleaved, pieces_of, received

if TYPE_CHECKING:
    from tests.models.conftest import Response, ScriptedServer

Connect = Callable[..., OpenAIClient]

STREAMED = Request("m", [{"role": "user", "content": "Hi"}], arguments={"stream": True})
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
COUNTED = {"prompt_tokens": 1000, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 600}}


def chunk(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def call(index: int | None = None, arguments: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with a piece of a tool call."""
    function = {"name": fields.pop("name", None), "arguments": arguments}
    made = {**({} if index is None else {"index": index}), **fields}
    return chunk(tool_calls=[{**made, "function": {key: text for key, text in function.items() if text is not None}}])


USAGE_CHUNK = {**HEAD, "choices": [], "usage": COUNTED}
HELLO = [chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo"), chunk("stop"), USAGE_CHUNK]

TEXTS = st.text(st.characters(exclude_categories=[]), max_size=12)


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | TEXTS.filter(bool))}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(TEXTS.filter(bool))
    names = draw(st.lists(st.text("abc_", min_size=1, max_size=4), max_size=3))
    if names:
        message["tool_calls"] = [
            {"type": "function", "id": f"call_{number}", "function": {"name": name, "arguments": draw(TEXTS)}}
            for number, name in enumerate(names)
        ]
    choice = {"index": 0, "finish_reason": "tool_calls" if names else "stop", "message": message}
    counted = draw(st.sampled_from([{}, {"usage": COUNTED}]))
    return {**HEAD, "object": "chat.completion", **counted, "choices": [choice]}


def as_chunks(draw: st.DrawFn, completion: dict[str, Any]) -> list[dict[str, Any]]:
    """Some way in which a server may stream the completion."""
    (choice,) = completion["choices"]
    message = choice["message"]
    texts = [
        [chunk(**{name: piece}) for piece in pieces_of(draw, message[name])]
        for name in ("reasoning_content", "content")
        if message.get(name)
    ]
    calls = []
    for index, made in enumerate(message.get("tool_calls", ())):
        name, arguments = made["function"]["name"], pieces_of(draw, made["function"]["arguments"])
        begun = call(index, arguments[0], name=name, id=made["id"], type="function")
        again = draw(st.sampled_from([{}, {"id": made["id"], "type": "function"}, {"id": None}]))
        calls.append([begun, *(call(index, piece, **again) for piece in arguments[1:])])
    begun = [chunk(role="assistant", **draw(st.sampled_from([{}, {"content": ""}, {"content": None}])))]
    beginnings = [calls[number].pop(0) for number in range(len(calls))]
    made = [*begun, *interleaved(draw, texts), *beginnings, *interleaved(draw, calls), chunk(choice["finish_reason"])]
    return [*made, {**HEAD, "choices": [], "usage": completion["usage"]}] if "usage" in completion else made


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(completions(), st.data())
def test_any_stream_of_an_answer_is_read_as_the_answer(completion: dict[str, Any], data: st.DataObject) -> None:
    draw = data.draw
    body = framed(draw, as_chunks(draw, completion), draw(st.sampled_from(["[DONE]", None])))
    assembled = completion_of(read_stream(received(draw, body), holds_token))
    assert assembled == decoded(json.dumps(completion).encode())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(completions(), st.data())
def test_a_stream_that_is_cut_anywhere_before_its_end_is_no_answer(
    completion: dict[str, Any], data: st.DataObject
) -> None:
    chunks = as_chunks(data.draw, completion)
    ended = next(number for number, made in enumerate(chunks) if made["choices"][0]["finish_reason"])
    body = framed(data.draw, chunks[: ended + 1], last=None)
    last = body.rindex(b"finish_reason")
    cut = Received(body[: data.draw(st.integers(1, last))], [(last, 0.0)])
    with pytest.raises((TransientFailure, ValueError)) as caught:
        completion_of(read_stream(cut, holds_token))
    if isinstance(caught.value, TransientFailure):
        assert caught.value.error_type == "connection"


def test_tokens_are_timed_by_the_read_that_brought_them() -> None:
    """Role, two tokens in one read, one more, and what ends the answer."""
    pieces = [events(made, done=False) for made in HELLO]
    reads = [pieces[0], pieces[1][:20], pieces[1][20:] + pieces[2][:9], pieces[2][9:], pieces[3] + pieces[4]]
    arrivals, size = [], 0
    for number, read in enumerate(reads):
        size += len(read)
        arrivals.append((size, 10.0 + number))
    stream = read_stream(Received(b"".join(reads), arrivals), holds_token)
    assert (stream.ttft_ms, stream.decode_ms) == (12.0, 1.0)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "function": {"arguments": ""}}]},
    ],
)
def test_text_reasoning_and_calls_are_tokens(delta: dict[str, Any]) -> None:
    assert holds_token(chunk(**delta))


@pytest.mark.parametrize("made", [chunk(role="assistant"), HELLO[0], chunk("stop"), USAGE_CHUNK, {"choices": None}])
def test_a_role_an_end_and_a_count_are_none(made: dict[str, Any]) -> None:
    assert not holds_token(made)


def ask(server: ScriptedServer, connect: Connect, *writes: bytes, whole: bool = True) -> Reply:
    server.answers(server.stream(*writes, whole=whole))
    return connect(server.url).complete(STREAMED)


def failure_of(server: ScriptedServer, connect: Connect, *writes: bytes, whole: bool = True) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        ask(server, connect, *writes, whole=whole)
    return caught.value


def test_a_stream_is_asked_for_with_its_usage(server: ScriptedServer, connect: Connect) -> None:
    reply = ask(server, connect, events(*HELLO))
    assert server.bodies[0]["stream"] is True
    assert server.bodies[0]["stream_options"] == {"include_usage": True}
    assert reply.content == "Hello"
    assert reply.usage == Usage(1000, 2, 600)
    assert reply.ttft_ms is not None
    assert reply.decode_ms is not None
    assert reply.raw == {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello"},
    }


def test_characters_may_be_cut_by_reads(server: ScriptedServer, connect: Connect) -> None:
    body = events(chunk(content="Grüße 🙂"), chunk("stop")).replace(b"\\u00fc", "ü".encode())
    assert ask(server, connect, *(body[at : at + 1] for at in range(len(body)))).content == "Grüße 🙂"


def test_two_calls_are_put_together(server: ScriptedServer, connect: Connect) -> None:
    """As OpenAI writes them, the second begun while the first goes on."""
    reply = ask(
        server,
        connect,
        events(
            call(0, "", name="look", id="c0", type="function"),
            call(0, '{"at"'),
            call(1, "", name="see", id="c1", type="function"),
            call(1, "{"),
            call(0, ': "x"}'),
            call(1, "}"),
            chunk("tool_calls"),
        ),
    )
    assert reply.tool_calls == [RequestedCall("c0", "look", '{"at": "x"}'), RequestedCall("c1", "see", "{}")]
    assert reply.content is None


@pytest.mark.parametrize("index", [0, None])
def test_whole_calls_under_one_index_stay_apart(server: ScriptedServer, connect: Connect, index: int | None) -> None:
    """Ollama gives every call the index 0, Gemini none."""
    calls = [call(index, "{}", name="look", id=f"c{number}") for number in range(2)]
    reply = ask(server, connect, events(*calls, chunk("tool_calls")))
    assert [made.id for made in reply.tool_calls] == ["c0", "c1"]


def test_an_empty_text_beside_calls_is_no_text(server: ScriptedServer, connect: Connect) -> None:
    """vLLM begins each stream with one."""
    made = call(0, "{}", name="look", id="c0")
    assert ask(server, connect, events(HELLO[0], made, chunk("tool_calls"))).content is None


def test_a_server_without_usage_leaves_it_unknown(server: ScriptedServer, connect: Connect) -> None:
    assert ask(server, connect, events(*HELLO[:4])).usage == Usage()


def test_usage_that_each_chunk_repeats_is_the_last(server: ScriptedServer, connect: Connect) -> None:
    made = [{**each, "usage": {"prompt_tokens": 5, "completion_tokens": count}} for count, each in enumerate(HELLO[:4])]
    assert ask(server, connect, events(*made)).usage == Usage(5, 3)


def test_without_done_an_answer_with_its_end_is_whole(server: ScriptedServer, connect: Connect) -> None:
    assert ask(server, connect, events(*HELLO[:4], done=False)).content == "Hello"


def test_a_plain_answer_to_a_request_for_a_stream_is_read(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.text())
    reply = connect(server.url).complete(STREAMED)
    assert (reply.content, reply.ttft_ms) == ("Hello", None)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_half_a_stream_is_no_answer(server: ScriptedServer, connect: Connect, count: int, whole: bool) -> None:
    """Broken off by the network, or by a server that ends without having finished."""
    failure = failure_of(server, connect, events(*HELLO[:count], done=False), whole=whole)
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


@pytest.mark.parametrize(
    ("error", "kind", "error_type"),
    [
        ({"message": "overloaded", "type": "overloaded_error", "code": None}, TransientFailure, "http_503"),
        ({"message": "slow down", "type": "x", "code": "rate_limit_exceeded"}, TransientFailure, "rate_limit"),
        ({"message": "the engine died", "type": "InternalServerError", "code": 500}, TransientFailure, "http_500"),
        ({"message": "gone", "type": "server_error", "code": None}, TransientFailure, "http_500"),
        ({"message": "too long", "code": "context_length_exceeded"}, ContextOverflow, "context_overflow"),
        ({"message": "no money", "code": "insufficient_quota"}, AuthenticationFailed, "authentication"),
        ({"message": "bad", "type": "BadRequestError", "code": 400}, RequestRefused, "bad_request"),
        ("something went wrong", TransientFailure, "http_500"),
    ],
)
def test_an_error_in_the_stream_is_the_failure_that_it_is_elsewhere(
    server: ScriptedServer, connect: Connect, error: Any, kind: type[ModelCallError], error_type: str
) -> None:
    failure = failure_of(server, connect, events(*HELLO[:2], {"error": error}))
    assert isinstance(failure, kind)
    assert failure.error_type == error_type


def test_an_answer_that_the_server_gives_up_is_none(server: ScriptedServer, connect: Connect) -> None:
    failure = failure_of(server, connect, events(*HELLO[:2], chunk("abort")))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


def test_older_vllms_error_in_the_stream_is_one(server: ScriptedServer, connect: Connect) -> None:
    error = {"object": "error", "message": "the engine died", "type": "InternalServerError", "code": 500}
    assert failure_of(server, connect, events(error)).error_type == "http_500"


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"data: nonsense\n\ndata: []\n\n", b"data: []\n\n"])
def test_a_body_that_is_no_stream_is_transient(server: ScriptedServer, connect: Connect, body: bytes) -> None:
    failure = failure_of(server, connect, *[body] if body else [])
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "bad_response"


REFUSALS = [
    (400, {"message": "Unsupported value: 'stream' does not support true with this model.", "param": "stream"}),
    (400, {"message": "Your organization must be verified to stream this model.", "code": "unsupported_value"}),
    (400, {"message": "Unknown parameter: 'stream_options'.", "param": "stream_options"}),
    (422, {"message": "Streaming is not available for this deployment."}),
    (405, {"message": "stream: method not allowed"}),
    (501, {"message": "Streaming is not implemented."}),
]


@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_a_server_that_refuses_streams_is_asked_without_from_then_on(
    server: ScriptedServer, connect: Connect, status: int, error: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object, __: object) -> Response:
        return server.error(status, **error)

    server.answers(refuse, server.text(), server.text())
    spec = parse_model("vllm/m", role="agent", base_url=server.url, arguments={"stream": True})
    participant = Participant("agent", spec, connect(server.url), PriceBook({"m": FREE}))
    for _ in range(2):
        assert participant.answer(STREAMED.messages, (), None, {"seed": 7}, {}, Used().add).content == "Hello"
    assert ["stream" in body for body in server.bodies] == [True, False, False]
    assert not any("stream_options" in body for body in server.bodies[1:])
    assert all(body["seed"] == 7 for body in server.bodies)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "m does not take stream: it is left out from here on"
    ]


def test_another_refusal_of_a_streamed_request_is_none_of_streams(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.error(400, "Invalid schema for function 'look'"))
    with pytest.raises(CallFailed) as caught:
        connect(server.url).complete(STREAMED)
    assert isinstance(caught.value, RequestRefused)
    assert caught.value.parameter is None
