"""OpenAI, vLLM and every other server that speaks chat completions, through the `openai` SDK.

The SDK gives the address, headers, authentication and errors. Its own retries are off (ours are counted and
logged), connections are as many as there are calls at once, and requests and answers don't pass through it: walking
through a conversation and building objects of the answer takes it forty times as long as sending and reading them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import openai

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.chat_stream import completion_of, holds_token
from tau2_enhanced.models.client import Reply, Request, RequestedCall, Usage
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    CallFailed,
    ContextOverflow,
    ModelCallError,
    NotThere,
    RequestRefused,
    TransientFailure,
    retry_after_s,
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
    quickly_decoded,
    reading,
)
from tau2_enhanced.models.resolve import url_without_secrets
from tau2_enhanced.models.streaming import StreamedError, is_stream, is_streamed, read_stream, refused_as_stream

_PATH = "/chat/completions"
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


class OpenAIClient:
    """One server."""

    def __init__(self, call_type: str, base_url: str | None, api_key: str) -> None:
        self.call_type = call_type
        self._connections = connections_for(base_url)
        self._client = openai.OpenAI(
            api_key=api_key,
            base_url=base_url.partition("?")[0] if base_url else None,
            default_query=dict(parse_qsl(urlsplit(base_url or "").query)),
            max_retries=0,
            http_client=httpx2.Client(transport=self._connections, follow_redirects=True),
        )
        self._completions = Endpoint(self._client, _PATH, self._connections)
        self._where = url_without_secrets(str(self._client.base_url)).rstrip("/")

    def check(self, model: str) -> None:
        try:
            served = self._client.with_options(timeout=CHECK_TIMEOUT_S).models.with_raw_response.list()
            names = {entry["id"] for entry in json.loads(served.text).get("data", [])}
        except openai.APIStatusError as error:
            if error.status_code == 401:
                raise UserMistake(f"{self._where} refuses the API key (HTTP 401)") from None
            # a server without a list of models, a key that may not see it, a server that is busy:
            # it is there, and its first call will tell
            return
        except openai.APIError as error:
            raise UserMistake(f"{self._where} can't be reached: {cause_text(error)}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UserMistake(f"{self._where} does not answer as an OpenAI-compatible server") from None
        if not names or model in names or model.startswith("ft:"):
            return
        # a server of vLLM's lists all that it has, and others that the user runs answer for any name
        if self.call_type != "openai" or not self._answers_for(model):
            some = ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
            raise UserMistake(f"{self._where} has no model {model!r}; it has {some}")

    def _answers_for(self, model: str) -> bool:
        """Whether a provider knows a model that it does not list: a deployment of Azure's, an alias, a variant.

        It is asked for a single token.
        """
        messages = [{"role": "user", "content": "Hi"}]
        try:
            self.complete(Request(model, messages, arguments={"max_tokens": 1}, timeout_s=CHECK_TIMEOUT_S))
        except RequestRefused as refusal:
            return refusal.parameter == "max_tokens"
        except TransientFailure as failure:
            return failure.for_load
        except ModelCallError:
            return False
        return True

    def complete(self, request: Request) -> Reply:
        body: dict[str, Any] = {"messages": request.messages, "model": request.model, **request.arguments}
        if request.tools:
            body["tools"] = request.tools
            body["tool_choice"] = request.tool_choice or "auto"
        streamed = is_streamed(request)
        if streamed:
            body.setdefault("stream_options", {"include_usage": True})
        try:
            with reading(self._where, "chat completion"):
                headers = into_headers(body, request.headers)
                received = self._completions.post(encoded(body), headers, request.timeout_s)
                return self._read(received, streamed=streamed)
        except openai.APIError as error:
            raise refused_as_stream(_failure(error), request) from None

    def _read(self, received: Received, *, streamed: bool) -> Reply:
        if not (streamed and is_stream(received.body)):
            completion = quickly_decoded(received.body)
            _check_for_error(completion)
            return read_reply(completion if _has_texts_alone(completion) else decoded(received.body))
        stream = read_stream(received, holds_token)
        try:
            completion = completion_of(stream)
        except StreamedError as error:
            raise _status_error(error.chunk) from None
        _check_for_error(completion)
        return replace(read_reply(completion), ttft_ms=stream.ttft_ms, decode_ms=stream.decode_ms)

    def interrupt(self) -> None:
        """Let the calls under way fail at once, as where a connection is lost."""
        self._connections.interrupt()

    def close(self) -> None:
        self._connections.close()


def _check_for_error(completion: Mapping[str, Any]) -> None:
    """Raise what kept the server from answering, where it says so with HTTP 200.

    Gateways such as OpenRouter put their provider's error beside the choices or into one; vLLM and SGLang say that
    they gave an answer up, as they do when they are ended.
    """
    if completion.get("error"):
        raise _status_error(completion)
    choice = completion["choices"][0]
    if choice.get("error"):
        raise _status_error(choice)
    if choice.get("finish_reason") == "abort":
        raise TransientFailure("the server gave its answer up", error_type="connection")


def _has_texts_alone(completion: Mapping[str, Any]) -> bool:
    """Whether the arguments of all calls are texts, as they should be: numbers in objects are to be exact."""
    calls = completion["choices"][0]["message"].get("tool_calls") or ()
    return all(isinstance(call["function"].get("arguments"), str) for call in calls)


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
    return Reply(
        content=_content_text(message.get("content")),
        tool_calls=calls,
        usage=_read_usage(body),
        raw=choice,
    )


def _read_usage(body: Mapping[str, Any]) -> Usage:
    usage, tier = body.get("usage") or {}, body.get("service_tier")
    prompt = usage.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=_output_tokens(usage),
        cached_tokens=prompt.get("cached_tokens"),
        cache_write_tokens=prompt.get("cache_write_tokens"),
        service={"service_tier": tier} if isinstance(tier, str) else {},
    )


def _output_tokens(usage: Mapping[str, Any]) -> int | None:
    """Those of reasoning are part of `completion_tokens`, but beside them at xAI, as the total then tells."""
    answer: int | None = usage.get("completion_tokens")
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if answer is None or not reasoning:
        return answer
    beside = usage.get("total_tokens") == (usage.get("prompt_tokens") or 0) + answer + reasoning
    return answer + int(reasoning) if beside else answer


def _content_text(value: Any) -> str | None:
    """Text, or the texts of a list of parts, beside which Mistral puts thoughts. Raises TypeError for anything else."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) and {"text", "thinking"} & part.keys() for part in value):
        return "".join(str(part.get("text", "")) for part in value)
    raise TypeError("the content is no text")


def _arguments_text(value: Any) -> str:
    """A call's arguments as JSON text; some servers give the object itself, and some nothing for none."""
    return (value if isinstance(value, str) else json.dumps(value or {})) or "{}"


def _status_error(chunk: Mapping[str, Any]) -> openai.APIStatusError:
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


def _failure(error: openai.APIError) -> ModelCallError:
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
    if status == 404:
        hint = " (should the server's address end in /v1?)" if error.request.url.path == _PATH else ""
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
