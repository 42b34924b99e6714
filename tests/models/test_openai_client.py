from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.client import Request, RequestedCall, Usage
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    CallFailed,
    ContextOverflow,
    DeadlinePassed,
    ModelCallError,
    NotThere,
    RequestRefused,
    TransientFailure,
    retry_after_s,
)
from tau2_enhanced.models.http import encoded
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.resolve import parse_model

if TYPE_CHECKING:
    from tests.models.conftest import Handler, Recorded, Response, ScriptedServer

Connect = Callable[..., OpenAIClient]

MESSAGES = [{"role": "system", "content": "Be kind. τ²"}, {"role": "user", "content": "Hi"}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
ASKED = Request("m", MESSAGES)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def failure_of(client: OpenAIClient, request: Request = ASKED) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        client.complete(request)
    return caught.value


def test_the_request_is_what_openai_expects(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.text())
    client = connect(server.url, call_type="openai", key="the-key-1234")
    client.complete(Request("m", MESSAGES, TOOLS, None, {"temperature": 0.0, "seed": 7}, {"X-Tau2-Simulation": "s1"}))
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.body == {
        "model": "m",
        "messages": MESSAGES,
        "tools": TOOLS,
        "tool_choice": "auto",
        "temperature": 0.0,
        "seed": 7,
    }
    assert request.headers["authorization"] == "Bearer the-key-1234"
    assert request.headers["x-tau2-simulation"] == "s1"


def test_a_chosen_tool_choice_is_sent(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.text())
    connect(server.url).complete(Request("m", MESSAGES, TOOLS, "required"))
    assert server.bodies[0]["tool_choice"] == "required"


def test_without_tools_nothing_is_said_of_them(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.text())
    connect(server.url).complete(Request("m", MESSAGES, (), "auto"))
    assert server.bodies == [{"model": "m", "messages": MESSAGES}]


def test_what_is_said_beside_the_arguments_goes_where_the_sdk_would_send_it(
    server: ScriptedServer, connect: Connect
) -> None:
    server.answers(server.text())
    arguments = {"min_p": 0.1, "extra_body": {"top_k": 20}, "extra_headers": {"X-Gateway": "blue"}}
    connect(server.url).complete(Request("m", MESSAGES, arguments=arguments, headers={"x-own": "1"}))
    assert server.bodies == [{"model": "m", "messages": MESSAGES, "min_p": 0.1, "top_k": 20}]
    sent = server.requests[-1].headers
    assert (sent["x-gateway"], sent["x-own"]) == ("blue", "1")
    assert arguments["extra_body"] == {"top_k": 20}


def test_arguments_that_the_sdk_does_not_know_are_sent(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.text())
    arguments = {"chat_template_kwargs": {"enable_thinking": False}, "min_p": 0.1}
    connect(server.url).complete(Request("m", MESSAGES, arguments=arguments))
    assert server.bodies == [{"model": "m", "messages": MESSAGES, **arguments}]


def test_a_message_with_half_an_emoji_can_be_sent(server: ScriptedServer, connect: Connect) -> None:
    """JSON allows lone surrogates, so a model's tool arguments may hold one, and a tool may repeat it."""
    server.answers(server.text())
    messages = [{"role": "user", "content": "half an emoji: \ud83d"}]
    assert connect(server.url).complete(Request("m", messages)).content == "Hello"


def test_a_whole_conversation_arrives_as_it_is(server: ScriptedServer, connect: Connect) -> None:
    """Tools, reasoning, every kind of character and of number."""
    call = {"id": "c0", "type": "function", "function": {"name": "look", "arguments": '{"at": "\u2028"}'}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": 'Grüße 🙂 "quoted" \\ \x00 \u2028'},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "he said…\n"},
        {"role": "tool", "content": "", "tool_call_id": "c0"},
    ]
    limit = {"type": "integer", "maximum": 2**70, "multipleOf": 0.1}
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"properties": {"at": limit}}}}]
    arguments = {"temperature": 0.0, "stop": ["a", ""], "logit_bias": {"1": -1e-300}, "store": False, "user": None}
    server.answers(server.text(), server.text())
    connect(server.url).complete(Request("m", messages, tools, arguments=arguments))
    expected = {"model": "m", "messages": messages, "tools": tools, "tool_choice": "auto", **arguments}
    halves = [*messages, {"role": "user", "content": "half an emoji: \ud83d"}]
    connect(server.url).complete(Request("m", halves, tools, arguments=arguments))
    replaced = [*messages, {"role": "user", "content": "half an emoji: ?"}]
    assert server.bodies == [expected, {**expected, "messages": replaced}]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_any_request_is_encoded_as_it_is(value: Any) -> None:
    assert json.loads(encoded(value)) == value


