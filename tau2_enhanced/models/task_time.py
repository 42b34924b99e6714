"""The time that one simulation may take, and what its running call may still take of it.

Working time is wall time without failed attempts and the waits after them, which is what a rate limit or a server in
trouble costs, and without the time in which this process did not run. So more working time than allowed is the model's
own failure, and more wall time is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from tau2_enhanced.models.failures import LimitReached, ModelCallError, TaskTimeout
from tau2_enhanced.models.pauses import PAUSES, Pauses


@dataclass
class TaskTime:
    """Limits of a simulation's conversation, in seconds; None where there is none."""

    now_ms: Callable[[], float]
    began_ms: float
    wall_s: float | None = None
    working_s: float | None = None
    waited_ms: float = 0.0
    """Failed attempts and the waits after them, so far."""
    pauses: Pauses = PAUSES

    def __post_init__(self) -> None:
        self._paused_before_s = self.pauses.total_s()

    def left_s(self) -> float:
        """What a call may still take; infinite without a limit."""
        return min(self.wall_left_s(), self._working_left_s())

    def wall_left_s(self) -> float:
        """What a wait may still take."""
        return float("inf") if self.wall_s is None else self.wall_s - self._took_s()

    def check(self) -> None:
        """Raise what passing a limit means, where one is passed."""
        if self.left_s() <= 0:
            raise self.passed()

    def passed(self) -> ModelCallError:
        """What it means that the nearer limit is passed: LimitReached or TaskTimeout."""
        if self._working_left_s() <= self.wall_left_s():
            return LimitReached(f"the task took more than {self.working_s:g} s of working time")
        return TaskTimeout(f"the task took more than {self.wall_s:g} s")

    def _working_left_s(self) -> float:
        if self.working_s is None:
            return float("inf")
        paused_s = self.pauses.total_s() - self._paused_before_s
        return self.working_s - self._took_s() + self.waited_ms / 1000 + paused_s

    def _took_s(self) -> float:
        return (self.now_ms() - self.began_ms) / 1000


_current: ContextVar[TaskTime | None] = ContextVar("tau2_enhanced_task_time", default=None)


@contextmanager
def limited(time: TaskTime) -> Iterator[None]:
    """Let every call made in the block keep to the simulation's time."""
    token = _current.set(time)
    try:
        yield
    finally:
        _current.reset(token)


def task_time() -> TaskTime:
    """The time of the simulation this code works for; without limit outside of any."""
    return _current.get() or TaskTime(lambda: 0.0, 0.0)
