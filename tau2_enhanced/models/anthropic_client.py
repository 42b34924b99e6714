"""Claude, through the `anthropic` SDK.

As with OpenAI's, the SDK gives the address, headers, authentication and errors; its own retries are off,
connections are as many as there are calls at once, and requests and answers don't pass through it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anthropic
import httpx2

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import get_logger
from tau2_enhanced.models.anthropic_messages import read_reply, request_body
from tau2_enhanced.models.anthropic_stream import holds_token, message_of
from tau2_enhanced.models.client import Reply, Request
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    CallFailed,
    ContextOverflow,
    ModelCallError,
    NotThere,
    RequestRefused,
    TransientFailure,
    transient_failure,
)
from tau2_enhanced.models.http import (
    CHECK_TIMEOUT_S,
    Endpoint,
    Received,
    cause_text,
    connection_failure,
    connections_for,
    decoded,
    encoded,
    first_line,
    into_headers,
    reading,
)
from tau2_enhanced.models.resolve import url_without_secrets
from tau2_enhanced.models.streaming import StreamedError, is_stream, is_streamed, read_stream, refused_as_stream

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

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that belongs to an error's type: inside an answer the type is all there is."""

_logger = get_logger(__name__)


class AnthropicClient:
    """Anthropic's API, or a server that speaks like it."""

    call_type = "claude"

    def __init__(self, base_url: str | None, api_key: str) -> None:
        self._connections = connections_for(base_url)
        address = base_url.partition("?")[0] if base_url else None
        self._client = anthropic.Anthropic(
            api_key=api_key,
            # the SDK adds /v1 itself
            base_url=address.removesuffix("/messages").removesuffix("/v1") if address else None,
            default_query=dict(parse_qsl(urlsplit(base_url or "").query)),
            max_retries=0,
            open_telemetry=False,
            http_client=httpx2.Client(transport=self._connections, follow_redirects=True),
        )
        self._messages = Endpoint(self._client, "/v1/messages", self._connections)
        self._where = url_without_secrets(str(self._client.base_url)).rstrip("/")

    def check(self, model: str) -> None:
        """As the protocol wants it. The model is asked for by itself: aliases are in no list."""
        models = self._client.with_options(timeout=CHECK_TIMEOUT_S).models.with_raw_response
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
            raise UserMistake(f"{self._where} can't be reached: {cause_text(error)}") from None

    def complete(self, request: Request) -> Reply:
        body = {"model": request.model, **request_body(request)}
        version = _VERSION_WITH_SAMPLING if _SAMPLING & request.arguments.keys() else {}
        try:
            with reading(self._where, "message of Anthropic's API"):
                headers = {**version, **into_headers(body, request.headers)}
                return self._read(request, self._messages.post(encoded(body), headers, request.timeout_s))
        except anthropic.APIError as error:
            raise refused_as_stream(_failure(error), request) from None

    def _read(self, request: Request, received: Received) -> Reply:
        if not (is_streamed(request) and is_stream(received.body)):
            return self._read_message(request.model, decoded(received.body))
        stream = read_stream(received, holds_token)
        try:
            message = message_of(stream)
        except StreamedError as error:
            raise _status_error(error.chunk) from None
        return replace(self._read_message(request.model, message), ttft_ms=stream.ttft_ms, decode_ms=stream.decode_ms)

    def _read_message(self, model: str, answer: dict[str, Any]) -> Reply:
        if answer.get("type") == "error":
            raise _status_error(answer)
        reply = read_reply(answer)
        reason = answer.get("stop_reason")
        if reason == "model_context_window_exceeded":
            raise ContextOverflow("the answer filled the model's context window")
        if reason == "refusal":
            details = answer.get("stop_details") or {}
            _logger.warning("%s refuses to answer (%s)", model, details.get("category") or "no reason given")
        return reply

    def close(self) -> None:
        self._connections.close()


def _status_error(event: Mapping[str, Any]) -> anthropic.APIStatusError:
    """An error inside an answer as the one that the SDK makes of an error's status."""
    kind = str((event.get("error") or {}).get("type"))
    response = httpx2.Response(_STATUS.get(kind, 500), request=httpx2.Request("POST", "http://stream"))
    return anthropic.APIStatusError(str(event), response=response, body=dict(event))


def _failure(error: anthropic.APIError) -> ModelCallError:
    """The SDK's exception as ours."""
    if isinstance(error, anthropic.APIConnectionError):
        return connection_failure(error)
    if not isinstance(error, anthropic.APIStatusError):
        return TransientFailure(first_line(error.message), error_type="bad_response")
    status, said = error.status_code, error.api_message or str(error.body or error.message)
    text = f"HTTP {status}: {first_line(said)}"
    if status in (401, 402, 403) or _NO_MONEY_CODES.search(error.error_code or ""):
        return AuthenticationFailed(text)
    if transient := transient_failure(status, text, error.response.headers):
        return transient
    if status == 413 or _OVERFLOW.search(said):
        return ContextOverflow(text)
    if status == 400 and _NO_MONEY.search(said):
        return AuthenticationFailed(text)
    if status in (400, 422):
        refused = _REFUSED.search(said)
        return RequestRefused(text, parameter=refused[1] if refused else None)
    return NotThere(text) if status == 404 else CallFailed(text)