@given(JSON_VALUES, st.text(st.characters(categories=["Cs"]), min_size=1))
def test_only_half_characters_are_replaced(value: Any, halves: str) -> None:
    assert json.loads(encoded([value, halves])) == [value, "?" * len(halves)]


def test_text_is_read(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.text("Grüße"))
    reply = connect(server.url).complete(ASKED)
    assert reply.content == "Grüße"
    assert list(reply.tool_calls) == []
    assert reply.raw["message"]["content"] == "Grüße"


def test_texts_are_read_out_of_parts_without_the_thoughts_beside_them(server: ScriptedServer, connect: Connect) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    server.answers(server.message(content=[thought, {"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]))
    assert connect(server.url).complete(ASKED).content == "Hello"


def test_tool_calls_are_read_as_written(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.calls(("look", '{"at": 1}'), ("broken", '{"at"')))
    reply = connect(server.url).complete(ASKED)
    assert reply.content is None
    assert list(reply.tool_calls) == [
        RequestedCall("c0", "look", '{"at": 1}'),
        RequestedCall("c1", "broken", '{"at"'),
    ]


def test_a_call_without_id_and_arguments_gets_them(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.message(tool_calls=[{"function": {"name": "look"}}, {"function": {"name": "look"}}]))
    first, second = connect(server.url).complete(ASKED).tool_calls
    assert (first.arguments, second.arguments) == ("{}", "{}")
    assert first.id
    assert first.id != second.id


def test_numbers_in_arguments_that_are_no_text_are_exact(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.message(tool_calls=[{"function": {"name": "look", "arguments": {"at": 10**30 + 1}}}]))
    [call] = connect(server.url).complete(ASKED).tool_calls
    assert json.loads(call.arguments) == {"at": 10**30 + 1}


def test_half_characters_in_an_answer_are_replaced(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.text("half: \ud83d"))
    assert connect(server.url).complete(ASKED).content == "half: ?"


def test_tokens_are_read_with_those_from_the_cache(server: ScriptedServer, connect: Connect) -> None:
    usage = {"prompt_tokens": 900, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 640}}
    server.answers(server.text(usage=usage))
    assert connect(server.url).complete(ASKED).usage == Usage(900, 20, 640)


def test_tokens_are_read_with_those_written_to_the_cache(server: ScriptedServer, connect: Connect) -> None:
    details = {"cached_tokens": 640, "cache_write_tokens": 200}
    server.answers(server.text(usage={"prompt_tokens": 900, "completion_tokens": 20, "prompt_tokens_details": details}))
    assert connect(server.url).complete(ASKED).usage == Usage(900, 20, 640, 200)


@pytest.mark.parametrize(
    ("total", "answer", "output"),
    [(1000, 100, 100), (1070, 100, 170), (970, 0, 70), (None, 100, 100)],
    ids=["as OpenAI", "as xAI", "of reasoning alone", "not said"],
)
def test_tokens_of_reasoning_count_once_wherever_they_are_counted(
    server: ScriptedServer, connect: Connect, total: int | None, answer: int, output: int
) -> None:
    details = {"reasoning_tokens": 70}
    usage = {"prompt_tokens": 900, "completion_tokens": answer, "total_tokens": total}
    server.answers(server.text(usage={**usage, "completion_tokens_details": details}))
    assert connect(server.url).complete(ASKED).usage.output_tokens == output


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage(None, None, None)),
        ({"prompt_tokens": 5, "completion_tokens": 0, "prompt_tokens_details": None}, Usage(5, 0, None)),
    ],
)
def test_tokens_that_the_server_leaves_out_are_unknown(
    server: ScriptedServer, connect: Connect, usage: dict[str, Any] | None, expected: Usage
) -> None:
    server.answers(server.text(usage=usage))
    assert connect(server.url).complete(ASKED).usage == expected


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_or_an_empty_account_is_an_authentication_failure(
    server: ScriptedServer, connect: Connect, status: int
) -> None:
    server.answers(server.error(status, "Incorrect API key provided", code="invalid_api_key"))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, AuthenticationFailed)
    assert failure.error_type == "authentication"
    assert "Incorrect API key provided" in str(failure)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "7"}, 7.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 99 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(
    server: ScriptedServer, connect: Connect, headers: dict[str, str], seconds: float | None
) -> None:
    server.answers(server.error(429, "Rate limit reached", headers, code="rate_limit_exceeded"))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, TransientFailure)
    assert (failure.error_type, failure.retry_after_s) == ("rate_limit", seconds)


