"""Which of a model's arguments are secrets: credentials by their names, and headers. They are sent and not kept.

Rather one too many than one too few: what is taken for a secret has only to be given again with a resumed run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tau2_enhanced.logging.sensitive_keys import kind_of_key, words_of

NOT_KEPT = "[not kept, give it again]"
"""Stands where a secret was given."""
_SCHEMES = ("basic", "bearer", "token")
"""What stands before the secret in an `Authorization` header."""


def without_secrets(value: Any, *, in_their_place: str | None = None) -> Any:
    """A copy of arguments without secrets at any depth, or with a word in the place of each."""
    if isinstance(value, Mapping):
        return {
            key: in_their_place if _is_secret(key) else without_secrets(inner, in_their_place=in_their_place)
            for key, inner in value.items()
            if in_their_place is not None or not _is_secret(key)
        }
    if isinstance(value, list):
        return [without_secrets(inner, in_their_place=in_their_place) for inner in value]
    return value


def secrets_of(value: Any, *, within: bool = False) -> Iterator[str]:
    """The texts that are secrets, or part of one; of `Bearer TOKEN` the token, too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secrets_of(inner, within=within or _is_secret(key))
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_of(inner, within=within)
    elif within and isinstance(value, str):
        yield value
        scheme, _, token = value.partition(" ")
        if scheme.lower() in _SCHEMES:
            yield token


def _is_secret(key: str) -> bool:
    words = words_of(key)
    if kind_of_key(key) == "credential" or words[-1:] == ["headers"]:
        return True
    # `aws_access_key_id`, `subscription_key`; but not OpenAI's `prompt_cache_key`
    named = words[:-1] if words[-1:] == ["id"] else words
    return named[-1:] == ["key"] and "cache" not in named
