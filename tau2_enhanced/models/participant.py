"""A role's model at work: one question in, one usable answer out, every attempt recorded."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from tau2_enhanced.logging import current_context, emit, get_logger
from tau2_enhanced.logging.events import EvaluatorEvent, ExpertCallEvent, LLMCallEvent, ModelCallEvent, UserSimEvent
from tau2_enhanced.models.adaptive import Limit
from tau2_enhanced.models.client import ChatMessage, Client, Reply, Request, RequestedCall, ToolSchema, Usage, whole
from tau2_enhanced.models.cutoff import GivenUp
from tau2_enhanced.models.failures import (
    BrokenArguments,
    EmptyAnswer,
    JudgeFailed,
    ModelCallError,
    RequestRefused,
)
from tau2_enhanced.models.prices import PriceBook
from tau2_enhanced.models.resolve import ModelSpec
from tau2_enhanced.models.retry import Attempts, complete_with_retries

N = TypeVar("N", int, float)

TRIES = 3
"""How often a model may answer one question with nothing usable before that is its failure."""

EVENT_OF_ROLE: Mapping[str, type[ModelCallEvent]] = {
    "agent": LLMCallEvent,
    "user": UserSimEvent,
    "judge": EvaluatorEvent,
}
"""What a call of the model in each of tau2's roles is recorded as."""
_RENAMED = {"max_tokens": "max_completion_tokens"}
_BROKEN_OFF = {
    "length": "the limit of tokens cut the answer off",
    "max_tokens": "the limit of tokens cut the answer off",
    "content_filter": "the provider's content filter cut the answer off",
}
"""By OpenAI's `finish_reason` or Anthropic's `stop_reason`. Anthropic's refusals its client tells of."""
_THINKING = re.compile(r"\A(?:(?!<think>).)*?</think>|<think>.*?(?:</think>|\Z)", re.DOTALL)
_FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call with its arguments read."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A usable answer: text, tool calls or both."""

    content: str | None
    tool_calls: Sequence[ToolRequest]
    usage: Usage
    cost_usd: float | None
    """Of every attempt that was answered, unusable answers included; None where a price is unknown."""
    raw: dict[str, Any]


@dataclass(slots=True)
class Used:
    """What one role's model has used so far in a simulation."""

    calls: int = 0
    input_tokens: int | None = 0
    """None, like the two below, as soon as a server does not say."""
    output_tokens: int | None = 0
    cached_tokens: int | None = 0
    cost_usd: float | None = 0.0
    """None as soon as one call's cost is unknown."""
    seconds: float = 0.0

    def add(self, usage: Usage, cost_usd: float | None, seconds: float) -> None:
        self.calls += 1
        self.input_tokens = total(self.input_tokens, usage.input_tokens)
        self.output_tokens = total(self.output_tokens, usage.output_tokens)
        # a server that has no cache says nothing of one
        self.cached_tokens = total(self.cached_tokens, usage.cached_tokens or 0)
        self.cost_usd = total(self.cost_usd, cost_usd)
        self.seconds += seconds


Charge = Callable[[Usage, float | None, float], None]
"""Puts an answered call down to somebody's account: its usage, its cost in USD and how many seconds it took."""


def total(one: N | None, other: N | None) -> N | None:
    """The sum; None where a part is unknown."""
    return None if one is None or other is None else one + other


