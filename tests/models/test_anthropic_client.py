from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from anthropic_rules import broken_rules

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.anthropic_client import AnthropicClient
from tau2_enhanced.models.client import Request, RequestedCall, Usage
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    ContextOverflow,
    DeadlinePassed,
    EmptyAnswer,
    ModelCallError,
    NotThere,
    RequestRefused,
    TransientFailure,
)
from tau2_enhanced.models.participant import Participant, Used
from tau2_enhanced.models.prices import PriceBook
from tau2_enhanced.models.resolve import ModelSpec, parse_model

if TYPE_CHECKING:
    from tests.models.conftest import Handler, Recorded, Response, ScriptedServer

Connect = Callable[..., AnthropicClient]

MESSAGES = [
    {"role": "system", "content": "Be kind. τ²"},
    {"role": "assistant", "content": "Hi! How can I help you today?"},
    {"role": "user", "content": "Help me"},
]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
ASKED = Request("claude-m", MESSAGES)
SECRET = "sk-ant-of-a-form-of-its-own-31"


@pytest.fixture(scope="module")
def connect_claude() -> Iterator[Connect]:
    made: dict[tuple[str, str], AnthropicClient] = {}

    def connect(url: str, key: str = "the-key-1234") -> AnthropicClient:
        if (url, key) not in made:
            made[url, key] = AnthropicClient(url, key)
        return made[url, key]

    yield connect
    for client in made.values():
        client.close()


def message(*blocks: dict[str, Any], stop_reason: str = "end_turn", **more: Any) -> Response:
    body = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-m",
        "content": list(blocks),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 96,
            "cache_read_input_tokens": 900,
            "cache_creation": {"ephemeral_5m_input_tokens": 96, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 100,
            "service_tier": "standard",
        },
        **more,
    }
    return 200, {"request-id": "req_01"}, body


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content, "citations": None}


def error(status: int, kind: str, said: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """An error as Anthropic words it."""
    return status, headers or {}, {"type": "error", "error": {"type": kind, "message": said, **more}, "request_id": "r"}


def failure_of(client: AnthropicClient, request: Request = ASKED) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        client.complete(request)
    return caught.value


def test_what_is_said_beside_the_arguments_goes_where_the_sdk_would_send_it(
    server: ScriptedServer, connect_claude: Connect
) -> None:
    server.answers(message(text("Gern")))
    arguments = {"extra_body": {"context_management": {}}, "extra_headers": {"anthropic-beta": "blue"}}
    connect_claude(server.url).complete(Request("claude-m", MESSAGES, arguments=arguments))
    [request] = server.requests
    assert request.headers["anthropic-beta"] == "blue"
    assert request.body["context_management"] == {}
    assert not {"extra_body", "extra_headers"} & request.body.keys()


def test_the_request_is_what_anthropic_expects(server: ScriptedServer, connect_claude: Connect) -> None:
    server.answers(message(text("Gern")))
    asked = Request("claude-m", MESSAGES, TOOLS, None, {"seed": 7}, {"X-Tau2-Simulation": "s1"})
    connect_claude(server.url).complete(asked)
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert broken_rules(request.body) == []
    assert request.body["model"] == "claude-m"
    assert set(request.body) == {"model", "max_tokens", "messages", "system", "tools", "tool_choice"}
    assert request.headers["authorization"] == "Bearer the-key-1234"
    assert request.headers["anthropic-version"] >= "2023-06-01"
    assert request.headers["x-tau2-simulation"] == "s1"


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/messages"])
def test_an_address_may_end_as_it_likes(server: ScriptedServer, path: str) -> None:
    server.answers(message(text("Hello")))
    client = AnthropicClient(server.url.removesuffix("/v1") + path.rstrip("/"), "key-1234")
    assert client.complete(ASKED).content == "Hello"
    client.close()
    assert server.requests[0].path == "/v1/messages"


def test_sampling_parameters_ask_for_the_version_that_takes_them(
    server: ScriptedServer, connect_claude: Connect
) -> None:
    server.answers(message(text("a")), message(text("b")))
    connect_claude(server.url).complete(Request("claude-m", MESSAGES, arguments={"temperature": 0.0}))
    connect_claude(server.url).complete(ASKED)
    with_temperature, without = server.requests
    assert with_temperature.headers["anthropic-version"] == "2023-06-01"
    assert with_temperature.body["temperature"] == 0.0
    assert without.headers["anthropic-version"] > "2023-06-01"


def test_an_answer_is_read(server: ScriptedServer, connect_claude: Connect) -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": "sig=="},
        text("Grüße"),
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}},
    ]
    server.answers(message(*blocks, stop_reason="tool_use"))
    reply = connect_claude(server.url).complete(ASKED)
    assert reply.content == "Grüße"
    assert list(reply.tool_calls) == [
        RequestedCall("toolu_1", "look", '{"at": 1}'),
        RequestedCall("toolu_2", "look", "{}"),
    ]
    assert reply.usage == Usage(1000, 100, 900, 96, 0)
    assert reply.raw["message"]["content_blocks"] == blocks
    assert reply.raw["stop_reason"] == "tool_use"


