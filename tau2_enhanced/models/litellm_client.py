"""Any provider that litellm knows, for those without a client of their own.

litellm is the one that tau2 brings, imported when the first such model is used. It is kept from retrying,
printing and fetching anything by itself, and its connections are the run's: as many as there are calls.
Its time limit is for each read, and nothing in it ends a call that trickles, so each call is made in a
thread of its own: one that is late is abandoned, counted and said.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any

import httpx

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import get_logger
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.client import Reply, Request, whole
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    CallFailed,
    ContextOverflow,
    DeadlinePassed,
    ModelCallError,
    NotThere,
    RequestRefused,
    TransientFailure,
    transient_failure,
)
from tau2_enhanced.models.openai_client import read_reply
from tau2_enhanced.models.resolve import on_this_machine

_GRACE_S = 0.5
"""How much longer than the limit a call is waited for, so that one that hangs ends by litellm's own limit."""
_LATE = 0.9
"""From which part of its limit on a call's timeout is ours: litellm calls a server's 408 and 504 one too."""
_OVERFLOW = re.compile(r"context (length|size|window)|input token count.*exceeds|too many tokens", re.IGNORECASE)
_NOT_INSTALLED = re.compile(r"No module named|pip install", re.IGNORECASE)
_REFUSED = re.compile(
    r"(?:unrecognized|unknown|unsupported) (?:request )?(?:argument|parameter|name)[^:'\"]*[:'\" \\]+(\w+)"
    r"|\"loc\": \[\"body\", \"(\w+)\"\], \"msg\": \"Extra inputs",
    re.IGNORECASE,
)

_logger = get_logger(__name__)


