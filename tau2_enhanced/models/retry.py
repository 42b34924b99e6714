"""Attempts at one call: how often, how long between them, and what they cost in time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tau2_enhanced.logging import current_context, get_logger
from tau2_enhanced.models.client import Client, Reply, Request
from tau2_enhanced.models.failures import DeadlinePassed, ModelCallError, TransientFailure
from tau2_enhanced.models.task_time import task_time

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0
_LONGEST_ASKED_S = 300.0

_logger = get_logger(__name__)
_jitter = random.Random()


@dataclass(slots=True)
class Attempts:
    """The times of one call, in milliseconds of `now_ms`'s clock; filled in while it is made."""

    count: int = 0
    first_start_ms: float = 0.0
    start_ms: float = 0.0
    """When the last attempt began."""
    duration_ms: float = 0.0
    """How long the last attempt took."""

    @property
    def retry_wait_ms(self) -> float:
        """From the first attempt's start to the last one's: failed attempts and the waits after them."""
        return self.start_ms - self.first_start_ms


def backoff_s(failures: int, retry_after_s: float | None) -> float:
    """Seconds to wait after so many failures: doubling from half a second, with jitter, up to a minute.

    What the server asks for is the least, jitter comes on top, so that not all callers return at once.
    """
    wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (failures - 1)) * _jitter.uniform(0.5, 1.0)
    if retry_after_s is None:
        return wait
    return retry_after_s + _jitter.uniform(0.0, min(1.0, 0.1 + retry_after_s * 0.1))


def complete_with_retries(
    client: Client,
    request: Request,
    attempts: Attempts,
    *,
    retries: int,
    now_ms: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
) -> Reply:
    """The first answer that arrives; at most `retries` attempts after the first, for transient failures only.

    An attempt takes no more than what the simulation has left of its time.

    Raises the last attempt's ModelCallError, or what passing the simulation's limit means. `attempts` holds the
    times either way.
    """
    time_of_task = task_time()
    while True:
        attempts.count += 1
        left_s = time_of_task.left_s()
        attempts.start_ms = now_ms()
        if attempts.count == 1:
            attempts.first_start_ms = attempts.start_ms
        try:
            return client.complete(replace(request, timeout_s=min(request.timeout_s, left_s)))
        except ModelCallError as failure:
            current_context().last_error = failure.error_type
            if isinstance(failure, DeadlinePassed) and left_s < request.timeout_s:
                raise time_of_task.passed() from None
            if not isinstance(failure, TransientFailure) or attempts.count > retries:
                raise
            if (failure.retry_after_s or 0.0) > _LONGEST_ASKED_S:
                # longer than anybody would watch: the simulation is left to a later resume
                raise
            wait = backoff_s(attempts.count, failure.retry_after_s)
            _logger.warning(
                "%s: attempt %d failed (%s), trying again in %.1f s", request.model, attempts.count, failure, wait
            )
        finally:
            attempts.duration_ms = now_ms() - attempts.start_ms
        with current_context().waiting(f"another attempt at {request.model}"):
            sleep(min(wait, max(0.0, time_of_task.wall_left_s())))
        time_of_task.waited_ms += now_ms() - attempts.start_ms
        time_of_task.check()