def test_a_message_with_half_an_emoji_can_be_sent_and_read(server: ScriptedServer, connect_claude: Connect) -> None:
    server.answers((200, {}, json.dumps(message(text("half \ud83d"))[2])))
    asked = Request("claude-m", [{"role": "user", "content": "half an emoji: \ud83d"}])
    assert connect_claude(server.url).complete(asked).content == "half ?"


def test_the_sdk_retries_nothing_itself(server: ScriptedServer, connect_claude: Connect) -> None:
    server.answers(error(529, "overloaded_error", "Overloaded"), message(text("Hello")))
    failure_of(connect_claude(server.url))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "response",
    [
        error(401, "authentication_error", "invalid x-api-key"),
        error(403, "permission_error", "Your API key does not have permission to use the specified resource."),
        error(402, "billing_error", "There is an issue with your billing."),
        error(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        error(400, "invalid_request_error", "You have reached your specified API usage limits."),
        error(429, "rate_limit_error", "Limit", details={"error_code": "enforced_spend_limit_reached"}),
    ],
)
def test_a_refused_key_or_an_empty_account_stops_everything(
    server: ScriptedServer, connect_claude: Connect, response: Response
) -> None:
    server.answers(response)
    assert isinstance(failure_of(connect_claude(server.url)), AuthenticationFailed)


@pytest.mark.parametrize(
    ("response", "kind", "seconds"),
    [
        (error(429, "rate_limit_error", "Too many tokens", {"retry-after": "7"}), "rate_limit", 7.0),
        (
            error(
                429, "rate_limit_error", "Too fast", {"retry-after": "3"}, details={"error_code": "ramp_limit_exceeded"}
            ),
            "rate_limit",
            3.0,
        ),
        (error(500, "api_error", "Internal server error"), "http_500", None),
        (error(504, "timeout_error", "Timeout"), "http_504", None),
        (error(529, "overloaded_error", "Overloaded", {"retry-after": "2"}), "http_529", 2.0),
        ((503, {}, "<html>gateway</html>"), "http_503", None),
    ],
)
def test_a_server_in_trouble_may_answer_later(
    server: ScriptedServer, connect_claude: Connect, response: Response, kind: str, seconds: float | None
) -> None:
    server.answers(response)
    failure = failure_of(connect_claude(server.url))
    assert isinstance(failure, TransientFailure)
    assert (failure.error_type, failure.retry_after_s) == (kind, seconds)


