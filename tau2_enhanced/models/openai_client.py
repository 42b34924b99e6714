"""OpenAI, vLLM and every other server that speaks chat completions, through the `openai` SDK.

The SDK gives the address, headers, authentication and errors. Its own retries are off (ours are counted and
logged), connections are as many as there are calls at once, and requests and answers don't pass through it: walking
through a conversation and building objects of the answer takes it forty times as long as sending and reading them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import openai

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.chat_stream import completion_of, holds_token
from tau2_enhanced.models.client import Reply, Request, RequestedCall, Usage
from tau2_enhanced.models.failures import ModelCallError, RequestRefused, TransientFailure
from tau2_enhanced.models.http import (
    CHECK_TIMEOUT_S,
    Endpoint,
    Received,
    cause_text,
    connections_for,
    decoded,
    encoded,
    into_headers,
    quickly_decoded,
    reading,
)
from tau2_enhanced.models.openai_failures import PATH, check_for_error, failure_of, status_error
from tau2_enhanced.models.resolve import url_without_secrets
from tau2_enhanced.models.streaming import StreamedError, is_stream, is_streamed, read_stream, refused_as_stream


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
        self._completions = Endpoint(self._client, PATH, self._connections)
        self._where = url_without_secrets(str(self._client.base_url)).rstrip("/")

    def check(self, model: str) -> None:
        try:
            served = self._client.with_options(timeout=CHECK_TIMEOUT_S).models.with_raw_response.list()
            listed = json.loads(served.text)
            # Together's list stands by itself
            models = listed if listed and isinstance(listed, list) else listed.get("data", [])
            names = {entry["id"] for entry in models}
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
            raise refused_as_stream(failure_of(error), request) from None

    def _read(self, received: Received, *, streamed: bool) -> Reply:
        if not (streamed and is_stream(received.body)):
            completion = quickly_decoded(received.body)
            check_for_error(completion)
            return read_reply(completion if _has_texts_alone(completion) else decoded(received.body))
        stream = read_stream(received, holds_token)
        try:
            completion = completion_of(stream)
        except StreamedError as error:
            raise status_error(error.chunk) from None
        check_for_error(completion)
        return replace(read_reply(completion), ttft_ms=stream.ttft_ms, decode_ms=stream.decode_ms)

    def interrupt(self) -> None:
        """Let the calls under way fail at once, as where a connection is lost."""
        self._connections.interrupt()

    def close(self) -> None:
        self._connections.close()


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
