"""What can go wrong with a model call, sorted by what it means for the simulation.

ModelCallError
├── CallFailed               the infrastructure's fault: no verdict, `--resume` runs the simulation again
│   ├── TransientFailure     rate limit, 5xx, dropped connection: worth another attempt
│   │   └── ServerLost       the server no longer answers, and another one does
│   ├── ServerBusy           the server refuses all calls for load, for longer than a call may wait
│   ├── DeadlinePassed       no answer within the call's time limit
│   ├── TaskTimeout          the whole task took too long, by the clock on the wall
│   ├── AuthenticationFailed the key is wrong, may not use the model, or its account is used up
│   ├── RequestRefused       the server calls the request itself wrong
│   ├── NotThere             the server knows no such model, or no such address
│   └── JudgeFailed          the judge's answer can't be read, three times over
└── ModelFailure             the model's own fault: reward 0, counted, never run again
    ├── ContextOverflow      the conversation no longer fits the model
    ├── BrokenArguments      a tool call whose arguments are no JSON object, three times over
    ├── EmptyAnswer          neither text nor a tool call, or text alone where a call is required, three times over
    ├── ExpertFailed         no expert took a turn that the agent wanted one to take, three times over
    ├── RecordingEnded       a replayed participant that said no more (`tau2_enhanced.models.replay`)
    ├── Looped               one tool call again and again, where --stop-loops ends that
    └── LimitReached         more tokens, money or working time than one task may take
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from tau2_enhanced.errors import Tau2EnhancedError
from tau2_enhanced.logging.redaction import scrub

UNREACHABLE = "unreachable"
"""The error type of a connection that could not be made: the server has not seen the request."""


class ModelCallError(Tau2EnhancedError):
    """A model gave no usable answer. The text repeats no secret, and half characters not at all."""

    error_type = "model_call_error"

    def __init__(self, text: str) -> None:
        super().__init__(scrub(text).encode("utf-8", "replace").decode())


class CallFailed(ModelCallError):
    """No answer, through no fault of the model."""

    error_type = "call_failed"

    def happened_at(self, server: str) -> None:
        """Let the text begin with the server, where it might have been another one."""
        self.args = (f"{server}: {self}",)


class TransientFailure(CallFailed):
    """May succeed when tried again."""

    def __init__(self, text: str, *, error_type: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.error_type = error_type
        self.retry_after_s = retry_after_s

    @property
    def for_load(self) -> bool:
        """Whether the server has more calls than it takes."""
        return self.error_type in ("rate_limit", "http_503", "http_529")

    @property
    def will_pass(self) -> bool:
        """Whether to wait rather than to give up: a rate limit, a busy server that says for how long, one away.

        529 is Anthropic's, and has no other meaning than that all its customers together ask too much.
        """
        waits = self.error_type in ("rate_limit", "http_529", UNREACHABLE)
        return waits or (self.for_load and self.retry_after_s is not None)


class ServerLost(TransientFailure):
    """The next attempt goes to another server, at once."""


class ServerBusy(CallFailed):
    error_type = "busy"


class DeadlinePassed(CallFailed):
    error_type = "deadline_passed"

    def __init__(self, text: str = "no answer within the call's time limit") -> None:
        super().__init__(text)

    def limit_was(self, seconds: float) -> None:
        """Let the text end with the limit."""
        self.args = (f"{self} of {seconds:g} s (--llm-timeout)",)


class TaskTimeout(CallFailed):
    error_type = "task_timeout"


class AuthenticationFailed(CallFailed):
    error_type = "authentication"


class RequestRefused(CallFailed):
    """A 4xx answer; `parameter` names the argument that the model does not take, where the server says so."""

    error_type = "bad_request"

    def __init__(self, text: str, *, parameter: str | None = None) -> None:
        super().__init__(text)
        self.parameter = parameter


class NotThere(CallFailed):
    error_type = "not_found"


class ModelFailure(ModelCallError):
    """The model's own failure."""

    error_type = "model_failure"


class ContextOverflow(ModelFailure):
    error_type = "context_overflow"


class BrokenArguments(ModelFailure):
    error_type = "broken_arguments"


class EmptyAnswer(ModelFailure):
    error_type = "empty_answer"


class ExpertFailed(ModelFailure):
    """The agent asked for experts in ways that can't be, or of experts that gave no usable answer."""

    error_type = "expert_failed"


class Looped(ModelFailure):
    error_type = "loop"


class LimitReached(ModelFailure):
    error_type = "limit_reached"


class JudgeFailed(CallFailed):
    """The judge's answer could not be read, three times over; the conversation itself is fine."""

    error_type = "judge_failed"


def transient_failure(status: int, text: str, headers: Mapping[str, str]) -> TransientFailure | None:
    """What an answer of this HTTP status means where the call may succeed when tried again; None where it won't."""
    if status not in (408, 409, 429) and status < 500:
        return None
    error_type = "rate_limit" if status == 429 else f"http_{status}"
    return TransientFailure(text, error_type=error_type, retry_after_s=retry_after_s(headers))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, said as such or, as gateways do, as the time when the wait is over."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    until = _http_time(headers.get("retry-after"))
    if until is None:
        return None
    # the server's clock need not be ours
    return max(0.0, until - (_http_time(headers.get("date")) or time.time()))


def _http_time(text: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date; None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
