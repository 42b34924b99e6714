"""From the name a user gives to the server that answers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import protect, protect_url

GOLD = "gold"
REPLAY = "replay"
REPLAY_PREFIX = f"{REPLAY}:"
"""`replay:FILE` names the recorded messages of a results file of tau2 as a model."""
_OPENAI_NAME = re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|ft:gpt-|codex-)")
_KNOWN_FORMS = "gold, replay:RESULTS.json, openai/NAME, or vllm/NAME with a base URL"


@dataclass(frozen=True)
class ModelSpec:
    """Which model plays a role: agent, user or judge."""

    given: str
    """As the user wrote it."""
    provider: str
    """gold, replay, openai or vllm: also the `call_type` of its calls."""
    name: str
    """As the server knows it; of a replay its file."""
    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What is sent with every call: temperature, max_tokens, …"""


def parse_model(
    given: str,
    *,
    role: str,
    base_url: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> ModelSpec:
    """The model that a name means. Raises UserMistake for a name, a URL or a key that can't be used.

    A key is taken from `api_key` in the arguments or from the provider's environment variable.
    """
    arguments = dict(arguments or {})
    own_key = arguments.pop("api_key", None)
    base_url = arguments.pop("base_url", None) or base_url
    if not isinstance(own_key, str | None) or not isinstance(base_url, str | None):
        raise UserMistake(f"--{role}-args: api_key and base_url must be texts")
    if given == GOLD:
        return ModelSpec(given, GOLD, GOLD, None, None, arguments)
    if given.startswith(REPLAY_PREFIX):
        return ModelSpec(given, REPLAY, given.removeprefix(REPLAY_PREFIX), None, None, arguments)
    provider, name = _split(given, base_url, role)
    base_url = _checked_url(base_url or _default_url(provider, environment), role)
    if provider == "openai":
        key = own_key or environment.get("OPENAI_API_KEY")
        if not key:
            hint = " (or leave --agent-model out: gold needs none)" if role == "agent" else ""
            raise UserMistake(f"{given} needs a key: set OPENAI_API_KEY{hint}")
    else:
        if base_url is None:
            raise UserMistake(f"{given} needs the server's address: --{role}-base-url http://HOST:PORT/v1")
        key = own_key or environment.get("VLLM_API_KEY") or "EMPTY"
    protect(key)
    return ModelSpec(given, provider, name, base_url, key, arguments)


def _split(given: str, base_url: str | None, role: str) -> tuple[str, str]:
    provider, slash, name = given.partition("/")
    if slash and provider in ("openai", "vllm") and name:
        return provider, name
    if not slash and _OPENAI_NAME.match(given):
        return "openai", given
    if not slash and given and base_url is not None:
        return "vllm", given
    raise UserMistake(f"--{role}-model {given!r} is no model this runner knows: use {_KNOWN_FORMS}")


def _default_url(provider: str, environment: Mapping[str, str]) -> str | None:
    return environment.get("OPENAI_BASE_URL") if provider == "openai" else None


def _checked_url(url: str | None, role: str) -> str | None:
    if url is None:
        return None
    try:
        protect_url(url)
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UserMistake(f"--{role}-base-url {url_without_secrets(url)} is no http(s) address")
    return url.rstrip("/").removesuffix("/chat/completions")


def url_without_secrets(url: str) -> str:
    """The address without user, password and query."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "(an unreadable address)"