@pytest.mark.parametrize(
    "response",
    [
        error(400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
        error(
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 16384 > 200000, decrease input length",
        ),
        error(413, "request_too_large", "Request exceeds the maximum size"),
        message(text("And so"), stop_reason="model_context_window_exceeded"),
    ],
)
def test_a_conversation_too_long_is_the_models_own_failure(
    server: ScriptedServer, connect_claude: Connect, response: Response
) -> None:
    server.answers(response)
    assert isinstance(failure_of(connect_claude(server.url)), ContextOverflow)


@pytest.mark.parametrize(
    ("said", "parameter"),
    [
        ("`temperature` is deprecated for this model.", "temperature"),
        ("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.", "temperature"),
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", "temperature"),
        ("frequency_penalty: Extra inputs are not permitted", "frequency_penalty"),
        ("tools.0.custom.strict: Extra inputs are not permitted", None),
        ("max_tokens: 16384 > 4096, which is the maximum allowed number of output tokens for claude-m", None),
        ("messages: text content blocks must be non-empty", None),
    ],
)
def test_a_refused_parameter_is_named(
    server: ScriptedServer, connect_claude: Connect, said: str, parameter: str | None
) -> None:
    server.answers(error(400, "invalid_request_error", said))
    failure = failure_of(connect_claude(server.url))
    assert isinstance(failure, RequestRefused)
    assert failure.parameter == parameter
    assert said in str(failure)


def test_a_model_that_is_not_there_is_not_tried_again(server: ScriptedServer, connect_claude: Connect) -> None:
    server.answers(error(404, "not_found_error", "model: claude-m"))
    assert isinstance(failure_of(connect_claude(server.url)), NotThere)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>gateway</html>",
        b"\xff\xfe",
        "null",
        "[]",
        "{}",
        {"type": "message", "content": None},
        {"type": "message", "content": [{"type": "tool_use", "id": "t"}]},
        {"type": "message", "content": "text"},
        {"choices": [{"message": {"content": "another API"}}]},
    ],
)
def test_a_body_that_is_no_message_is_transient(
    server: ScriptedServer, connect_claude: Connect, body: dict[str, Any] | str | bytes
) -> None:
    server.answers((200, {}, body))
    failure = failure_of(connect_claude(server.url))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "bad_response"


def test_an_error_with_status_200_is_the_failure_that_it_is_elsewhere(
    server: ScriptedServer, connect_claude: Connect
) -> None:
    server.answers((200, {}, {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}))
    assert failure_of(connect_claude(server.url)).error_type == "rate_limit"


def test_a_connection_closed_without_a_word_is_transient(server: ScriptedServer, connect_claude: Connect) -> None:
    server.answers(lambda handler, request: None)
    failure = failure_of(connect_claude(server.url))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


def test_a_connection_closed_halfway_is_transient(server: ScriptedServer, connect_claude: Connect) -> None:
    def half(handler: Handler, _: Recorded) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"type": "message"')

    server.answers(half)
    failure = failure_of(connect_claude(server.url))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


def test_a_hanging_server_meets_the_deadline(server: ScriptedServer, connect_claude: Connect) -> None:
    def hang(_: Handler, __: Recorded) -> None:
        server.released.wait(30)

    server.answers(hang)
    asked = Request("claude-m", MESSAGES, timeout_s=0.1)
    assert isinstance(failure_of(connect_claude(server.url), asked), DeadlinePassed)


def test_an_answer_that_trickles_in_meets_the_deadline_too(server: ScriptedServer, connect_claude: Connect) -> None:
    """Each byte comes well within the limit; the call as a whole would take ten times the limit."""

    def trickle(handler: Handler, _: Recorded) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            while not server.released.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            pass

    server.answers(trickle)
    asked = Request("claude-m", MESSAGES, timeout_s=0.2)
    assert isinstance(failure_of(connect_claude(server.url), asked), DeadlinePassed)


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 529])
@pytest.mark.parametrize("form", ["error", "plain"])
def test_a_key_in_an_error_is_not_repeated(
    server: ScriptedServer, connect_claude: Connect, status: int, form: str
) -> None:
    parse_model("claude-m", role="agent", environment={"ANTHROPIC_API_KEY": SECRET})
    said = f"bad key {SECRET} given"
    server.answers(error(status, SECRET, said) if form == "error" else (status, {}, said))
    failure = failure_of(connect_claude(server.url, SECRET))
    assert SECRET[:8] not in str(failure) + repr(failure)
    assert SECRET[-8:] not in str(failure) + repr(failure)


