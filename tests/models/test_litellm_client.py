"""litellm's providers on loopback: some that speak chat completions, and Gemini's own wire format."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import protect
from tau2_enhanced.models.client import Request, RequestedCall, Usage
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    ContextOverflow,
    DeadlinePassed,
    ModelCallError,
    NotThere,
    RequestRefused,
    TransientFailure,
)
from tau2_enhanced.models.litellm_client import LiteLLMClient

if TYPE_CHECKING:
    from tests.models.conftest import Handler, Recorded, Response, ScriptedServer

pytestmark = pytest.mark.usefixtures("registry")

Connect = Callable[..., LiteLLMClient]

SECRET = "key-of-a-form-of-its-own-88"
MESSAGES = [{"role": "system", "content": "Be kind. τ²"}, {"role": "user", "content": "Hi"}]
TOOLS = [
    {
        "type": "function",
        "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}},
    }
]
ASKED = Request("m", MESSAGES)


@pytest.fixture
def connect_litellm(server: ScriptedServer) -> Iterator[Connect]:
    made = []

    def connect(provider: str = "deepseek", key: str | None = "key-1234", max_connections: int = 8) -> LiteLLMClient:
        made.append(LiteLLMClient(provider, server.url, key, max_connections))
        return made[-1]

    yield connect
    for client in made:
        client.close()


def failure_of(client: LiteLLMClient, request: Request = ASKED) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        client.complete(request)
    return caught.value


@pytest.mark.parametrize("provider", ["deepseek", "openrouter", "hosted_vllm", "mistral", "together_ai"])
def test_a_provider_that_speaks_chat_completions(
    server: ScriptedServer, connect_litellm: Connect, provider: str
) -> None:
    usage = {
        "prompt_tokens": 900,
        "completion_tokens": 20,
        "total_tokens": 920,
        "prompt_tokens_details": {"cached_tokens": 640},
    }
    call = {"id": "c0", "type": "function", "function": {"name": "look", "arguments": '{"at": "ä"}'}}
    server.answers(server.message(usage, content="Grüße", reasoning_content="Hm", tool_calls=[call]))
    client = connect_litellm(provider)
    reply = client.complete(Request("m", MESSAGES, TOOLS, None, {"temperature": 0.0}))
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer key-1234"
    assert request.body["model"] == "m"
    assert [message["role"] for message in request.body["messages"]] == ["system", "user"]
    assert request.body["tools"][0]["function"]["name"] == "look"
    assert request.body["temperature"] == 0.0
    assert client.call_type == provider
    assert (reply.content, list(reply.tool_calls)) == ("Grüße", [RequestedCall("c0", "look", '{"at": "ä"}')])
    assert reply.usage == Usage(900, 20, 640)
    assert reply.raw["message"]["reasoning_content"] == "Hm"


def test_gemini_in_its_own_wire_format(server: ScriptedServer, connect_litellm: Connect) -> None:
    parts = [{"text": "Let me see"}, {"functionCall": {"name": "look", "args": {"at": 1}}}]
    server.answers(
        (
            200,
            {},
            {
                "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {
                    "promptTokenCount": 900,
                    "candidatesTokenCount": 20,
                    "totalTokenCount": 920,
                    "cachedContentTokenCount": 640,
                },
                "modelVersion": "m",
            },
        )
    )
    reply = connect_litellm("gemini").complete(Request("gemini-2.5-pro", MESSAGES, TOOLS))
    [request] = server.requests
    assert request.path.endswith("/gemini-2.5-pro:generateContent")
    assert request.headers["x-goog-api-key"] == "key-1234"
    assert request.body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    assert request.body["system_instruction"] == {"parts": [{"text": "Be kind. τ²"}]}
    assert reply.content == "Let me see"
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("look", '{"at": 1}')]
    assert reply.usage == Usage(900, 20, 640)


def test_what_litellm_is_given_stays_as_it_is(server: ScriptedServer, connect_litellm: Connect) -> None:
    server.answers(*[server.error(500, "no")] * 2)
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"$defs": {}, "title": "t"}}}]
    messages = [{"role": "system", "content": "a"}, {"role": "assistant", "content": "Hi!"}]
    failure_of(connect_litellm("gemini"), Request("m", messages, tools))
    assert tools[0]["function"]["parameters"] == {"$defs": {}, "title": "t"}
    assert messages == [{"role": "system", "content": "a"}, {"role": "assistant", "content": "Hi!"}]


def test_litellm_retries_nothing_itself(server: ScriptedServer, connect_litellm: Connect) -> None:
    server.answers(server.error(500, "no"), server.text())
    failure_of(connect_litellm())
    assert len(server.requests) == 1


def test_it_prints_nothing(server: ScriptedServer, connect_litellm: Connect, capfd: pytest.CaptureFixture[str]) -> None:
    server.answers(server.error(400, "no"), server.text())
    client = connect_litellm()
    failure_of(client)
    client.complete(ASKED)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("provider", ["deepseek", "gemini"])
@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit"), (503, "http_503")])
def test_a_server_in_trouble_says_how_long_to_wait(
    server: ScriptedServer, connect_litellm: Connect, provider: str, status: int, kind: str
) -> None:
    server.answers(server.error(status, "later", {"Retry-After": "7"}))
    failure = failure_of(connect_litellm(provider))
    assert isinstance(failure, TransientFailure)
    assert (failure.error_type, failure.retry_after_s) == (kind, 7.0)


@pytest.mark.parametrize(
    "ended",
    [{"finish_reason": "error", "error": {"code": 502, "message": "upstream is down"}}, {"finish_reason": "abort"}],
)
def test_half_an_answer_is_none(server: ScriptedServer, connect_litellm: Connect, ended: dict[str, Any]) -> None:
    status, headers, body = server.text("Half of")
    assert isinstance(body, dict)
    body["choices"][0] |= ended
    server.answers((status, headers, body))
    failure = failure_of(connect_litellm("openrouter"))
    assert isinstance(failure, TransientFailure)
    assert failure.error_type == "connection"


@pytest.mark.parametrize("status", [408, 504])
@pytest.mark.parametrize("provider", ["deepseek", "openrouter"])
def test_a_servers_own_timeout_is_no_deadline_of_ours(
    server: ScriptedServer, connect_litellm: Connect, provider: str, status: int
) -> None:
    server.answers(server.error(status, "the upstream is late"))
    assert isinstance(failure_of(connect_litellm(provider)), TransientFailure)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        ((401, {}, {"error": {"message": "bad key"}}), AuthenticationFailed),
        ((402, {}, {"error": {"message": "Insufficient Balance"}}), AuthenticationFailed),
        ((403, {}, {"error": {"message": "not for you"}}), AuthenticationFailed),
        ((404, {}, {"error": {"message": "no such model"}}), NotThere),
        ((500, {}, {"error": {"message": "oops"}}), TransientFailure),
        ((200, {}, "<html>gateway</html>"), TransientFailure),
        ((200, {}, {}), TransientFailure),
        (lambda handler, request: None, TransientFailure),
        (
            (400, {}, {"error": {"message": "This model's maximum context length is 8192 tokens."}}),
            ContextOverflow,
        ),
        ((400, {}, {"error": {"message": "messages.0 is wrong"}}), RequestRefused),
    ],
)
def test_failures_are_sorted(
    server: ScriptedServer, connect_litellm: Connect, response: Response, kind: type[ModelCallError]
) -> None:
    server.answers(response)
    failure = failure_of(connect_litellm())
    assert isinstance(failure, kind)
    assert isinstance(failure, TransientFailure) == (kind is TransientFailure)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Unsupported parameter: 'seed' is not supported with this model.", "param": "seed"}},
        {"error": {"message": "Unrecognized request argument supplied: seed"}},
        {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
        {"error": {"message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}},
    ],
)
def test_a_refused_parameter_is_named(server: ScriptedServer, connect_litellm: Connect, body: dict[str, Any]) -> None:
    server.answers((400, {}, body))
    failure = failure_of(connect_litellm())
    assert isinstance(failure, RequestRefused)
    assert failure.parameter == "seed"


def test_headers_of_the_arguments_are_sent_beside_ours(server: ScriptedServer, connect_litellm: Connect) -> None:
    server.answers(server.message(content="Hi"))
    given = {"extra_headers": {"x-api-key": SECRET}}
    connect_litellm().complete(Request("m", MESSAGES, arguments=given, headers={"X-Tau2-Simulation": "{}"}))
    [request] = server.requests
    assert (request.headers["x-api-key"], request.headers["x-tau2-simulation"]) == (SECRET, "{}")


def test_an_answer_that_trickles_in_is_abandoned_and_counted(
    server: ScriptedServer, connect_litellm: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Each byte comes well within the limit; the call as a whole never ends."""

    def trickle(handler: Handler, _: Recorded) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            while not server.released.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            pass

    server.answers(trickle, trickle)
    client = connect_litellm()
    for count in (1, 2):
        assert isinstance(failure_of(client, Request("m", MESSAGES, timeout_s=0.1)), DeadlinePassed)
        assert f"is abandoned ({count} so far)" in caplog.text


