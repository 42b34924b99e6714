"""Recording an event: through standard `logging`, as a record that is made in full only for who looks at it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tau2_enhanced.logging.context import current_context
from tau2_enhanced.logging.levels import get_logger
from tau2_enhanced.logging.schema import ExecutionEvent

EVENT_LOGGER = "tau2_enhanced.events"
"""The logger through which all events go."""

_events = get_logger(EVENT_LOGGER)
_listeners: tuple[Callable[[ExecutionEvent], None], ...] = ()
_listeners_lock = threading.Lock()
_attributes_of = logging.LogRecord.__dict__["__dict__"].__get__


def emit(event: ExecutionEvent) -> None:
    """Record an event at its own level, for the current task context, which it shows to be alive."""
    context = current_context()
    is_logged = _events.isEnabledFor(event.level)
    if is_logged or _listeners:
        event.stamp(context)
    else:
        context.last_event_ms = context.clock.ms()
    for hear in _listeners:
        hear(event)
    if is_logged:
        is_usual = logging.getLogRecordFactory() is logging.LogRecord
        _events.handle(EventRecord(event) if is_usual else _full_record(event, event.level))


@contextmanager
def listening(hear: Callable[[ExecutionEvent], None]) -> Iterator[None]:
    """Inside the block, every event that is emitted in any thread is handed to `hear`, whatever the log level is."""
    global _listeners
    with _listeners_lock:
        _listeners = (*_listeners, hear)
    try:
        yield
    finally:
        with _listeners_lock:
            _listeners = tuple(other for other in _listeners if other is not hear)


class EventRecord(logging.LogRecord):
    """The record of an event. What the writer of the files does not read is made when it is first asked for.

    Where events come between other work, a record in full takes a quarter of the time that emitting one takes.
    """

    def __init__(self, event: ExecutionEvent) -> None:
        self.msg = event
        self.levelno = event.level
        self.created = time.time()
        self.thread = threading.get_ident()
        self.threadName = event.thread

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # formatters read attributes from it
        own: dict[str, Any] = _attributes_of(self)
        if "args" not in own and "msg" in own:
            full = _full_record(own["msg"], own["levelno"])
            full.relativeCreated += (own["created"] - full.created) * 1000
            full.msecs = float(int(own["created"] % 1 * 1000))
            own |= vars(full) | own
        return own

    def __getstate__(self) -> dict[str, Any]:
        # another process could not add what is this one's
        return self.__dict__


def _full_record(event: ExecutionEvent, level: int) -> logging.LogRecord:
    # `Logger.log` would look for the caller, which is always the same function
    return _events.makeRecord(_events.name, level, __file__, 0, event, (), None, emit.__name__)


class _Later:
    """An attribute of a record that is not there yet."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, record: EventRecord, _: object) -> Any:
        return record.__dict__[self._name]


for _name in vars(_full_record(ExecutionEvent(), 0)):
    setattr(EventRecord, _name, _Later(_name))
