"""Attempts at one call: how often, how long between them, and what they cost in time."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from tau2_enhanced.logging import current_context, get_logger
from tau2_enhanced.models.adaptive import Limit, Patience, new_ticket
from tau2_enhanced.models.client import Client, Reply, Request
from tau2_enhanced.models.failures import (
    UNREACHABLE,
    DeadlinePassed,
    ModelCallError,
    ServerBusy,
    ServerLost,
    TransientFailure,
)
from tau2_enhanced.models.pauses import PAUSES
from tau2_enhanced.models.task_time import TaskTime, task_time

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0
_LOOKS_AGAIN_AFTER_S = 10.0
"""The longest wait between two attempts to reach a server: looking costs it nothing, and it may be back any moment."""
_ATTEMPTS_SHOWN = 3
"""Failed attempts at one call that are warned of; those after them are told to the log alone."""
_MOST_MOVES = 10
"""How often one call may move to another server without that being counted as a failed attempt."""

_logger = get_logger(__name__)
_jitter = random.Random()


@dataclass(slots=True)
class Attempts:
    """The times of one call, in milliseconds of `now_ms`'s clock; filled in while it is made."""

    count: int = 0
    first_start_ms: float = 0.0
    start_ms: float = 0.0
    """When the last attempt began, or when waiting for one was given up."""
    duration_ms: float = 0.0
    """How long the last attempt took."""

    @property
    def retry_wait_ms(self) -> float:
        """From the first attempt's start to the last one's: failed attempts and the waits after them.

        Where a busy server made the first one wait for its turn, from when it was ready.
        """
        return self.start_ms - self.first_start_ms

    def given_up(self, now_ms: float) -> None:
        """There will be no further attempt: all until now was waiting."""
        self.start_ms, self.duration_ms = now_ms, 0.0


def backoff_s(failures: int, retry_after_s: float | None) -> float:
    """Seconds to wait after so many failures: doubling from half a second, with jitter, up to a minute.

    What the server asks for is the least, jitter comes on top, so that not all callers return at once. One that
    asks for no time at all says nothing of when it will answer.
    """
    wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (failures - 1)) * _jitter.uniform(0.5, 1.0)
    if not retry_after_s:
        return wait
    return retry_after_s + _jitter.uniform(0.0, min(1.0, 0.1 + retry_after_s * 0.1))


@dataclass(slots=True)
class _Failures:
    """The failed attempts at one call: which of them count, and how long the next one waits."""

    retries: int
    timeout_s: float
    counted: int = 0
    moves: int = 0
    """From a server that was lost to another."""
    passing_since_ms: float | None = None
    """When the first attempt began that failed for what passes."""

    def patience_s(self, asked_ms: float) -> float:
        """For how long a server that refuses everybody is waited for."""
        since_ms = self.passing_since_ms
        return self.timeout_s if since_ms is None else self.timeout_s - (asked_ms - since_ms) / 1000

    def wait_s(self, failure: ModelCallError, attempts: Attempts, now_ms: Callable[[], float]) -> float | None:
        """The seconds from this failure to the next attempt; None where there is to be none."""
        if not isinstance(failure, TransientFailure):
            return None
        wait_s = backoff_s(attempts.count, failure.retry_after_s)
        if failure.error_type == UNREACHABLE:
            wait_s = min(wait_s, _LOOKS_AGAIN_AFTER_S)
        if isinstance(failure, ServerLost) and self.moves < _MOST_MOVES:
            self.moves += 1
            return 0.0
        if failure.will_pass:
            if self.passing_since_ms is None:
                self.passing_since_ms = attempts.start_ms
            goes_on = (now_ms() - self.passing_since_ms) / 1000 + wait_s <= self.timeout_s
        else:
            self.counted += 1
            goes_on = self.counted <= self.retries and wait_s <= self.timeout_s
        return wait_s if goes_on else None


