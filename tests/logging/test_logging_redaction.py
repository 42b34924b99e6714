"""The known secrets are global to the process, so each test makes its own."""

from __future__ import annotations

import json
import secrets
from urllib.parse import quote as url_quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging.logfmt import quote
from tau2_enhanced.logging.redaction import (
    REDACTED,
    may_hold_secret,
    protect,
    protect_environment,
    protect_url,
    scrub,
    scrub_values,
)


def fresh(inner: str = "") -> str:
    return f"q{secrets.token_hex(6)}{inner}{secrets.token_hex(6)}"


def test_a_secret_is_replaced_from_its_first_use_on_and_everywhere() -> None:
    secret = fresh()
    assert scrub(f"key {secret}") == f"key {secret}"
    protect(secret)
    assert scrub(f"key {secret}, again:{secret}{secret}.") == f"key {REDACTED}, again:{REDACTED}{REDACTED}."


@pytest.mark.parametrize("inner", ["", '"', "\\", "/", "+", "ä", " ", "\t", '"ä', "ä\n", "%&=?", "[x](y)*.^$|"])
def test_a_secret_is_found_plain_in_json_in_a_url_and_in_a_line(inner: str) -> None:
    secret = fresh(inner)
    protect(secret)
    for text in (
        secret,
        json.dumps({"k": secret}),
        json.dumps({"k": secret}, ensure_ascii=False),
        f"https://h/?k={url_quote(secret, safe='')}",
        f"key={quote(secret)}",
    ):
        head, tail = secret[:13], secret[-12:]
        assert head not in scrub(text)
        assert tail not in scrub(text)
        assert REDACTED in scrub(text)


def test_of_two_secrets_the_longer_one_wins() -> None:
    short = fresh()
    long = short + fresh()
    protect(short, long)
    assert scrub(f"{long} {short}") == f"{REDACTED} {REDACTED}"


def test_what_stands_around_a_secret_stays() -> None:
    secret = fresh()
    protect(secret)
    assert scrub(f'{{"a":1,"k":"{secret}","b":2}}') == f'{{"a":1,"k":"{REDACTED}","b":2}}'


@pytest.mark.parametrize("word", [None, "", "abc", "EMPTY", "none", "null", "dummy", "gold", "true", "false"])
def test_words_that_are_no_secrets_are_not_protected(word: str | None) -> None:
    protect(word)
    text = "EMPTY none null dummy gold true false abc"
    assert scrub(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "openai_api_key",
        "SOMEAPIKEY",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "CLIENT_SECRET",
        "DB_PASSWORD",
        "PGPASSWORD",
        "GOOGLE_CREDENTIALS",
        "SSH_PRIVATE_KEY",
        "API_KEYS",
    ],
)
def test_the_environments_telling_names_are_protected(name: str) -> None:
    secret = fresh()
    protect_environment({name: secret})
    assert scrub(f"<{secret}>") == f"<{REDACTED}>"


@pytest.mark.parametrize("name", ["HOME", "TOKENIZERS_PARALLELISM", "PASSWORDLESS", "MONKEY", "AUTHOR", "KEYBOARD"])
def test_the_environments_other_names_are_not(name: str) -> None:
    value = fresh()
    protect_environment({name: value})
    assert scrub(value) == value


def test_a_value_of_the_environment_that_is_no_unicode_is_a_secret_too() -> None:
    for half in ("\udcff", "\ud800"):
        secret = fresh(half)
        protect_environment({"SOME_TOKEN": secret})
        assert scrub(f"<{secret}> half\ud800") == f"<{REDACTED}> half\ud800"


def test_a_short_value_of_the_environment_is_no_secret() -> None:
    protect_environment({"MAX_TOKENS": "4096123", "SOME_TOKEN": "wxyzwxy"})
    assert scrub("4096123 wxyzwxy") == "4096123 wxyzwxy"


def test_the_real_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = fresh()
    monkeypatch.setenv("TAU2_TEST_API_KEY", secret)
    protect_environment()
    assert scrub(secret) == REDACTED


def test_a_urls_password_is_protected_as_written_and_as_meant() -> None:
    password = fresh("p/@:")
    protect_url(f"https://me:{url_quote(password, safe='')}@host/v1")
    assert scrub(f"login {password}") == f"login {REDACTED}"
    assert scrub(f"login {url_quote(password, safe='')}") == f"login {REDACTED}"


@pytest.mark.parametrize("name", ["api_key", "key", "access_token", "client_secret", "sig"])
def test_a_urls_telling_query_values_are_protected(name: str) -> None:
    secret, harmless = fresh(), fresh()
    protect_url(f"https://host/v1?version={harmless}&{name}={secret}")
    assert scrub(f"{secret} {harmless}") == f"{REDACTED} {harmless}"


@pytest.mark.parametrize("inner", ["%2B", "%2b", "+", "/", "%C3%A4", "%c3%a4", "~"])
def test_a_urls_query_secret_is_not_in_the_scrubbed_url(inner: str) -> None:
    secret = fresh(inner)
    url = f"https://host/v1?api_key={secret}&x=1"
    protect_url(url)
    assert scrub(f"GET {url} failed") == f"GET https://host/v1?api_key={REDACTED}&x=1 failed"