def test_a_request_that_no_minutes_limit_allows_is_not_waited_for(server: ScriptedServer, connect: Connect) -> None:
    said = (
        "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 43000. "
        "The input or output tokens must be reduced in order to run successfully."
    )
    server.answers(server.error(429, said, {"Retry-After": "7"}, type="tokens", code="rate_limit_exceeded"))
    failure = failure_of(connect(server.url))
    assert (type(failure), failure.error_type) == (CallFailed, "call_failed")
    assert said in str(failure)


def test_a_time_until_which_to_wait_is_one_by_the_servers_clock(server: ScriptedServer, connect: Connect) -> None:
    # the server adds the date by itself
    server.answers(server.error(429, "Slow down", {"Retry-After": formatdate(time.time() + 90, usegmt=True)}))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, TransientFailure)
    assert failure.retry_after_s == pytest.approx(90.0, abs=5.0)
    behind = {"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert retry_after_s(behind) == 9.0


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 529])
def test_a_server_in_trouble_may_answer_later(server: ScriptedServer, connect: Connect, status: int) -> None:
    server.answers(server.error(status, "try later", {"Retry-After": "2"}))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, TransientFailure)
    assert (failure.error_type, failure.retry_after_s) == (f"http_{status}", 2.0)


def test_the_sdk_retries_nothing_itself(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.error(500, "no"), server.text())
    failure_of(connect(server.url))
    assert len(server.requests) == 1


def test_a_connection_closed_halfway_is_transient(server: ScriptedServer, connect: Connect) -> None:
    def half(handler: Handler, _: Recorded) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')

    server.answers(half)
    failure = failure_of(connect(server.url))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


def test_a_connection_closed_without_a_word_is_transient(server: ScriptedServer, connect: Connect) -> None:
    server.answers(lambda handler, request: None)
    failure = failure_of(connect(server.url))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


def test_where_nothing_listens_is_waited_for(connect: Connect) -> None:
    failure = failure_of(connect(f"http://127.0.0.1:{free_port()}/v1"))
    assert isinstance(failure, TransientFailure)
    assert failure.will_pass
    assert failure.error_type == "unreachable"


