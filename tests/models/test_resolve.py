from __future__ import annotations

from typing import Any

import pytest

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.resolve import parse_model, url_without_secrets

KEY = "key-of-a-form-of-its-own-77"
ENVIRONMENT = {"OPENAI_API_KEY": KEY}
URL = "http://127.0.0.1:8000/v1"


def mistake(given: str, **options: Any) -> str:
    with pytest.raises(UserMistake) as caught:
        parse_model(given, role="agent", **{"environment": {}, **options})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_gold_needs_neither_key_nor_address() -> None:
    spec = parse_model("gold", role="user", environment={})
    assert (spec.provider, spec.name, spec.base_url, spec.api_key) == ("gold", "gold", None, None)


@pytest.mark.parametrize("given", ["gold", "replay:results.json"])
@pytest.mark.parametrize(
    ("options", "unused"),
    [
        ({"base_url": URL}, "--agent-base-url"),
        ({"arguments": {"base_url": URL}}, "--agent-base-url"),
        ({"arguments": {"api_key": KEY}}, "api_key in --agent-args"),
    ],
)
def test_a_server_that_would_not_be_asked_is_the_users_mistake(
    given: str, options: dict[str, Any], unused: str
) -> None:
    text = mistake(given, **options)
    assert f"{given} asks no server, so {unused} would not be used" in text
    assert text.endswith("with --agent-model")
    assert KEY not in text


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("openai/gpt-4.1", "gpt-4.1"),
        ("openai/anything", "anything"),
        ("gpt-4.1-mini", "gpt-4.1-mini"),
        ("o3", "o3"),
        ("o4-mini", "o4-mini"),
        ("ft:gpt-4.1:org::id", "ft:gpt-4.1:org::id"),
    ],
)
def test_openai_names(given: str, name: str) -> None:
    spec = parse_model(given, role="agent", environment=ENVIRONMENT)
    assert (spec.given, spec.provider, spec.name, spec.base_url, spec.api_key) == (given, "openai", name, None, KEY)


@pytest.mark.parametrize(
    ("given", "name"),
    [("anthropic/claude-opus-5", "claude-opus-5"), ("claude-opus-5", "claude-opus-5"), ("anthropic/any", "any")],
)
def test_anthropic_names(given: str, name: str) -> None:
    environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": URL, "OPENAI_BASE_URL": "http://other"}
    spec = parse_model(given, role="agent", environment=environment)
    assert (spec.given, spec.provider, spec.name, spec.base_url, spec.api_key) == (given, "anthropic", name, URL, KEY)


@pytest.mark.parametrize("given", ["gemini/gemini-2.5-pro", "openrouter/anthropic/claude", "azure_ai/m"])
def test_other_providers_names_are_litellms(given: str) -> None:
    spec = parse_model(given, role="agent", base_url=URL, arguments={"api_key": KEY}, environment={})
    assert (spec.provider, spec.name) == tuple(given.split("/", 1))
    assert (spec.base_url, spec.api_key) == (URL, KEY)
    assert parse_model(given, role="agent", environment=ENVIRONMENT).api_key is None


@pytest.mark.parametrize(
    ("given", "options", "here"),
    [
        ("gold", {}, True),
        ("replay:results.json", {}, True),
        ("vllm/m", {"base_url": "http://gpu.example/v1"}, True),
        ("openai/m", {}, False),
        ("openai/m", {"base_url": "https://gateway.example/v1"}, False),
        ("openai/m", {"base_url": "http://localhost:18080/v1"}, True),
        ("anthropic/gold", {"base_url": "http://127.0.0.1:18080"}, True),
        ("openai/m", {"base_url": "http://0.0.0.0:8000/v1"}, True),
        ("openai/m", {"base_url": "http://[::]:8000/v1"}, True),
        ("claude-opus-5", {}, False),
        ("gemini/m", {}, False),
    ],
)
def test_whose_server_it_is(given: str, options: dict[str, Any], here: bool) -> None:
    environment = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}
    assert parse_model(given, role="agent", environment=environment, **options).runs_here is here