def mistake_of(client: AnthropicClient) -> str:
    with pytest.raises(UserMistake) as caught:
        client.check("claude-m")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_that_is_there_passes_the_check(server: ScriptedServer, connect_claude: Connect) -> None:
    server.answers((200, {}, {"type": "model", "id": "claude-m", "display_name": "M"}))
    connect_claude(server.url).check("claude-m")
    [request] = server.requests
    assert (request.method, request.path) == ("GET", "/v1/models/claude-m")


def test_the_check_says_what_is_wrong(server: ScriptedServer, connect_claude: Connect) -> None:
    where = server.url.removesuffix("/v1")
    server.answers(error(404, "not_found_error", "model: claude-m"), error(401, "authentication_error", "no"))
    assert mistake_of(connect_claude(server.url)) == f"{where} has no model 'claude-m'"
    assert mistake_of(connect_claude(server.url)) == f"{where} refuses the API key (HTTP 401)"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert mistake_of(connect_claude(url)).startswith(f"{url} can't be reached: ")


@pytest.mark.parametrize("status", [403, 404, 405, 429, 500, 529])
def test_a_server_that_lists_no_models_passes_the_check(
    server: ScriptedServer, connect_claude: Connect, status: int
) -> None:
    server.answers((status, {}, "no such route, or not now"))
    connect_claude(server.url).check("claude-m")
    assert [(request.method, request.path) for request in server.requests] == [("GET", "/v1/models/claude-m")]


@pytest.fixture
def claude(server: ScriptedServer, connect_claude: Connect) -> Participant:
    spec = ModelSpec("anthropic/claude-opus-4-6", "anthropic", "claude-opus-4-6", server.url)
    return Participant("agent", spec, connect_claude(server.url), PriceBook({}), retries=0)


def ask(participant: Participant, **arguments: Any) -> Any:
    return participant.answer(MESSAGES, TOOLS, None, arguments, {}, Used().add)


def test_a_call_is_logged_with_all_its_tokens_and_its_price(
    server: ScriptedServer, claude: Participant, events: list[Any]
) -> None:
    server.answers(message(text("Hello")))
    ask(claude)
    [event] = events
    assert (event.call_type, event.input_tokens, event.cached_tokens, event.output_tokens) == ("claude", 1000, 900, 100)
    # USD per million tokens of Claude Opus 4.6: input 5, read from the cache 0.5, written to it 6.25, output 25
    assert event.cost_usd == pytest.approx((4 * 5 + 900 * 0.5 + 96 * 6.25 + 100 * 25) / 1e6)


def test_a_model_without_sampling_is_asked_without(server: ScriptedServer, claude: Participant) -> None:
    refusal = error(400, "invalid_request_error", "`temperature` is deprecated for this model.")
    server.answers(refusal, message(text("Hello")), message(text("Hello")))
    assert ask(claude, temperature=0.0, seed=3).content == "Hello"
    ask(claude, temperature=0.0)
    first, second, third = server.requests
    assert "temperature" in first.body
    assert first.headers["anthropic-version"] == "2023-06-01"
    for request in (second, third):
        assert "temperature" not in request.body
        assert request.headers["anthropic-version"] > "2023-06-01"


def test_a_refusal_is_the_models_failure_and_said(
    server: ScriptedServer, claude: Participant, caplog: pytest.LogCaptureFixture
) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    server.answers(*[message(stop_reason="refusal", stop_details=details)] * 3)
    with pytest.raises(EmptyAnswer):
        ask(claude)
    assert "claude-opus-4-6 refuses to answer (cyber)" in caplog.text
