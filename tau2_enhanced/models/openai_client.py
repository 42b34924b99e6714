"""OpenAI, vLLM and every other server that speaks chat completions, through the `openai` SDK.

The SDK gives connections, headers, authentication and errors. Its own retries are off (ours are counted and
logged), its pool is as wide as the run's concurrency, and requests and answers pass through it as bytes: walking
through a conversation and building objects of the answer takes it ten times as long as sending them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import openai
import orjson

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.client import Reply, Request, RequestedCall, Usage, whole
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    CallFailed,
    ContextOverflow,
    DeadlinePassed,
    RequestRefused,
    TransientFailure,
    retry_after_s,
)
from tau2_enhanced.models.resolve import on_this_machine, url_without_secrets

_CONNECT_TIMEOUT_S = 10.0
_CHECK_TIMEOUT_S = 15.0
_TOO_LATE = "no answer within the call's time limit"
_OVERFLOW = re.compile(
    r"context_length_exceeded|context (length|size|window)|maximum model length|"
    r"(prompt|input) is too long|reduce the length of the (messages|input)",
    re.IGNORECASE,
)
_TOO_MANY_ASKED = re.compile(r"max_(?:completion_)?tokens\D+too large: (\d+)\D+maximum context length is (\d+)")
"""vLLM's words for a max_tokens that no conversation could leave room for: the user's mistake."""
_REFUSED = re.compile(
    r"unsupported (parameter|value)|not supported|does not support|unrecognized|unknown", re.IGNORECASE
)
_NAMED_IN_TEXT = re.compile(
    r"(?:unrecognized|unknown|unsupported) (?:request )?(?:argument|parameter)[^:]*: '?(\w+)", re.IGNORECASE
)


class OpenAIClient:
    """One server, one connection pool."""

    def __init__(self, call_type: str, base_url: str | None, api_key: str, max_connections: int) -> None:
        self.call_type = call_type
        self._client = openai.OpenAI(
            api_key=api_key,
            base_url=base_url.partition("?")[0] if base_url else None,
            default_query=dict(parse_qsl(urlsplit(base_url or "").query)),
            max_retries=0,
            http_client=openai.DefaultHttpxClient(
                limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
                # a proxy of the environment can't reach this machine's own servers
                trust_env=base_url is None or not on_this_machine(base_url),
            ),
        )
        self._where = url_without_secrets(str(self._client.base_url)).rstrip("/")

    def check(self, model: str) -> None:
        try:
            served = self._client.with_options(timeout=_CHECK_TIMEOUT_S).models.with_raw_response.list()
            names = {entry["id"] for entry in json.loads(served.text).get("data", [])}
        except openai.APIStatusError as error:
            if error.status_code == 401:
                raise UserMistake(f"{self._where} refuses the API key (HTTP 401)") from None
            # a server without a list of models, a key that may not see it, a server that is busy:
            # it is there, and its first call will tell
            return
        except openai.APIError as error:
            raise UserMistake(f"{self._where} can't be reached: {_cause(error)}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UserMistake(f"{self._where} does not answer as an OpenAI-compatible server") from None
        if names and model not in names and not model.startswith("ft:"):
            some = ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
            raise UserMistake(f"{self._where} has no model {model!r}; it has {some}")

    def complete(self, request: Request) -> Reply:
        body: dict[str, Any] = {"messages": request.messages, "model": request.model, **request.arguments}
        if request.tools:
            body["tools"] = request.tools
            body["tool_choice"] = request.tool_choice or "auto"
        try:
            text = self._send(request, encoded(body))
            parsed = json.loads(text)
            return read_reply(whole(parsed) if b"\\ud" in text.lower() else parsed)
        except openai.APIError as error:
            raise _failure(error) from None
        except httpx2.TimeoutException:
            raise DeadlinePassed(_TOO_LATE) from None
        except httpx2.HTTPError as error:
            raise TransientFailure(f"connection lost: {error}", error_type="connection") from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise TransientFailure(
                f"{self._where} answered no chat completion: {error!r}", error_type="bad_response"
            ) from None

    def _send(self, request: Request, body: bytes) -> bytes:
        """The answer's body. The SDK's time limit is for each read; ours is for the whole call."""
        deadline = time.monotonic() + request.timeout_s
        answer: httpx2.Response = self._client.post(
            "/chat/completions",
            content=body,
            cast_to=httpx2.Response,
            options={
                "headers": request.headers,
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

    def close(self) -> None:
        self._client.close()


def encoded(body: Any) -> bytes:
    """The JSON of a request, in UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # half characters, and whole numbers of more than 64 bits
        return json.dumps(whole(body), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def read_reply(body: Mapping[str, Any]) -> Reply:
    """A chat completion's body as a reply. Raises LookupError, TypeError or ValueError where it is none."""
    choice = body["choices"][0]
    message = choice["message"]
    calls = [
        RequestedCall(
            id=call.get("id") or f"call_{index}",
            name=call["function"]["name"],
            arguments=_arguments_text(call["function"].get("arguments")),
        )
        for index, call in enumerate(message.get("tool_calls") or [])
    ]
    usage = body.get("usage") or {}
    return Reply(
        content=_content_text(message.get("content")),
        tool_calls=calls,
        usage=Usage(
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        ),
        raw=choice,
    )


def _content_text(value: Any) -> str | None:
    """Text, or the texts of a list of parts. Raises TypeError for anything else."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) and "text" in part for part in value):
        return "".join(str(part["text"]) for part in value)
    raise TypeError("the content is no text")


def _arguments_text(value: Any) -> str:
    """A call's arguments as JSON text; some servers give the object itself, and some nothing for none."""
    return (value if isinstance(value, str) else json.dumps(value or {})) or "{}"


def _failure(error: openai.APIError) -> Exception:
    """The SDK's exception as ours."""
    if isinstance(error, openai.APITimeoutError):
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            return TransientFailure("the connection could not be made in time", error_type="connection")
        return DeadlinePassed(_TOO_LATE)
    if isinstance(error, openai.APIConnectionError):
        return TransientFailure(f"connection lost: {_cause(error)}", error_type="connection")
    if not isinstance(error, openai.APIStatusError):
        return TransientFailure(_first_line(error), error_type="bad_response")
    status, text = error.status_code, f"HTTP {error.status_code}: {_first_line(error)}"
    if error.message == f"Error code: {status}" and error.body:
        text = f"HTTP {status}: {scrub(str(error.body))[:300]}"
    if status in (401, 403) or error.code == "insufficient_quota":
        return AuthenticationFailed(text)
    if status in (408, 409, 429) or status >= 500:
        kind = "rate_limit" if status == 429 else f"http_{status}"
        return TransientFailure(text, error_type=kind, retry_after_s=retry_after_s(error.response.headers))
    asked_too_much = _TOO_MANY_ASKED.search(text)
    if asked_too_much and int(asked_too_much[1]) >= int(asked_too_much[2]):
        return RequestRefused(text)
    if error.code == "context_length_exceeded" or _OVERFLOW.search(str(error.body) + str(error)):
        return ContextOverflow(text)
    if status in (400, 422):
        return RequestRefused(text, parameter=_refused_parameter(error))
    return CallFailed(text)


def _refused_parameter(error: openai.APIStatusError) -> str | None:
    """Which argument the model does not take, where that is what the server says."""
    if error.param and _REFUSED.search(str(error)):
        return error.param
    named = _NAMED_IN_TEXT.search(str(error))
    if named:
        return named[1]
    # FastAPI's way: {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}
    detail = error.body.get("detail") if isinstance(error.body, dict) else None
    first = detail[0] if isinstance(detail, list) and detail and isinstance(detail[0], dict) else {}
    place = first.get("loc") if "not permitted" in str(first.get("msg")) else None
    return str(place[-1]) if place else None


def _first_line(error: openai.APIError) -> str:
    return scrub(str(error.message).strip()).partition("\n")[0][:300]


def _cause(error: openai.APIError) -> str:
    return scrub(str(error.__cause__ or error.message).strip()).partition("\n")[0][:300]