OPENAI_OVERFLOW = {
    "error": {
        "message": "Your input exceeds the limits of this model.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(OPENAI_OVERFLOW, id="openai"),
        pytest.param(
            {
                "object": "error",
                "message": "This model's maximum context length is 8192 tokens. However, you requested 9100 tokens "
                "(9000 in the messages, 100 in the completion). Please reduce the length of the messages or "
                "completion.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            id="vllm-0.9",
        ),
        pytest.param(
            {
                "error": {
                    "message": "The decoder prompt (length 9000) is longer than the maximum model length of 8192. "
                    "Make sure that `max_model_len` is no smaller than the number of text tokens.",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 400,
                }
            },
            id="vllm-0.11",
        ),
        pytest.param(
            {
                "object": "error",
                "message": "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            id="sglang",
        ),
        pytest.param(
            {
                "error": {
                    "code": 400,
                    "message": "request (9000 tokens) exceeds the available context size (8192 tokens), try "
                    "increasing it",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 9000,
                    "n_ctx": 8192,
                }
            },
            id="llama.cpp",
        ),
        pytest.param(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (1200000) exceeds the maximum number of tokens allowed "
                        "(1048576).",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            id="gemini",
        ),
        pytest.param(
            {
                "code": "Client specified an invalid argument",
                "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            },
            id="xai",
        ),
    ],
)
def test_a_conversation_too_long_for_the_model_is_its_own_failure(
    server: ScriptedServer, connect: Connect, body: dict[str, Any] | list[Any]
) -> None:
    server.answers((400, {}, body))
    assert isinstance(failure_of(connect(server.url)), ContextOverflow)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            },
            id="unsupported parameter",
        ),
        pytest.param(
            {
                "message": "Unsupported value: 'max_tokens' does not support 0 with this model.",
                "param": "max_tokens",
                "code": "unsupported_value",
            },
            id="unsupported value",
        ),
        pytest.param(
            {"message": "Unknown parameter: 'max_tokens'.", "param": "max_tokens", "code": "unknown_parameter"},
            id="unknown parameter",
        ),
        pytest.param(
            {"message": "Unrecognized request argument supplied: max_tokens", "param": None, "code": None},
            id="unrecognized argument, named in the text alone",
        ),
        pytest.param({"message": "property 'max_tokens' is unsupported", "param": None}, id="groq"),
        pytest.param(
            {"message": "body.max_tokens: property 'body.max_tokens' is unsupported", "param": "validation_error"},
            id="cerebras",
        ),
    ],
)
def test_a_refused_parameter_is_named(server: ScriptedServer, connect: Connect, error: dict[str, Any]) -> None:
    server.answers(server.error(400, **error))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, RequestRefused)
    assert failure.parameter == "max_tokens"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {
                "object": "error",
                "message": {
                    "detail": [
                        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
                    ]
                },
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
            id="mistral",
        ),
        pytest.param(
            [
                {
                    "error": {
                        "code": 400,
                        "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            id="gemini",
        ),
    ],
)
def test_a_parameter_refused_in_a_providers_own_way_is_named(
    server: ScriptedServer, connect: Connect, body: dict[str, Any] | list[Any]
) -> None:
    server.answers((422, {}, body))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, RequestRefused)
    assert failure.parameter == "seed"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Invalid value: 'sistem'. Supported values are: 'system', 'user'.", "messages[0].role"),
        ("max_tokens is too large: 50000. This model supports at most 16384 completion tokens.", "max_tokens"),
        ("Invalid schema for function 'look'", None),
    ],
)
def test_another_bad_request_names_no_parameter_to_drop(
    server: ScriptedServer, connect: Connect, message: str, param: str | None
) -> None:
    server.answers(server.error(400, message, param=param))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, RequestRefused)
    assert failure.parameter is None
    assert message in str(failure)


def test_a_model_that_is_not_there_is_not_tried_again(server: ScriptedServer, connect: Connect) -> None:
    server.answers(server.error(404, "The model `m` does not exist", code="model_not_found"))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, NotThere)
    assert "/v1?" not in str(failure)


def test_an_address_that_is_not_there_is_said_in_a_line(server: ScriptedServer, connect: Connect) -> None:
    page = "<!DOCTYPE HTML>\n<html>\n<head><title>Error\nresponse</title></head><body>Error code: 404</body></html>"
    server.answers((404, {"content-type": "text/html"}, page))
    failure = failure_of(connect(server.url.removesuffix("/v1")))
    assert isinstance(failure, NotThere)
    assert str(failure) == ("HTTP 404: a page of HTML, 'Error response' (should the server's address end in /v1?)")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>gateway</html>",
        b"\xff\xfe\x00",
        '{"choices": [',
        "null",
        "[]",
        '"text"',
        "{}",
        {"choices": []},
        {"choices": None},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"tool_calls": [{"id": "c0"}]}}]},
    ],
)
def test_a_body_that_is_no_completion_is_transient(
    server: ScriptedServer, connect: Connect, body: dict[str, Any] | str | bytes
) -> None:
    server.answers((200, {}, body))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "bad_response"


HALF = {"message": {"role": "assistant", "content": "Half of"}}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        ({"error": {"message": "Rate limit exceeded", "code": 429}}, "rate_limit"),
        ({"error": {"message": "upstream is down"}}, "http_500"),
        ({"error": {"message": "No credits", "code": 401}, "choices": None}, "authentication"),
        ({"error": {"message": "slow", "code": 429}, "choices": [{"message": {"content": None}}]}, "rate_limit"),
        ({"choices": [{**HALF, "finish_reason": "error", "error": {"message": "?", "code": 502}}]}, "http_502"),
        ({"choices": [{**HALF, "finish_reason": "abort"}]}, "connection"),
    ],
)
def test_an_error_with_status_200_is_the_failure_that_it_is_elsewhere(
    server: ScriptedServer, connect: Connect, body: dict[str, Any], error_type: str, streamed: bool
) -> None:
    server.answers((200, {}, body))
    asked = Request("m", MESSAGES, arguments={"stream": streamed})
    assert failure_of(connect(server.url), asked).error_type == error_type


