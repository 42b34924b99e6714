"""From the name a user gives to the server that answers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import protect, protect_url
from tau2_enhanced.models.secret_arguments import secrets_of

GOLD = "gold"
REPLAY = "replay"
REPLAY_PREFIX = f"{REPLAY}:"
"""`replay:FILE` names the recorded messages of a results file of tau2 as a model."""
_OPENAI_NAME = re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|ft:gpt-|codex-)")
_PROVIDER = re.compile(r"[a-z][a-z0-9_-]+\Z")
_KNOWN_FORMS = (
    "gold, replay:RESULTS.json, openai/NAME, anthropic/NAME, vllm/NAME with a base URL, a checkpoint's /PATH, "
    "or PROVIDER/NAME as litellm knows it"
)
_HOSTED = ("openai", "anthropic")
"""Providers whose address and key our own clients know; those of others are litellm's affair."""


@dataclass(frozen=True)
class ModelSpec:
    """Which model plays a role: agent, expert, user or judge."""

    given: str
    """As the user wrote it."""
    provider: str
    """gold, replay, openai, anthropic, vllm, or a provider of litellm's."""
    name: str
    """As the server knows it; of a replay its file."""
    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What is sent with every call: temperature, max_tokens, …"""
    other_urls: Sequence[str] = field(default=(), repr=False)
    """Of further servers with the same model."""

    @property
    def runs_here(self) -> bool:
        """Whether the model is one that the user runs, and not a provider's."""
        return self.provider in (GOLD, REPLAY, "vllm") or (self.base_url is not None and on_this_machine(self.base_url))


def parse_model(
    given: str,
    *,
    role: str,
    base_url: str | None = None,
    other_urls: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> ModelSpec:
    """The model that a name means. Raises UserMistake for a name, a URL or a key that can't or would not be used.

    A key is taken from `api_key` in the arguments or from the provider's environment variable; whether
    one of litellm's providers has what it needs is found out when its client checks the model.
    """
    arguments = dict(arguments or {})
    protect(*secrets_of(arguments))
    key = arguments.pop("api_key", None)
    base_url = arguments.pop("base_url", None) or base_url
    if not isinstance(key, str | None) or not isinstance(base_url, str | None):
        raise UserMistake(f"--{role}-args: api_key and base_url must be texts")
    if not (isinstance(arguments.get("extra_body"), Mapping | None) and _are_headers(arguments.get("extra_headers"))):
        raise UserMistake(f"--{role}-args: extra_body must be an object, and extra_headers one of texts in Latin-1")
    if given == REPLAY_PREFIX:
        raise UserMistake(f"{_flag(role, 'model')} {given} names no results file: use replay:RESULTS.json")
    if given == GOLD or given.startswith(REPLAY_PREFIX):
        if base_url is not None or key is not None:
            unused = _flag(role, "base-url") if base_url is not None else f"api_key in --{role}-args"
            whose = f"name its model with {_flag(role, 'model')}"
            raise UserMistake(f"{given} asks no server, so {unused} would not be used: {whose}")
        provider, name = (GOLD, GOLD) if given == GOLD else (REPLAY, given.removeprefix(REPLAY_PREFIX))
        return ModelSpec(given, provider, name, arguments=arguments)
    provider, name = _split(given, base_url, role)
    if provider in _HOSTED:
        base_url = base_url or environment.get(f"{provider.upper()}_BASE_URL")
        key = key or environment.get(f"{provider.upper()}_API_KEY")
        if not key:
            hint = " (or leave --agent-model out: gold needs none)" if role == "agent" else ""
            raise UserMistake(f"{given} needs a key: set {provider.upper()}_API_KEY{hint}")
    elif provider == "vllm":
        key = key or environment.get("VLLM_API_KEY") or "EMPTY"
        if base_url is None:
            raise UserMistake(f"{given} needs the server's address: {_address_flag(role, given)}http://HOST:PORT/v1")
    if other_urls and provider not in ("openai", "vllm"):
        raise UserMistake(f"{_flag(role, 'base-url')}: several addresses are for servers of vllm/NAME")
    base_url, *others = (_checked_url(url, role) for url in (base_url, *other_urls))
    if key is not None and not (key.isascii() and key.isprintable()):
        raise UserMistake(f"the key for {given} can't be sent: it holds a line break, or a character not of ASCII")
    protect(key)
    return ModelSpec(given, provider, name, base_url, key, arguments, [url for url in others if url])


def _split(given: str, base_url: str | None, role: str) -> tuple[str, str]:
    if is_path(given):
        if base_url is None:
            where = f"{_address_flag(role, given)}http://HOST:PORT/v1"
            raise UserMistake(f"{given} needs the address of a server that has it: {where}")
        return "vllm", given
    provider, slash, name = given.partition("/")
    if slash and name and _PROVIDER.match(provider):
        return provider, name
    if not slash and _OPENAI_NAME.match(given):
        return "openai", given
    if not slash and given.startswith("claude-"):
        return "anthropic", given
    if not slash and given and base_url is not None:
        return "vllm", given
    raise UserMistake(f"{_flag(role, 'model')} {given!r} is no model this runner knows: use {_KNOWN_FORMS}")


def _are_headers(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, Mapping) and all(
        isinstance(text, str) and _is_latin(name + text) for name, text in value.items()
    )


def _is_latin(text: str) -> bool:
    """Whether a header can hold it."""
    return text.isprintable() and all(character <= "\xff" for character in text)


def is_path(given: str) -> bool:
    """Whether a model's name is the path of a checkpoint."""
    return given.startswith(("/", "./", "../"))


def _flag(role: str, what: str) -> str:
    return "--experts" if role == "expert" else f"--{role}-{what}"


def _address_flag(role: str, given: str) -> str:
    return f"--experts NAME={given}@" if role == "expert" else f"--{role}-base-url "


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
        raise UserMistake(f"{_flag(role, 'base-url')} {url_without_secrets(url)} is no http(s) address")
    return url.rstrip("/").removesuffix("/chat/completions")


def url_without_secrets(url: str) -> str:
    """The address without user, password and query."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "(an unreadable address)"


def on_this_machine(url: str) -> bool:
    """Whether the address is a loopback one, or all of this machine's, as servers print theirs."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1", "0.0.0.0", "::") or host.startswith("127.")