def complete_with_retries(
    client: Client,
    request: Request,
    attempts: Attempts,
    *,
    retries: int,
    now_ms: Callable[[], float],
    limit: Limit | None = None,
    sleep: Callable[[float], None] = time.sleep,
    called: str | None = None,
) -> Reply:
    """The first answer that arrives; at most `retries` attempts after the first, for transient failures only.

    Rate limits and servers that can't be reached, which pass, are not counted among them: they are waited for until the
    call's own time limit has passed since the first of them. Nor are moves from a server that is lost to another, which
    are made at once. `limit` says when each attempt may begin; a server that refuses everybody is waited for no longer
    either. An attempt takes no more than what the simulation has left of its time; one whose deadline passed while this
    process did not run is made again. `called` is what warnings call the model; by default its name.

    Raises the last attempt's ModelCallError, ServerBusy, or what passing the simulation's limit means. `attempts`
    holds the times either way.
    """
    time_of_task = task_time()
    ticket = new_ticket()
    called = called or request.model
    failures: _Failures | None = None
    while True:
        asked_ms, paused_s = now_ms(), PAUSES.total_s()
        if not attempts.count:
            attempts.first_start_ms = asked_ms
        left_s = request.timeout_s
        patience_s = request.timeout_s if failures is None else failures.patience_s(asked_ms)
        patience = Patience(patience_s, time_of_task.wall_left_s())
        try:
            with limit.turn(ticket, patience) if limit is not None else nullcontext(False) as waited:
                if waited:
                    _waited(now_ms() - asked_ms, time_of_task, attempts, now_ms)
                left_s = min(left_s, time_of_task.left_s())
                asked = request if left_s == request.timeout_s else replace(request, timeout_s=left_s)
                return _attempt(client, asked, attempts, now_ms, asked_ms if waited else None)
        except ServerBusy:
            _waited(now_ms() - asked_ms, time_of_task, attempts, now_ms)
            attempts.given_up(now_ms())
            raise
        except ModelCallError as failure:
            current_context().last_error = failure.error_type
            paused_s = PAUSES.total_s() - paused_s
            if isinstance(failure, DeadlinePassed) and paused_s:
                _logger.warning("%s: this process was suspended for %.0f s, asking again", called, paused_s)
                _waited(now_ms() - attempts.start_ms - paused_s * 1000, time_of_task, attempts, now_ms)
                continue
            if isinstance(failure, DeadlinePassed):
                if left_s < request.timeout_s:
                    raise time_of_task.passed() from None
                failure.limit_was(request.timeout_s)
            failures = failures or _Failures(retries, request.timeout_s)
            wait_s = failures.wait_s(failure, attempts, now_ms)
            if wait_s is None:
                raise
            _logger.log(
                logging.WARNING if attempts.count <= _ATTEMPTS_SHOWN else logging.INFO,
                "%s: attempt %d failed (%s), trying again in %.1f s",
                called,
                attempts.count,
                failure,
                wait_s,
            )
        with current_context().waiting(f"another attempt at {called}"):
            sleep(min(wait_s, max(0.0, time_of_task.wall_left_s())))
        _waited(now_ms() - attempts.start_ms - paused_s * 1000, time_of_task, attempts, now_ms)


def _waited(waited_ms: float, time_of_task: TaskTime, attempts: Attempts, now_ms: Callable[[], float]) -> None:
    """Count so much as waiting; raise what passing the simulation's limit means, where it is passed by now."""
    time_of_task.waited_ms += waited_ms
    try:
        time_of_task.check()
    except ModelCallError:
        attempts.given_up(now_ms())
        raise


def _attempt(
    client: Client, request: Request, attempts: Attempts, now_ms: Callable[[], float], waits_since_ms: float | None
) -> Reply:
    attempts.count += 1
    attempts.start_ms = now_ms()
    if attempts.count == 1:
        attempts.first_start_ms = attempts.start_ms if waits_since_ms is None else waits_since_ms
    try:
        return client.complete(request)
    finally:
        attempts.duration_ms = now_ms() - attempts.start_ms