def test_a_hanging_server_meets_the_deadline(server: ScriptedServer, connect: Connect) -> None:
    def hang(_: Handler, __: Recorded) -> None:
        server.released.wait(30)

    server.answers(hang)
    assert isinstance(failure_of(connect(server.url), Request("m", MESSAGES, timeout_s=0.1)), DeadlinePassed)


def test_an_answer_that_trickles_in_meets_the_deadline_too(server: ScriptedServer, connect: Connect) -> None:
    """Each byte comes well within the limit; the call as a whole takes ten times the limit."""

    def trickle(handler: Handler, _: Recorded) -> None:
        blanks = 100
        body = b'{"choices": [{"message": {"content": "late"}}]}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(blanks + len(body)))
        handler.end_headers()
        for _sent in range(blanks):
            handler.wfile.write(b" ")
            if server.released.wait(0.02):
                return
        handler.wfile.write(body)

    def until_the_client_has_gone(handler: Handler, request: Recorded) -> None:
        try:
            trickle(handler, request)
        except OSError:
            return

    server.answers(until_the_client_has_gone)
    assert isinstance(failure_of(connect(server.url), Request("m", MESSAGES, timeout_s=0.2)), DeadlinePassed)


def test_as_many_calls_are_in_flight_as_there_are_threads(server: ScriptedServer, connect: Connect) -> None:
    together = threading.Barrier(40)

    def wait_for_the_others(_: Handler, __: Recorded) -> Response:
        together.wait(20)  # raises BrokenBarrierError, and so breaks the connection, unless all 40 are there at once
        return server.text()

    server.answers(*[wait_for_the_others] * 40)
    client = connect(server.url)
    with ThreadPoolExecutor(40) as pool:
        replies = list(pool.map(lambda _: client.complete(ASKED), range(40)))
    assert [reply.content for reply in replies] == ["Hello"] * 40


