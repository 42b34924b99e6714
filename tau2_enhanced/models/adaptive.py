"""How many calls a server may have at once: as many as the run makes, until the server says that it is too many.

Additive increase, multiplicative decrease. A refusal for load (HTTP 429, 503, 529) halves the limit at once,
once for all calls that were under way together. Every full round of answers raises it by one, up to the height
that was last refused; that height is tried again only after `_ROUNDS_BEFORE_PROBE` rounds, or a minute after
it was refused, when many servers count anew. While a server wants to be left alone (`Retry-After`), nobody
calls it. Whoever waits longest is next, failed attempts included, so that no call starves; and no call waits for
longer than it says.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from tau2_enhanced.logging import current_context, get_logger
from tau2_enhanced.models.failures import ServerBusy, TransientFailure

_FACTOR = 0.5
_ROUNDS_BEFORE_PROBE = 10
_REMEMBERED_S = 60.0

_logger = get_logger(__name__)
_tickets = itertools.count(1)


def new_ticket() -> int:
    """A place in every server's queue: a call keeps its own through all its attempts."""
    return next(_tickets)


class Patience(NamedTuple):
    """For how long a call waits for its turn, in seconds."""

    refused_s: float = math.inf
    """While the server answers nobody."""
    whole_s: float = math.inf
    """Whatever the server does."""


ENDLESS = Patience()


class Limit(Protocol):
    """Says when an attempt may begin."""

    def turn(self, ticket: int, patience: Patience = ...) -> AbstractContextManager[bool]:
        """Wait until it is this ticket's turn, for one attempt; gives whether there was a wait.

        Raises ServerBusy where that takes longer than the patience lasts, as soon as that is known.
        """


class AdaptiveLimit:
    """The limit of one server, shared by all threads. `name` is the server's, for people."""

    def __init__(self, name: str, most: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.most = most
        """Calls at once that the run itself allows."""
        self.refused = 0
        """How many calls the server has refused for load."""
        self._now_s = now_s
        self._limit = most
        self._refused_at = most + 1
        """How many calls at once were refused last."""
        self._refused_s = -_REMEMBERED_S
        """When that was."""
        self._successes = 0
        self._epoch = 0
        """Counts the falls; a refusal counts only where its call began after the last one."""
        self._in_flight = 0
        self._paused_until_s = 0.0
        self._answered_s = 0.0
        """When it last answered a call."""
        self._waiting: list[int] = []
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """Calls at once that the server is given now."""
        return self._limit

    @property
    def pause_s(self) -> float:
        """For how long nobody may call, as the server asked; 0 for no such time."""
        return max(0.0, self._paused_until_s - self._now_s())

    @property
    def reduced(self) -> bool:
        return self._limit < self.most or self.pause_s > 0

    def turn(self, ticket: int, patience: Patience = ENDLESS) -> AbstractContextManager[bool]:
        """`Limit.turn`; what the block raises is heeded, and raised again."""
        return _Turn(self, ticket, patience)

    def _enter(self, ticket: int, patience: Patience) -> tuple[bool, int]:
        """Whether it had to wait, and the epoch in which the call begins."""
        with self._changed:
            must_wait = bool(self._waiting) or not self._open()
            if must_wait:
                self._wait(ticket, patience)
            self._in_flight += 1
            return must_wait, self._epoch

    def _wait(self, ticket: int, patience: Patience) -> None:
        began_s = self._now_s()
        heapq.heappush(self._waiting, ticket)
        try:
            with current_context().waiting(f"a turn at {self.name}"):
                while not (self._waiting[0] == ticket and self._open()):
                    self._changed.wait(self._look_again_in_s(began_s, patience))
        finally:
            self._waiting.remove(ticket)
            heapq.heapify(self._waiting)
            # the next one may have a turn too
            self._changed.notify_all()

    def _look_again_in_s(self, began_s: float, patience: Patience) -> float | None:
        """When a call that waits since then has to look again at the latest; None for never."""
        now_s = self._now_s()
        refused_since_s = max(began_s, self._answered_s) if self.reduced else math.inf
        if max(now_s, self._paused_until_s) >= refused_since_s + patience.refused_s:
            pause = f", for {self.pause_s:.0f} s more" if self.pause_s else ""
            raise ServerBusy(f"{self.name} refuses all calls{pause}, longer than this call may wait")
        if now_s >= began_s + patience.whole_s:
            raise ServerBusy(f"{self.name} had no turn for this call within {patience.whole_s:.0f} s")
        until_s = min(refused_since_s + patience.refused_s, began_s + patience.whole_s)
        if self.pause_s:
            until_s = min(until_s, self._paused_until_s)
        return until_s - now_s if math.isfinite(until_s) else None

    def _open(self) -> bool:
        return self._in_flight < self._limit and self.pause_s == 0

    def _leave(self) -> None:
        with self._changed:
            self._in_flight -= 1
            if self._waiting:
                self._changed.notify_all()

    def _fall(self, epoch: int, retry_after_s: float | None) -> None:
        with self._changed:
            self.refused += 1
            if retry_after_s is not None:
                self._paused_until_s = max(self._paused_until_s, self._now_s() + retry_after_s)
            if epoch != self._epoch:
                return
            self._epoch += 1
            was_full = self._limit == self.most
            # fewer calls than the limit may be under way: those were too many already
            self._refused_at, self._refused_s = min(self._limit, self._in_flight), self._now_s()
            self._limit = max(1, int(self._refused_at * _FACTOR))
            self._successes = 0
        if was_full:
            _logger.warning("%s refuses calls under load: from here on %d at once", self.name, self._limit)

    def _rise(self) -> None:
        self._answered_s = self._now_s()
        if self._limit == self.most:
            return
        with self._changed:
            if self._limit == self.most:
                return
            self._successes += 1
            remembered = self._now_s() - self._refused_s < _REMEMBERED_S
            next_to_refused = remembered and self._limit + 1 >= self._refused_at
            rounds = _ROUNDS_BEFORE_PROBE if next_to_refused else 1
            if self._successes < rounds * self._limit:
                return
            self._successes = 0
            self._limit += 1
            full = self._limit == self.most
            self._changed.notify_all()
        if full:
            _logger.warning("%s takes %d calls at once again", self.name, self.most)


class _Turn:
    """A class, since each attempt takes one, and a generator is slower."""

    __slots__ = ("_epoch", "_limit", "_patience", "_ticket")

    def __init__(self, limit: AdaptiveLimit, ticket: int, patience: Patience) -> None:
        self._limit = limit
        self._ticket = ticket
        self._patience = patience

    def __enter__(self) -> bool:
        waited, self._epoch = self._limit._enter(self._ticket, self._patience)
        return waited

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, _: object) -> None:
        try:
            if failure is None:
                self._limit._rise()
            elif isinstance(failure, TransientFailure) and failure.for_load:
                self._limit._fall(self._epoch, failure.retry_after_s)
        finally:
            self._limit._leave()