@pytest.mark.parametrize(
    ("given", "name"),
    [("vllm/Qwen/Qwen3-8B", "Qwen/Qwen3-8B"), ("vllm/gpt-4.1", "gpt-4.1"), ("own-model", "own-model")],
)
def test_names_of_a_server_of_ones_own(given: str, name: str) -> None:
    spec = parse_model(given, role="agent", base_url=URL, environment={})
    assert (spec.provider, spec.name, spec.base_url, spec.api_key) == ("vllm", name, URL, "EMPTY")


@pytest.mark.parametrize("given", ["", "nonsense", "openai/", "vllm/", "Qwen/m", "my model/m", "GPT-4.1", "o30"])
def test_an_unknown_name_is_the_users_mistake(given: str) -> None:
    text = mistake(given)
    assert text.startswith(f"--agent-model {given!r} is no model this runner knows")
    assert "gold" in text


@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": ""}])
def test_openai_without_a_key_is_the_users_mistake(environment: dict[str, str]) -> None:
    assert "set OPENAI_API_KEY" in mistake("gpt-4.1", environment=environment)


def test_anthropic_without_a_key_is_the_users_mistake() -> None:
    assert "set ANTHROPIC_API_KEY" in mistake("claude-opus-5", environment=ENVIRONMENT)


def test_vllm_without_an_address_is_the_users_mistake() -> None:
    assert "--agent-base-url" in mistake("vllm/m")


def test_a_key_of_the_arguments_is_used_and_not_sent() -> None:
    arguments = {"api_key": "another-key-12", "temperature": 1}
    spec = parse_model("gpt-4.1", role="agent", arguments=arguments, environment=ENVIRONMENT)
    assert spec.api_key == "another-key-12"
    assert spec.arguments == {"temperature": 1}
    assert arguments == {"api_key": "another-key-12", "temperature": 1}


def test_vllm_takes_its_key_from_the_environment_and_never_openais() -> None:
    environment = {"VLLM_API_KEY": "vllm-key-1234", **ENVIRONMENT}
    assert parse_model("vllm/m", role="agent", base_url=URL, environment=environment).api_key == "vllm-key-1234"
    assert parse_model("vllm/m", role="agent", base_url=URL, environment=ENVIRONMENT).api_key == "EMPTY"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (URL, URL),
        (f"{URL}/", URL),
        (f"{URL}/chat/completions", URL),
        (f"{URL}/chat/completions/", URL),
        ("https://host.example", "https://host.example"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_addresses(given: str, sent: str) -> None:
    assert parse_model("vllm/m", role="agent", base_url=given, environment={}).base_url == sent


def test_an_address_of_the_arguments_is_used_and_not_sent() -> None:
    spec = parse_model("vllm/m", role="agent", arguments={"base_url": URL, "seed": 1}, environment={})
    assert (spec.base_url, spec.arguments) == (URL, {"seed": 1})


def test_openais_address_may_come_from_the_environment() -> None:
    environment = {**ENVIRONMENT, "OPENAI_BASE_URL": URL}
    assert parse_model("gpt-4.1", role="agent", environment=environment).base_url == URL
    other = parse_model("gpt-4.1", role="agent", base_url="http://other/v1", environment=environment)
    assert other.base_url == "http://other/v1"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "127.0.0.1:8000/v1",
        "ftp://host/v1",
        "http://",
        "http:///v1",
        "http://host:99999/v1",
        "http://host:port/v1",
        "http://[::1/v1",
        "nonsense",
    ],
)
def test_a_bad_address_is_the_users_mistake(url: str) -> None:
    assert "--agent-base-url" in mistake("vllm/m", base_url=url)


@pytest.mark.parametrize("arguments", [{"base_url": 5}, {"base_url": URL, "api_key": 123}], ids=["url", "key"])
def test_arguments_of_a_wrong_kind_are_the_users_mistake(arguments: dict[str, Any]) -> None:
    mistake("vllm/m", arguments=arguments)


