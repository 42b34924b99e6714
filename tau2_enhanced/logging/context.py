"""Which simulation the current code works for.

Every log line and event takes its task from here. The context is a `ContextVar`, so threads never
see each other's; a helper thread joins its task's context through `in_context`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Clock:
    """Milliseconds since the start of a run: monotonic, and continuing where a resumed run stopped."""

    def __init__(self, offset_ms: float = 0.0) -> None:
        self._origin = time.perf_counter() - offset_ms / 1000

    def ms(self) -> float:
        return (time.perf_counter() - self._origin) * 1000


PROCESS_CLOCK = Clock()


@dataclass(eq=False)
class TaskContext:
    """One simulation, as its log lines name it, and what it is doing now."""

    run: str | None = None
    sim: str | None = None
    """Unique for each attempt: a killed simulation that runs again gets another."""
    domain: str | None = None
    task: str | None = None
    trial: int | None = None
    step: int | None = None
    clock: Clock = field(default=PROCESS_CLOCK, repr=False)
    waiting_for: str = ""
    """What the task waits for at this moment, in words: a model, a tool, the evaluator."""
    waiting_since_ms: float = 0.0
    called_ms: float = 0.0
    """What its calls of models and tools have taken so far, with the waits before those that were tried again."""
    last_event_ms: float = 0.0
    began_ms: float = 0.0
    thread: str | None = None
    """The worker that runs it."""
    thread_id: int | None = None
    last_error: str | None = None
    """The last failure of a model's call, in a few words."""

    def age_ms(self) -> float:
        """Time since its last event."""
        return self.clock.ms() - self.last_event_ms

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """Say what the task waits for while the block runs."""
        return _Waiting(self, what)


class _Waiting:
    """A class, since each call of a model or a tool takes one, and a generator is slower."""

    __slots__ = ("_before", "_context", "_what")

    def __init__(self, context: TaskContext, what: str) -> None:
        self._context = context
        self._what = what

    def __enter__(self) -> None:
        context = self._context
        self._before = context.waiting_for
        context.waiting_for, context.waiting_since_ms = self._what, context.clock.ms()

    def __exit__(self, *_: object) -> None:
        context = self._context
        context.waiting_for, context.waiting_since_ms = self._before, context.clock.ms()


NO_TASK = TaskContext()
_current: ContextVar[TaskContext] = ContextVar("tau2_enhanced_task", default=NO_TASK)


current_context: Callable[[], TaskContext] = _current.get
"""The context of the simulation this code works for; an empty one outside of any."""


@contextmanager
def task_context(context: TaskContext | None = None, /, **fields: object) -> Iterator[TaskContext]:
    """Work for one simulation inside the block: `with task_context(domain="retail", task="12"):`.

    The context before is back afterwards, whatever happens inside.
    """
    made = context if context is not None else TaskContext(**fields)  # type: ignore[arg-type]  # checked by TaskContext
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def in_context(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, working for the caller's simulation when a helper thread calls it."""
    snapshot = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return snapshot.copy().run(function, *args, **kwargs)

    return run