class Participant:
    """The model of one role, shared by all simulations of a run."""

    def __init__(
        self,
        role: str,
        spec: ModelSpec,
        client: Client,
        prices: PriceBook,
        *,
        retries: int = 3,
        timeout_s: float = 600.0,
        limit: Limit | None = None,
        expert: str | None = None,
    ) -> None:
        """`expert` is the name by which the agent knows an expert; its role is "expert"."""
        self.role = role
        self.spec = spec
        self._client = client
        self._prices = prices
        self._retries = retries
        self._timeout_s = timeout_s
        self._limit = limit
        self._refused: set[str] = set()
        self._said_no_usage = False
        self.expert = expert
        self._event: Callable[..., ModelCallEvent] = (
            EVENT_OF_ROLE[role] if expert is None else partial(ExpertCallEvent, expert=expert)
        )
        self._called = f"{role} {spec.name}"

    def answer(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[ToolSchema],
        tool_choice: str | None,
        arguments: Mapping[str, Any],
        headers: Mapping[str, str],
        charge: Charge,
        *,
        judgements: int | None = None,
    ) -> Answer:
        """A usable answer to the conversation. Each answered call is told to `charge`, unusable answers included.

        `judgements` is how many assertions a judge has to decide on.

        Raises a CallFailed where the infrastructure gave none, a ModelFailure where the model did not, and what
        `charge` raises.
        """
        request = Request(
            self.spec.name,
            messages,
            tools,
            tool_choice,
            {**arguments, **self.spec.arguments},
            headers,
            self._timeout_s,
        )
        cost: float | None = 0.0
        for last in (False,) * (TRIES - 1) + (True,):
            with current_context().waiting(self._called):
                reply, try_cost = self._call_accepted(request, charge)
            cost = total(cost, try_cost)
            try:
                return self._read(reply, cost, judgements, tool_choice)
            except (BrokenArguments, EmptyAnswer, JudgeFailed) as failure:
                if last:
                    raise
                _logger.warning("%s: %s, asking again", self._called, failure)
        raise AssertionError("unreachable")

    def _call_accepted(self, request: Request, charge: Charge) -> tuple[Reply, float | None]:
        """The reply to the request without the parameters that the model refuses."""
        while True:
            sent = self._without_refused(request.arguments)
            try:
                return self._call(request if sent == request.arguments else replace(request, arguments=sent), charge)
            except RequestRefused as refusal:
                if not self._drop(refusal.parameter, sent):
                    raise

    def _call(self, request: Request, charge: Charge) -> tuple[Reply, float | None]:
        context = current_context()
        attempts = Attempts()
        reply, cost, error_type, counted = None, None, None, True
        try:
            reply = complete_with_retries(
                self._client,
                request,
                attempts,
                retries=self._retries,
                now_ms=context.clock.ms,
                limit=self._limit,
                called=self._called,
            )
            cost = self._prices.cost_usd(self.spec.provider, self.spec.name, reply.usage)
            charge(reply.usage, cost, attempts.duration_ms / 1000)
            if reply.usage.input_tokens is None and not self._said_no_usage:
                self._said_no_usage = True
                _logger.warning(
                    "%s does not say how many tokens a call used: tokens and cost are left out", self.spec.name
                )
            return reply, cost
        except GivenUp:
            # the log is to tell of the same money as the account
            counted = False
            raise
        except ModelCallError as failure:
            error_type = failure.error_type
            dropped = isinstance(failure, RequestRefused) and failure.parameter in request.arguments
            _logger.log(logging.DEBUG if dropped else logging.ERROR, "%s: %s", self._called, failure)
            raise
        finally:
            context.called_ms += attempts.retry_wait_ms + attempts.duration_ms
            if counted:
                emit(self._event_of(attempts, reply, cost, error_type))

    def _event_of(
        self, attempts: Attempts, reply: Reply | None, cost_usd: float | None, error_type: str | None
    ) -> ModelCallEvent:
        usage = reply.usage if reply is not None else Usage()
        return self._event(
            model=self.spec.name,
            call_type=self._client.call_type,
            start_ms=attempts.start_ms,
            duration_ms=attempts.duration_ms,
            ttft_ms=reply.ttft_ms if reply is not None else None,
            decode_ms=reply.decode_ms if reply is not None else None,
            has_tool_calls=bool(reply.tool_calls) if reply is not None else None,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cost_usd=cost_usd,
            attempts=attempts.count,
            retry_wait_ms=attempts.retry_wait_ms,
            error_type=error_type,
        )

    def _read(self, reply: Reply, cost: float | None, judgements: int | None, tool_choice: str | None) -> Answer:
        broken_off = how_broken_off(reply.raw)
        if broken_off:
            _logger.warning("%s: %s", self.spec.name, broken_off)
        content = without_thinking(reply.content)
        calls = [ToolRequest(call.id, call.name, read_arguments(call)) for call in reply.tool_calls]
        if self.role == "judge":
            content = read_judgement(content, judgements)
        elif not calls and not (content and content.strip()):
            why = f": {broken_off}" if broken_off else ""
            raise EmptyAnswer(f"the answer holds neither text nor a tool call{why}")
        elif not calls and tool_choice == "required":
            raise EmptyAnswer("the answer holds no tool call, and one is required")
        return Answer(content, calls, reply.usage, cost, reply.raw)

    def _without_refused(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in arguments.items() if name not in self._refused and value is not None}
        for name, other in _RENAMED.items():
            if name in self._refused and name in arguments and other not in self._refused:
                kept[other] = arguments[name]
        return kept

    def _drop(self, parameter: str | None, sent: Mapping[str, Any]) -> bool:
        """Leave out, from now on, a parameter that the model refuses; False where that can't help."""
        if parameter is None or parameter not in sent:
            return False
        if parameter not in self._refused:
            self._refused.add(parameter)
            _logger.warning("%s does not take %s: it is left out from here on", self.spec.name, parameter)
        return True


def without_thinking(content: str | None) -> str | None:
    """The text without the reasoning that a server left in it: nobody else may see that.

    The opening tag may have stood in the prompt, the closing one may never have come.
    """
    return content if content is None or "think>" not in content else _THINKING.sub("", content).strip()


def how_broken_off(raw: Mapping[str, Any]) -> str | None:
    """What kept an answer from being all that the model had to say; None where nothing did."""
    refusal = (raw.get("message") or {}).get("refusal")
    if isinstance(refusal, str) and refusal:
        return f"the model refuses to answer: {refusal[:200]!r}"
    return _BROKEN_OFF.get(str(raw.get("finish_reason") or raw.get("stop_reason")))


def read_arguments(call: RequestedCall) -> dict[str, Any]:
    """A tool call's arguments. Raises BrokenArguments unless they are a JSON object."""
    try:
        arguments = whole(json.loads(call.arguments))
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise BrokenArguments(f"the arguments of {call.name} are not a JSON object: {call.arguments[:200]!r}")
    return arguments


def read_judgement(content: str | None, judgements: int | None = None) -> str:
    """The judge's JSON, taken out of a code fence where it stands in one.

    Raises JudgeFailed where it can't be read, or does not decide on so many assertions.
    """
    text = content or ""
    fenced = _FENCED.search(text)
    for candidate in (text, fenced[1] if fenced else ""):
        try:
            results = json.loads(candidate)["results"]
        except (ValueError, LookupError, TypeError):
            continue
        sound = bool(results) and isinstance(results, list) and all(_is_check(result) for result in results)
        if sound and len(results) == (judgements or len(results)):
            return candidate
    raise JudgeFailed(f"the judge's answer can't be read: {text[:200]!r}")


def _is_check(result: object) -> bool:
    return (
        isinstance(result, dict)
        and isinstance(result.get("metExpectation"), bool)
        and isinstance(result.get("expectedOutcome"), str)
        and isinstance(result.get("reasoning"), str)
    )
