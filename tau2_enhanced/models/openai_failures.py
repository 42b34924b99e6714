"""What the errors of servers that speak chat completions mean, in whatever words and place they give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx2
import openai

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
from tau2_enhanced.models.http import connection_failure, first_line

PATH = "/chat/completions"
_OVERFLOW = re.compile(
    r"context_length_exceeded|context (length|size|window)|maximum (model|prompt) length|input token count.*exceeds|"
    r"(prompt|input) is too long|reduce the length of the (messages|input)",
    re.IGNORECASE,
)
_TOO_MANY_ASKED = re.compile(r"max_(?:completion_)?tokens\D+too large: (\d+)\D+maximum context length is (\d+)")
"""vLLM's words for a max_tokens that no conversation could leave room for: the user's mistake."""
_OVER_ALLOWANCE = re.compile(r"request too large", re.IGNORECASE)
"""OpenAI's words, with status 429, for a request of more tokens than the account may send in a minute."""
_REFUSED = re.compile(
    r"unsupported (parameter|value)|not supported|does not support|unrecognized|unknown", re.IGNORECASE
)
_NAMED_IN_TEXT = re.compile(
    r"(?:unrecognized|unknown|unsupported) (?:request )?(?:argument|parameter)[^:]*: '?(\w+)"
    r"|unknown name \"(\w+)|property '(?:body\.)?(\w+)' is unsupported",
    re.IGNORECASE,
)
_IS_STATUS = re.compile(r"[45]\d\d\Z")
_NAMED_STATUS = {
    "rate_limit": 429,
    "quota": 429,
    "overloaded": 503,
    "authentication": 401,
    "api_key": 401,
    "context_length": 400,
    "invalid_request": 400,
    "badrequest": 400,
}
"""The status of an error inside an answer, by what is in its code or its type where neither is a number."""


def check_for_error(completion: Mapping[str, Any]) -> None:
    """Raise what kept the server from answering, where it says so with HTTP 200.

    Gateways such as OpenRouter put their provider's error beside the choices or into one; vLLM and SGLang say that
    they gave an answer up, as they do when they are ended.
    """
    if completion.get("error"):
        raise status_error(completion)
    choice = completion["choices"][0]
    if choice.get("error"):
        raise status_error(choice)
    if choice.get("finish_reason") == "abort":
        raise TransientFailure("the server gave its answer up", error_type="connection")


def status_error(chunk: Mapping[str, Any]) -> openai.APIStatusError:
    """An error inside an answer as the one that the SDK makes of an error's status."""
    error = chunk.get("error") or chunk
    error = error if isinstance(error, dict) else {"message": str(error)}
    code, named = str(error.get("code")), f"{error.get('code')} {error.get('type')}".lower()
    if _IS_STATUS.match(code):
        status = int(code)
    else:
        status = next((number for name, number in _NAMED_STATUS.items() if name in named), 500)
    response = httpx2.Response(status, request=httpx2.Request("POST", "http://stream"))
    return openai.APIStatusError(str(error.get("message") or error), response=response, body=error)


def failure_of(error: openai.APIError) -> ModelCallError:
    """The SDK's exception as ours."""
    if isinstance(error, openai.APIConnectionError):
        return connection_failure(error)
    if not isinstance(error, openai.APIStatusError):
        return TransientFailure(first_line(error.message), error_type="bad_response")
    status, text = error.status_code, f"HTTP {error.status_code}: {first_line(error.message)}"
    if error.message == f"Error code: {status}" and error.body:
        text = f"HTTP {status}: {first_line(str(error.body))}"
    if status in (401, 402, 403) or error.code == "insufficient_quota":
        return AuthenticationFailed(text)
    if status == 429 and _OVER_ALLOWANCE.search(text):
        return CallFailed(text)
    if transient := transient_failure(status, text, error.response.headers):
        return transient
    asked_too_much = _TOO_MANY_ASKED.search(text)
    if asked_too_much and int(asked_too_much[1]) >= int(asked_too_much[2]):
        return RequestRefused(text)
    if error.code == "context_length_exceeded" or _OVERFLOW.search(str(error.body) + str(error)):
        return ContextOverflow(text)
    if status in (400, 422):
        return RequestRefused(text, parameter=_refused_parameter(error))
    if status == 404:
        hint = " (should the server's address end in /v1?)" if error.request.url.path == PATH else ""
        return NotThere(text + hint)
    return CallFailed(text)


def _refused_parameter(error: openai.APIStatusError) -> str | None:
    """Which argument the model does not take, where that is what the server says."""
    if error.param and _REFUSED.search(str(error)):
        return error.param
    named = _NAMED_IN_TEXT.search(f"{error} {error.body}")
    if named:
        return named[named.lastindex or 0]
    # FastAPI's way, Mistral's as the message: {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not …"}]}
    said = error.body if isinstance(error.body, dict) else {}
    said = said["message"] if isinstance(said.get("message"), dict) else said
    detail = said.get("detail")
    first = detail[0] if isinstance(detail, list) and detail and isinstance(detail[0], dict) else {}
    place = first.get("loc") if "not permitted" in str(first.get("msg")) else None
    return str(place[-1]) if place else None
