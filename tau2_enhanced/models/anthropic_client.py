"""Claude, through the `anthropic` SDK.

As with OpenAI's, the SDK gives connections, headers, authentication and errors; its own retries are off, its
pool is as wide as the run's concurrency, and requests and answers pass through it as bytes.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anthropic
import httpx2

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import get_logger
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.anthropic_messages import read_reply, request_body
from tau2_enhanced.models.client import Reply, Request, whole
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    CallFailed,
    ContextOverflow,
    DeadlinePassed,
    ModelCallError,
    RequestRefused,
    TransientFailure,
    retry_after_s,
)
from tau2_enhanced.models.openai_client import encoded
from tau2_enhanced.models.resolve import on_this_machine, url_without_secrets

_CONNECT_TIMEOUT_S = 10.0
_CHECK_TIMEOUT_S = 15.0
_TOO_LATE = "no answer within the call's time limit"
_SAMPLING = {"temperature", "top_p", "top_k"}
_VERSION_WITH_SAMPLING = {"anthropic-version": "2023-06-01"}
"""Newer versions of the API refuse sampling parameters for every model; this one only for newer models."""
_OVERFLOW = re.compile(r"prompt is too long|exceed context limit", re.IGNORECASE)
_NO_MONEY = re.compile(r"credit balance is too low|spend limit|usage limits?\b", re.IGNORECASE)
_NO_MONEY_CODES = re.compile(r"spend_limit|billing|on_hold")
_REFUSED = re.compile(
    r"\A`?(\w+)`?(?:: Extra inputs are not permitted| is deprecated for this model| may only be set to"
    r"| and `\w+` cannot both be specified)"
)

_logger = get_logger(__name__)


class AnthropicClient:
    """Anthropic's API, or a server that speaks like it; one connection pool."""

    call_type = "claude"

    def __init__(self, base_url: str | None, api_key: str, max_connections: int) -> None:
        address = base_url.partition("?")[0] if base_url else None
        self._client = anthropic.Anthropic(
            api_key=api_key,
            # the SDK adds /v1 itself
            base_url=address.removesuffix("/messages").removesuffix("/v1") if address else None,
            default_query=dict(parse_qsl(urlsplit(base_url or "").query)),
            max_retries=0,
            open_telemetry=False,
            http_client=anthropic.DefaultHttpxClient(
                limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
                # a proxy of the environment can't reach this machine's own servers
                trust_env=base_url is None or not on_this_machine(base_url),
            ),
        )
        self._where = url_without_secrets(str(self._client.base_url)).rstrip("/")

    def check(self, model: str) -> None:
        """As the protocol wants it. The model is asked for by itself: aliases are in no list."""
        models = self._client.with_options(timeout=_CHECK_TIMEOUT_S).models.with_raw_response
        try:
            models.retrieve(model)
        except anthropic.APIStatusError as error:
            if error.status_code == 401:
                raise UserMistake(f"{self._where} refuses the API key (HTTP 401)") from None
            if error.status_code == 404 and error.type == "not_found_error":
                raise UserMistake(f"{self._where} has no model {model!r}") from None
            # a server without models to ask for, a key that may not see them, a server that is busy:
            # it is there, and its first call will tell
        except anthropic.APIError as error:
            raise UserMistake(f"{self._where} can't be reached: {_cause(error)}") from None

    def complete(self, request: Request) -> Reply:
        body = request_body(request)
        try:
            text = self._send(request, body)
            answer = whole(json.loads(text)) if b"\\ud" in text.lower() else json.loads(text)
            return self._read(request.model, answer)
        except anthropic.APIError as error:
            raise _failure(error) from None
        except httpx2.TimeoutException:
            raise DeadlinePassed(_TOO_LATE) from None
        except httpx2.HTTPError as error:
            raise TransientFailure(f"connection lost: {error}", error_type="connection") from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise TransientFailure(
                f"{self._where} answered no message of Anthropic's API: {error!r}", error_type="bad_response"
            ) from None

    def _send(self, request: Request, body: dict[str, Any]) -> bytes:
        """The answer's body. The SDK's time limit is for each read; ours is for the whole call."""
        deadline = time.monotonic() + request.timeout_s
        version = _VERSION_WITH_SAMPLING if _SAMPLING & body.keys() else {}
        answer: httpx2.Response = self._client.post(
            "/v1/messages",
            content=encoded({"model": request.model, **body}),
            cast_to=httpx2.Response,
            options={
                "headers": {**version, **request.headers},
                "timeout": httpx2.Timeout(request.timeout_s, connect=_CONNECT_TIMEOUT_S, pool=None),
            },
            # the answer's body is read below
            stream=True,
        )
        with closing(answer):
            received = bytearray()
            for chunk in answer.iter_bytes():
                received += chunk
                if time.monotonic() > deadline:
                    raise DeadlinePassed(_TOO_LATE)
            return bytes(received)

    def _read(self, model: str, answer: dict[str, Any]) -> Reply:
        reply = read_reply(answer)
        reason = answer.get("stop_reason")
        if reason == "model_context_window_exceeded":
            raise ContextOverflow("the answer filled the model's context window")
        if reason == "refusal":
            details = answer.get("stop_details") or {}
            _logger.warning("%s refuses to answer (%s)", model, details.get("category") or "no reason given")
        return reply

    def close(self) -> None:
        self._client.close()


def _failure(error: anthropic.APIError) -> ModelCallError:
    """The SDK's exception as ours."""
    if isinstance(error, anthropic.APITimeoutError):
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            return TransientFailure("the connection could not be made in time", error_type="connection")
        return DeadlinePassed(_TOO_LATE)
    if isinstance(error, anthropic.APIConnectionError):
        return TransientFailure(f"connection lost: {_cause(error)}", error_type="connection")
    if not isinstance(error, anthropic.APIStatusError):
        return TransientFailure(_first_line(error.message), error_type="bad_response")
    status, said = error.status_code, error.api_message or str(error.body or error.message)
    text = f"HTTP {status}: {_first_line(said)}"
    if status in (401, 402, 403) or _NO_MONEY_CODES.search(error.error_code or ""):
        return AuthenticationFailed(text)
    if status in (408, 409, 429) or status >= 500:
        kind = "rate_limit" if status == 429 else f"http_{status}"
        return TransientFailure(text, error_type=kind, retry_after_s=retry_after_s(error.response.headers))
    if status == 413 or _OVERFLOW.search(said):
        return ContextOverflow(text)
    if status == 400 and _NO_MONEY.search(said):
        return AuthenticationFailed(text)
    if status in (400, 422):
        refused = _REFUSED.search(said)
        return RequestRefused(text, parameter=refused[1] if refused else None)
    return CallFailed(text)


def _first_line(said: str) -> str:
    return scrub(said.strip()).partition("\n")[0][:300]


def _cause(error: anthropic.APIError) -> str:
    return _first_line(str(error.__cause__ or error.message))
