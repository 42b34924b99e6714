"""The process's own secrets never reach a file or a screen: known values and known forms become `[redacted]`.

This is always on. What concerns people (`sensitive.py`) is another matter: found always, replaced on request.

A secret becomes known when it is used (`protect`) or stands in the environment under a telling name
(`protect_environment`). Forms that are secrets wherever they stand (`sk-…`, bearer tokens, credentials
in URLs) need not be known.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from tau2_enhanced.logging import logfmt

REDACTED = "[redacted]"

_TELLING_NAME = re.compile(
    r"((API|OPENAI|ANTHROPIC)_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE_KEY)S?($|_)", re.IGNORECASE
)
# behind an escaped end of line, as in JSON and on log lines, no word begins for `\b`
_ESCAPE = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})"
FORMS = (
    rf"(?:\b|{_ESCAPE})sk-[A-Za-z0-9_-]{{12,}}"
    r"|(?:(?<=\bBearer )|(?<=\\[bfnrt]Bearer )|(?<=\\u[0-9a-fA-F]{4}Bearer ))[A-Za-z0-9._~+/-]{6,}=*"
    r"|(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"
)
"""A regular expression for what is a secret wherever it stands."""
FORM_MARKS = ("sk-", "Bearer ", "://")
"""One of these stands in or before every such form."""
_SHORTEST_SECRET = 8
"""Shorter values are words and numbers that stand in every text; replacing them would destroy it."""
_STRUCTURE = {
    "domain",
    "env_type",
    "func_name",
    "name",
    "requestor",
    "role",
    "seed",
    "status",
    "task",
    "task_id",
    "termination_reason",
    "type",
}
"""Keys of JSON documents whose texts are words of a format, never a secret."""
_FREE = {
    "agent_args",
    "agent_data",
    "arguments",
    "data",
    "extra",
    "info",
    "initialization_data",
    "judge_args",
    "llm_args",
    "metadata",
    "new",
    "old",
    "raw_data",
    "result",
    "state_data",
    "state_diff",
    "tool_args",
    "user_args",
    "user_data",
}
"""Keys of JSON documents below which anything may stand: no key in there says that its value is no secret."""

_lock = threading.Lock()
_known: set[str] = set()
_pattern = re.compile(FORMS)
_hints: tuple[str, ...] = FORM_MARKS
"""A text without any of these holds no secret; to look for them takes a tenth of what the pattern takes."""
_hints_in_json: tuple[str, ...] = FORM_MARKS
"""The same, as they stand in what `json.dumps` writes."""


def protect(*secrets: str | None) -> None:
    """From now on, `scrub` replaces these values, also where they are escaped in JSON or in a URL."""
    global _pattern, _hints, _hints_in_json
    with _lock:
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST_SECRET:
                _known.update(_forms_of(secret))
        literals = "|".join(re.escape(value) for value in sorted(_known, key=len, reverse=True))
        _pattern = re.compile(f"{literals}|{FORMS}" if literals else FORMS)
        _hints = (*FORM_MARKS, *_known)
        _hints_in_json = tuple({json.dumps(hint)[1:-1] for hint in _hints})


def _forms_of(secret: str) -> set[str]:
    """A secret as it stands in plain text, in JSON, on a log line, in a URL and in a Python literal."""
    # a text of the environment may be no Unicode
    in_url = {made(secret, safe, errors="backslashreplace") for made in (quote, quote_plus) for safe in ("", "/")}
    in_text = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    return {secret, *in_text, logfmt.quote(secret).strip('"'), *in_url}


def protect_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Protect what the environment holds under names like `OPENAI_API_KEY` or `HF_TOKEN`."""
    protect(*(value for name, value in environment.items() if _TELLING_NAME.search(name)))


def protect_url(url: str) -> None:
    """Protect the credentials of a URL: its password, and what its query holds but for a version."""
    parts = urlsplit(url)
    # a user name without a password is a token
    credential = parts.password or parts.username
    if credential:
        protect(credential, unquote(credential))
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if "version" not in name.lower():
            protect(value, unquote(value), unquote_plus(value))


def scrub_values(value: Any, *, free: bool = False) -> Any:
    """A JSON document without any secret in its texts; its keys, numbers and structure stay what they are.

    Words of a format stay too, whatever the secrets are, but not where the data is `free`: anybody's.
    """
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {
            key: inner
            if not free and _is_word(key, inner, value)
            else scrub_values(inner, free=free or key in _FREE or key in _STRUCTURE)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrub_values(inner, free=free) for inner in value]
    return value


def may_hold_secret(document: str) -> bool:
    """Whether `scrub_values` may change a document, given as `json.dumps` writes it. False of most, and quick."""
    return any(hint in document for hint in _hints_in_json)


def _is_word(key: str, value: object, around: Mapping[str, object]) -> bool:
    """Whether a member of a document is a word of its format; a name is one where it is a called function's."""
    return key in _STRUCTURE and isinstance(value, str) and (key != "name" or "arguments" in around)


def scrub(text: str) -> str:
    """`text` without any secret."""
    for hint in _hints:
        if hint in text:
            return _pattern.sub(REDACTED, text)
    return text
