"""Secrets never reach a file or a screen: known values and known forms are replaced by `[redacted]`.

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
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from tau2_enhanced.logging import logfmt

REDACTED = "[redacted]"

_TELLING_NAME = re.compile(
    r"((API|OPENAI|ANTHROPIC)_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE_KEY)S?($|_)", re.IGNORECASE
)
_TELLING_PARAMETER = re.compile(r"key|token|secret|password|sig", re.IGNORECASE)
_FORMS = r"\bsk-[A-Za-z0-9_-]{12,}|(?<=\bBearer )[A-Za-z0-9._~+/-]{6,}=*|(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"
_SHORTEST_FROM_ENVIRONMENT = 8
_SHORTEST_USED = 4
_NOT_SECRET = {"EMPTY", "none", "null", "dummy", "true", "false", "gold"}

_lock = threading.Lock()
_known: set[str] = set()
_pattern = re.compile(_FORMS)


def protect(*secrets: str | None) -> None:
    """From now on, `scrub` replaces these values, also where they are escaped in JSON or in a URL."""
    global _pattern
    with _lock:
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST_USED and secret not in _NOT_SECRET:
                _known.update(_forms_of(secret))
        literals = "|".join(re.escape(value) for value in sorted(_known, key=len, reverse=True))
        _pattern = re.compile(f"{literals}|{_FORMS}" if literals else _FORMS)


def _forms_of(secret: str) -> set[str]:
    """A secret as it stands in plain text, in JSON, on a log line, in a URL and in a Python literal."""
    in_url = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    in_text = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    return {secret, *in_text, logfmt.quote(secret).strip('"'), *in_url}


def protect_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Protect what the environment holds under names like `OPENAI_API_KEY` or `HF_TOKEN`."""
    protect(
        *(
            value
            for name, value in environment.items()
            if _TELLING_NAME.search(name) and len(value) >= _SHORTEST_FROM_ENVIRONMENT
        )
    )


def protect_url(url: str) -> None:
    """Protect the credentials of a URL: its password, and query values under telling names."""
    parts = urlsplit(url)
    # a user name without a password is a token
    credential = parts.password or parts.username
    if credential:
        protect(credential, unquote(credential))
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if _TELLING_PARAMETER.search(name):
            protect(value, unquote(value), unquote_plus(value))


def scrub(text: str) -> str:
    """`text` without any secret."""
    return _pattern.sub(REDACTED, text)