class LiteLLMClient:
    """One provider of litellm's. `call_type` is its name."""

    def __init__(self, provider: str, base_url: str | None, api_key: str | None, max_connections: int) -> None:
        self.call_type = provider
        self._base_url = base_url
        self._api_key = api_key
        self._abandoned = 0
        self._lock = threading.Lock()
        self._litellm = _quiet_litellm()
        if provider not in {getattr(known, "value", known) for known in self._litellm.provider_list}:
            raise UserMistake(f"neither this runner nor litellm knows a provider {provider!r}")
        try:
            self._connections = httpx.Client(
                # an abandoned call keeps its connection, so there is no upper limit; workers set the number
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=max_connections),
                follow_redirects=True,
                verify=httpx.create_ssl_context(),
                trust_env=base_url is None or not on_this_machine(base_url),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise UserMistake(f"the environment's proxy can't be used: {scrub(str(error))}") from None
        self._litellm.client_session = self._connections
        self._litellm.sync_transport = _Shared(self._connections)
        self._litellm.in_memory_llm_clients_cache.flush_cache()

    def check(self, model: str) -> None:
        """Raise UserMistake where a key is missing. Only the first call tells whether it is right, whether
        the server is there and has the model: there is no way to ask that all providers share."""
        needed = self._litellm.validate_environment(
            f"{self.call_type}/{model}", api_key=self._api_key, api_base=self._base_url
        )
        # other credentials (AWS, Google Cloud) may lie in files
        keys = [name for name in needed["missing_keys"] if name.endswith("_API_KEY") and not os.environ.get(name)]
        if self._api_key is None and keys:
            missing = ", ".join(needed["missing_keys"])
            raise UserMistake(f"{self.call_type}/{model} needs a key; the environment lacks {missing}")

    def complete(self, request: Request) -> Reply:
        arguments: dict[str, Any] = {
            "model": f"{self.call_type}/{request.model}",
            # copies, because litellm changes what it is given
            "messages": whole(request.messages),
            "api_base": self._base_url,
            "api_key": self._api_key,
            "timeout": request.timeout_s,
            "num_retries": 0,
            "max_retries": 0,
            # as tau2 has it: what litellm knows a provider not to take is left out
            "drop_params": True,
            **request.arguments,
        }
        if request.tools:
            arguments |= {
                "tools": whole(request.tools),
                "tool_choice": request.tool_choice or "auto",
                # or they would be left out in silence for models that are newer than this litellm
                "allowed_openai_params": ["tools", "tool_choice"],
            }
        if request.headers:
            arguments["extra_headers"] = {**(arguments.get("extra_headers") or {}), **request.headers}
        began = time.monotonic()
        try:
            answer = self._within(
                request.timeout_s, lambda: self._litellm.completion(**arguments).model_dump(mode="json")
            )
        except ModelCallError:
            raise
        except Exception as error:  # litellm lets through whatever its providers' libraries raise
            late = time.monotonic() - began > request.timeout_s * _LATE
            raise _failure(self._litellm, error, late=late) from None
        try:
            return _read(whole(answer))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise TransientFailure(
                f"{self.call_type} answered nothing usable: {error!r}", error_type="bad_response"
            ) from None

    def _within(self, limit_s: float, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `ask` gives. Raises DeadlinePassed when it takes too long; its thread then goes on unheard."""
        answered: Future[dict[str, Any]] = Future()

        def run() -> None:
            try:
                answered.set_result(ask())
            except BaseException as error:  # handed to the thread that waits
                answered.set_exception(error)

        # in the caller's context, so that what litellm logs is the simulation's
        in_context = partial(copy_context().run, run)
        threading.Thread(target=in_context, name=f"litellm-{self.call_type}", daemon=True).start()
        try:
            return answered.result(limit_s + _GRACE_S)
        except TimeoutError:
            if answered.done():  # in the moment between
                return answered.result()
        with self._lock:
            self._abandoned += 1
            count = self._abandoned
        _logger.warning("%s: a call that is late can't be ended and is abandoned (%d so far)", self.call_type, count)
        raise DeadlinePassed

    def close(self) -> None:
        if self._litellm.client_session is self._connections:
            self._litellm.client_session = self._litellm.sync_transport = None
        self._litellm.in_memory_llm_clients_cache.flush_cache()
        self._connections.close()


class _Shared(httpx.BaseTransport):
    """The run's connections, for every HTTP client that litellm makes and forgets.

    It is not closed with any of them. Proxies of the environment hold, unlike with a plain transport.
    """

    def __init__(self, connections: httpx.Client) -> None:
        self._connections = connections

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._connections.send(request, stream=True, follow_redirects=False)


def _quiet_litellm() -> Any:
    # litellm would otherwise fetch a price table from the network while it is imported
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _read(answer: Mapping[str, Any]) -> Reply:
    """An answer as a reply. Raises TransientFailure for half of one, as gateways give it when their provider fails."""
    reply = read_reply(answer)
    own = reply.raw.get("provider_specific_fields") or {}
    if own.get("error") or own.get("native_finish_reason") == "abort":
        said = scrub(str(own.get("error") or "aborted"))[:300]
        raise TransientFailure(f"the answer broke off: {said}", error_type="connection")
    written = (answer.get("usage") or {}).get("cache_creation_input_tokens")
    return replace(reply, usage=replace(reply.usage, cache_write_tokens=written)) if written else reply


def _failure(litellm: Any, error: Exception, *, late: bool) -> ModelCallError:
    """litellm's exception as ours; `late`: the call's own time limit is over."""
    said = str(error).strip()
    text = scrub(said).partition("\n")[0][:300]
    status = getattr(error, "status_code", None)
    if isinstance(error, litellm.Timeout):
        return DeadlinePassed() if late else TransientFailure(text, error_type="http_504")
    if isinstance(error, litellm.ContextWindowExceededError) or (status == 400 and _OVERFLOW.search(said)):
        return ContextOverflow(text)
    if status in (401, 402, 403):
        return AuthenticationFailed(text)
    if _NOT_INSTALLED.search(said):
        return CallFailed(text)
    if status in (400, 422):
        return RequestRefused(text, parameter=_refused_parameter(said))
    if isinstance(error, litellm.APIConnectionError):
        return TransientFailure(text, error_type="connection")
    if transient := transient_failure(status or 0, text, _headers(error)):
        return transient
    if status == 200:
        return TransientFailure(text, error_type="bad_response")
    return NotThere(text) if status == 404 else CallFailed(text)


def _refused_parameter(said: str) -> str | None:
    named = _REFUSED.search(said)
    return next(filter(None, named.groups()), None) if named else None


def _headers(error: Exception) -> Mapping[str, str]:
    """The answer's headers, which litellm keeps in one place or another."""
    kept = getattr(error, "litellm_response_headers", None)
    return kept or getattr(getattr(error, "response", None), "headers", None) or {}