def test_a_hanging_server_meets_litellms_own_limit(
    server: ScriptedServer, connect_litellm: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def hang(_: Handler, __: Recorded) -> None:
        server.released.wait(30)

    server.answers(hang)
    assert isinstance(failure_of(connect_litellm(), Request("m", MESSAGES, timeout_s=0.1)), DeadlinePassed)
    assert "abandoned" not in caplog.text


@pytest.mark.parametrize("provider", ["deepseek", "together_ai"])
def test_so_many_calls_can_be_in_flight(server: ScriptedServer, connect_litellm: Connect, provider: str) -> None:
    """More than the hundred connections of the HTTP client that litellm makes by itself."""
    calls = 105
    all_there = threading.Barrier(calls, timeout=20)

    def meet(_: Handler, __: Recorded) -> Response:
        all_there.wait()
        return server.text()

    server.answers(server.text(), *[meet] * calls)
    client = connect_litellm(provider, max_connections=calls)
    client.complete(ASKED)  # so that litellm's own HTTP client is there
    with ThreadPoolExecutor(calls) as pool:
        replies = list(pool.map(client.complete, [ASKED] * calls))
    assert [reply.content for reply in replies] == ["Hello"] * calls


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_a_key_in_an_error_is_not_repeated(server: ScriptedServer, connect_litellm: Connect, status: int) -> None:
    protect(SECRET)
    server.answers((status, {}, {"error": {"message": f"bad key {SECRET} given"}}))
    failure = failure_of(connect_litellm(key=SECRET))
    assert SECRET[:8] not in str(failure) + repr(failure)
    assert SECRET[-8:] not in str(failure) + repr(failure)


def mistake_of(check: Callable[[], object]) -> str:
    with pytest.raises(UserMistake) as caught:
        check()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_provider_that_nobody_knows() -> None:
    assert mistake_of(lambda: LiteLLMClient("nonsense", None, None, 1)) == (
        "neither this runner nor litellm knows a provider 'nonsense'"
    )


@pytest.mark.parametrize(
    ("provider", "names"),
    [("deepseek", ["DEEPSEEK_API_KEY"]), ("gemini", ["GEMINI_API_KEY"]), ("azure", ["AZURE_API_KEY"])],
)
def test_the_check_names_a_key_that_is_missing(
    connect_litellm: Connect, monkeypatch: pytest.MonkeyPatch, provider: str, names: list[str]
) -> None:
    for name in ("DEEPSEEK_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "AZURE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    said = mistake_of(lambda: connect_litellm(provider, key=None).check("m"))
    for name in names:
        assert name in said
    connect_litellm(provider, key="key-1234").check("m")
    monkeypatch.setenv(names[0], "key-1234")
    connect_litellm(provider, key=None).check("m")


def test_credentials_that_may_lie_in_files_pass_the_check(
    connect_litellm: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    import litellm

    names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    for name in ("DEEPSEEK_API_KEY", *names):
        monkeypatch.delenv(name, raising=False)
    assert litellm.validate_environment("bedrock/m")["missing_keys"] == names
    connect_litellm("bedrock", key=None).check("m")
    assert "DEEPSEEK_API_KEY" in mistake_of(lambda: connect_litellm("deepseek", key=None).check("m"))
