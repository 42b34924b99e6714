"""Where what happens in this process is recorded: read by whoever makes environments, set by whoever runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from tau2_enhanced.logging.execution_logger import ExecutionLogger

Log: TypeAlias = "Callable[[ExecutionLogger], object]"
"""Logs one thing that happened, by the methods of the logger it is given."""


class EventSink(Protocol):
    """Takes what is to be logged, from any thread."""

    def put(self, log: Log, domain: str | None = None) -> None:
        """Have it logged where the domain's events go; soon, and after all that was put before."""

    def flush(self) -> None:
        """Return when everything put so far has been logged."""


class Recording(NamedTuple):
    """What enhanced domains record to."""

    sink: EventSink
    replays: bool = False
    """Whether what the evaluator plays is recorded too."""


_recordings: list[Recording] = []
_here: ContextVar[Recording | None] = ContextVar("tau2_enhanced_recording", default=None)


def current_recording() -> Recording | None:
    """The recording of `recording_here`, or else the one that began last in any thread and has not ended."""
    return _here.get() or (_recordings[-1] if _recordings else None)


@contextmanager
def recording_here(sink: EventSink | None, *, replays: bool) -> Iterator[None]:
    """Inside the block, and in this thread alone, enhanced domains record to `sink`, where there is one."""
    token = _here.set(_here.get() if sink is None else Recording(sink, replays))
    try:
        yield
    finally:
        _here.reset(token)


def begin(recording: Recording) -> None:
    """From here on, this is the current one."""
    _recordings.append(recording)


def end(recording: Recording) -> None:
    """What was the current one before is it again."""
    _recordings.remove(recording)