@pytest.mark.parametrize("header", [{"X-Title": "τ²"}, {"X-Titlé": "Größe\n"}, {"X\r\nY": "a"}, {"X": 1}])
def test_a_header_that_can_not_be_sent_is_the_users_mistake(header: dict[str, Any]) -> None:
    assert "extra_headers" in mistake("vllm/m", arguments={"extra_headers": header}, base_url=URL)
    sent = parse_model("vllm/m", role="agent", arguments={"extra_headers": {"X-Title": "Größe"}}, base_url=URL)
    assert sent.arguments["extra_headers"] == {"X-Title": "Größe"}


@pytest.mark.parametrize("key", ["odd-key-12\n", "odd-key-12\r\nX-More: 1", "odd-kéy-12", "odd-key-12\0"])
def test_a_key_that_no_header_can_carry_is_the_users_mistake(key: str) -> None:
    assert "-12" not in mistake("vllm/m", arguments={"api_key": key}, base_url=URL)


def test_repr_holds_no_key_and_no_address() -> None:
    url = "http://user:pass-word-9@host.example/v1?api_key=query-key-9"
    spec = parse_model("vllm/m", role="agent", base_url=url, arguments={"api_key": KEY, "seed": 3}, environment={})
    shown = repr(spec) + str(spec)
    assert "vllm/m" in shown
    assert "seed" in shown
    for secret in (KEY, "host.example", "pass-word-9", "query-key-9"):
        assert secret not in shown


def test_the_secrets_of_a_model_are_known_from_then_on() -> None:
    url = "http://user:parole%20nine@host.example/v1?api_key=query-key-10&n=keep-me"
    parse_model("vllm/m", role="agent", base_url=url, arguments={"api_key": "odd-key-10"}, environment={})
    scrubbed = scrub("parole%20nine|parole nine|query-key-10|odd-key-10|keep-me")
    assert scrubbed == "[redacted]|[redacted]|[redacted]|[redacted]|keep-me"


def test_secrets_among_the_arguments_are_known_too() -> None:
    arguments = {
        "aws_access_key_id": "odd-key-13",
        "vertex_credentials": {"private_key": "odd-key-14"},
        "extra_headers": {"X-Gateway": "odd-key-15", "Authorization": "Basic odd-key-16"},
        "extra_body": {"tools": [{"token": "odd-key-17"}]},
        "prompt_cache_key": "keep-this",
        "stop_token": "keep-that",
    }
    spec = parse_model("vllm/m", role="agent", base_url=URL, arguments=arguments, environment={})
    assert spec.arguments == arguments
    scrubbed = scrub("odd-key-13|odd-key-14|odd-key-15|odd-key-16|odd-key-17|keep-this|keep-that")
    assert scrubbed == "|".join(["[redacted]"] * 5 + ["keep-this", "keep-that"])


def test_a_bad_address_is_named_without_its_secrets() -> None:
    text = mistake("vllm/m", base_url="ftp://me:pass-word-11@host/v1?token=query-key-11")
    assert "ftp://host/v1" in text
    assert "pass-word-11" not in text
    assert "query-key-11" not in text


def test_an_address_without_its_secrets() -> None:
    assert url_without_secrets("https://me:word@host:1/v1?key=x#part") == "https://host:1/v1"


def test_a_checkpoint_is_a_model_of_the_server_at_its_address() -> None:
    spec = parse_model("/ckpt/step-10", role="agent", base_url=URL, environment={})
    assert (spec.provider, spec.name) == ("vllm", "/ckpt/step-10")
    assert "--agent-base-url http://HOST:PORT/v1" in mistake("/ckpt/step-10")


def test_servers_with_one_model_may_be_several() -> None:
    others = ["http://b/v1/", "http://c/v1"]
    spec = parse_model("vllm/m", role="agent", base_url="http://a/v1", other_urls=others, environment={})
    assert (spec.base_url, list(spec.other_urls)) == ("http://a/v1", ["http://b/v1", "http://c/v1"])
    assert "b/v1" not in repr(spec)
    assert "ftp://b is no http(s) address" in mistake("vllm/m", base_url="http://a/v1", other_urls=["ftp://b"])