def test_a_loopback_server_is_asked_directly_where_a_proxy_is_set(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in and local servers are on loopback, where a company's proxy can't reach."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.answers(server.text())
    with closing(OpenAIClient("gold", server.url, "gold")) as client:
        assert client.complete(ASKED).content == "Hello"


SECRET = "zq7Kp-own-form-of-a-key-4f9a8b7c6d5e"


@pytest.fixture
def secret() -> str:
    """A key that has no telling form, known because a model uses it."""
    parse_model("gpt-4.1", role="agent", environment={"OPENAI_API_KEY": SECRET})
    return SECRET


def assert_hidden(secret: str, error: BaseException) -> None:
    shown = str(error) + repr(error)
    assert secret[:8] not in shown
    assert secret[-8:] not in shown


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("form", ["error", "plain", "in quotes"])
def test_a_key_in_an_error_is_not_repeated(
    server: ScriptedServer, connect: Connect, secret: str, status: int, form: str
) -> None:
    bodies: dict[str, dict[str, Any] | str] = {
        "error": {"error": {"message": f"bad key {secret} given", "code": secret, "param": secret}},
        "plain": f"no access for Bearer {secret}",
        "in quotes": {"message": f'key "{secret}"'},
    }
    server.answers((status, {}, bodies[form]))
    assert_hidden(secret, failure_of(connect(server.url, key=secret)))


def test_a_key_at_the_end_of_a_long_error_is_not_cut_and_shown(
    server: ScriptedServer, connect: Connect, secret: str
) -> None:
    client = connect(server.url, key=secret)
    for length in range(230, 310, 4):
        server.answers(server.error(400, "x" * length + secret))
        assert_hidden(secret, failure_of(client))


def mistake_of(client: OpenAIClient, model: str = "m") -> str:
    with pytest.raises(UserMistake) as caught:
        client.check(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_served_model_passes_the_check(server: ScriptedServer, connect: Connect) -> None:
    server.answers((200, {}, {"object": "list", "data": [{"id": "other"}, {"id": "m"}]}))
    connect(server.url, key="key-1234").check("m")
    [request] = server.requests
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert request.headers["authorization"] == "Bearer key-1234"


def test_a_list_of_models_may_stand_by_itself(server: ScriptedServer, connect: Connect) -> None:
    server.answers((200, {}, [{"id": "other"}, {"id": "m"}]), (200, {}, [{"id": "other"}]))
    connect(server.url).check("m")
    assert mistake_of(connect(server.url)) == f"{server.url} has no model 'm'; it has other"


def test_the_check_names_a_server_that_can_not_be_reached(connect: Connect) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    assert mistake_of(connect(url)).startswith(f"{url} can't be reached: ")


def test_the_check_says_that_the_key_is_refused(server: ScriptedServer, connect: Connect, secret: str) -> None:
    server.answers(server.error(401, f"Incorrect API key provided: {secret}"))
    assert mistake_of(connect(server.url, key=secret)) == f"{server.url} refuses the API key (HTTP 401)"


def test_the_check_says_which_models_there_are(server: ScriptedServer, connect: Connect) -> None:
    server.answers((200, {}, {"data": [{"id": "b"}, {"id": "a"}]}))
    assert mistake_of(connect(server.url), "nonsense") == f"{server.url} has no model 'nonsense'; it has a, b"


@pytest.mark.parametrize(
    ("status", "error", "is_there"),
    [
        (200, {}, True),
        (400, {"message": "Use 'max_completion_tokens': not supported", "param": "max_tokens"}, True),
        (429, {"message": "Rate limit reached"}, True),
        (404, {"message": "The API deployment for this resource does not exist.", "code": "DeploymentNotFound"}, False),
        (400, {"message": "deployed is not a valid model ID", "code": 400}, False),
        (500, {"message": "?"}, False),
    ],
)
def test_a_provider_is_asked_for_a_model_that_it_does_not_list(
    server: ScriptedServer, connect: Connect, status: int, error: dict[str, Any], is_there: bool
) -> None:
    client = connect(server.url, call_type="openai")
    server.answers((200, {}, {"data": [{"id": "gpt-4.1"}]}))
    server.answers(server.text("Hello") if status == 200 else server.error(status, **error))
    if is_there:
        client.check("deployed")
    else:
        assert mistake_of(client, "deployed") == f"{server.url} has no model 'deployed'; it has gpt-4.1"
    assert [request.path for request in server.requests] == ["/v1/models", "/v1/chat/completions"]


def test_the_check_shows_only_some_of_many_models(server: ScriptedServer, connect: Connect) -> None:
    server.answers((200, {}, {"data": [{"id": f"model-{index}"} for index in range(9)]}))
    assert mistake_of(connect(server.url)).endswith("model-0, model-1, model-2, model-3, model-4, …")


@pytest.mark.parametrize(
    "body", ["<html><body>Welcome</body></html>", "", "[]", '"m"', '{"data": [1]}', '{"data": null}']
)
def test_the_check_knows_what_is_no_model_server(server: ScriptedServer, connect: Connect, body: str) -> None:
    server.answers((200, {"Content-Type": "text/html"}, body))
    assert mistake_of(connect(server.url)) == f"{server.url} does not answer as an OpenAI-compatible server"


@pytest.mark.parametrize("status", [403, 404, 405, 429, 500, 501, 503])
def test_a_server_that_is_there_but_lists_no_models_passes_the_check(
    server: ScriptedServer, connect: Connect, status: int
) -> None:
    server.answers((status, {}, "not for you, or not now"))
    connect(server.url).check("m")
    assert [(request.method, request.path) for request in server.requests] == [("GET", "/v1/models")]


def test_a_max_tokens_that_never_fits_is_no_failure_of_the_model(server: ScriptedServer, connect: Connect) -> None:
    said = (
        "'max_tokens' or 'max_completion_tokens' is too large: {}. This model's maximum context length is 32768 tokens"
    )
    server.answers(server.error(400, said.format(100_000)), server.error(400, said.format(1000)))
    client = connect(server.url)
    assert isinstance(failure_of(client), RequestRefused)
    assert isinstance(failure_of(client), ContextOverflow)


def test_a_parameter_refused_in_fastapis_way_is_named(server: ScriptedServer, connect: Connect) -> None:
    detail = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]
    server.answers((422, {}, {"detail": detail}))
    failure = failure_of(connect(server.url))
    assert isinstance(failure, RequestRefused)
    assert failure.parameter == "seed"
    assert "Extra inputs are not permitted" in str(failure)


def test_the_password_of_a_url_is_not_repeated(connect: Connect) -> None:
    spec = parse_model(
        "vllm/m", role="agent", base_url=f"http://me:correct-horse@127.0.0.1:{free_port()}/v1", environment={}
    )
    client = connect(spec.base_url or "")
    assert "correct-horse" not in mistake_of(client)
    failure = failure_of(client)
    assert "correct-horse" not in str(failure) + repr(failure)