def test_a_secret_is_found_in_each_of_its_forms_alone() -> None:
    """Nothing else in the text gives it away."""
    secret = fresh('a "b" c/d+é')
    protect(secret)
    for form in (secret, json.dumps(secret)[1:-1], url_quote(secret), url_quote(secret, safe="")):
        assert scrub(form) == REDACTED


@pytest.mark.parametrize("url", ["", "http://localhost:8000/v1", "https://host/v1?x=1", "not a url"])
def test_a_url_without_credentials_is_left_alone(url: str) -> None:
    protect_url(url)
    assert scrub(f"POST {url} failed") == f"POST {url} failed"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Incorrect API key: sk-abcDEF123456_-x.", f"Incorrect API key: {REDACTED}."),
        ("sk-ant-api03-AbCdEfGh1234", REDACTED),
        (r'text="key:\nsk-abcDEF123456_-x"', rf'text="key:\n{REDACTED}"'),
        (r'text="\u2028sk-abcDEF123456_-x"', rf'text="\u2028{REDACTED}"'),
        (r'text="\tBearer abc.DEF-123=="', rf'text="\tBearer {REDACTED}"'),
        ('{"Authorization":"Bearer abc.DEF-123=="}', f'{{"Authorization":"Bearer {REDACTED}"}}'),
        ("http://user:pa55w0rd@host:8000/v1", f"http://{REDACTED}@host:8000/v1"),
        ('url="https://u:p@h/"', f'url="https://{REDACTED}@h/"'),
        ("redis://:pa55w0rd@host:6379/0", f"redis://{REDACTED}@host:6379/0"),
    ],
)
def test_forms_that_are_secrets_wherever_they_stand(text: str, clean: str) -> None:
    assert scrub(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "",
        "task-1234567890abcdef disk-abcdefghijklmnop",
        "sk-short",
        "the keyboard's author is a monkey",
        "bearers of news",
        "http://127.0.0.1:8000/v1/chat/completions",
        "mail me@example.com or see http://host/path?to=me@example.com",
        "12:30 @home",
        "input_tokens=1500 output_tokens=42",
        "[redacted]",
    ],
)
def test_harmless_words_are_not_touched(text: str) -> None:
    assert scrub(text) == text


STRUCTURAL = ("domain", "name", "requestor", "role", "status", "task", "task_id", "termination_reason", "type")


@pytest.mark.parametrize("key", STRUCTURAL)
def test_a_secret_under_a_structural_key_goes_where_the_data_is_anybodys(key: str) -> None:
    secret = fresh()
    protect(secret)
    document = {
        "status": {"deep": secret, key: secret, "list": [secret]},
        "type": [secret],
        "tool_calls": [{"name": "f", "arguments": {key: secret, "deeper": [{key: {key: secret}}]}}],
        "tool_args": {key: f"it is {secret}"},
        "state_diff": [{"op": "add", "path": "/users", "new": {key: secret}}],
        "metadata": {"x": {key: secret}},
    }
    assert secret not in json.dumps(scrub_values(document))
    assert scrub_values({key: secret}, free=True) == {key: REDACTED}


def test_a_name_is_structural_beside_arguments_alone() -> None:
    secret = fresh()
    protect(secret)
    assert scrub_values({"name": secret}) == {"name": REDACTED}
    assert scrub_values({"name": secret, "arguments": {}}) == {"name": secret, "arguments": {}}


def test_words_of_a_format_stay_though_a_secret_is_the_same_word() -> None:
    word = fresh()
    protect(word)
    document = {
        "domain": word,
        "messages": [
            {"role": word, "content": "x", "tool_calls": [{"name": word, "arguments": {}, "requestor": word}]}
        ],
        "reward_info": {"env_assertions": [{"env_assertion": {"env_type": word, "func_name": word}}]},
    }
    assert scrub_values(document) == document


@settings(max_examples=100, deadline=None, database=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_found_between_any_text(before: str, after: str) -> None:
    assert SECRET not in scrub(f"{before}{SECRET}{after}")


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.sampled_from(["", '"', "\\", "/", "ä", "\t", '"ä', "\U0001f600", '\\"ä\n']),
    st.text(max_size=20),
    st.text(max_size=20),
    st.integers(0, 3),
)
def test_a_document_that_scrubbing_changes_may_hold_a_secret(inner: str, before: str, after: str, depth: int) -> None:
    secret = f"a-secret-with-{inner}-in-it"
    protect(secret)
    text = before + secret + after
    for _ in range(depth):
        text = json.dumps({"k": text})
    document = {"data": [{"k": text}]}
    if scrub_values(document) != document:
        assert may_hold_secret(json.dumps(document, separators=(",", ":")))
    assert not may_hold_secret(json.dumps({"data": [before.replace("sk-", "").replace("Bearer ", "")[:2]]}))


@pytest.mark.parametrize("text", ["sk-0123456789abcdef", "Bearer abcdefgh", "https://me:word@host"])
def test_a_document_with_what_looks_like_a_secret_may_hold_one(text: str) -> None:
    assert may_hold_secret(json.dumps({"content": f"ä\n{text}"}))


SECRET = fresh()
protect(SECRET)
