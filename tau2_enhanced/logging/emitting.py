"""Recording an event: through standard `logging`, which makes a record of it for whoever hears it.

Where that is the writer of the files alone, as in nearly every run, it takes the event as it is: a record, and the
search for its handlers, would take half of the time.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tau2_enhanced.logging.context import current_context
from tau2_enhanced.logging.levels import NOBODY, get_logger
from tau2_enhanced.logging.schema import ExecutionEvent
from tau2_enhanced.logging.writer import LogWriter

EVENT_LOGGER = "tau2_enhanced.events"
"""The logger through which all events go."""

_events = get_logger(EVENT_LOGGER)
_package = logging.getLogger("tau2_enhanced")
_root = logging.getLogger()
_same_in_records: dict[int, dict[str, Any]] = {}
"""By level, a record's attributes that are the same for all events."""
os.register_at_fork(after_in_child=_same_in_records.clear)
_listeners: tuple[Callable[[ExecutionEvent], None], ...] = ()
_listeners_lock = threading.Lock()


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
    if is_logged and not ((alone := _who_hears_alone()) and alone.take(event)):
        _events.handle(_record_of(event))


def _who_hears_alone() -> LogWriter | None:
    """The writer of the files; None where another handler or a filter would see a record of events."""
    if len(_root.handlers) != 1 or not isinstance(writer := _root.handlers[0], LogWriter):
        return None
    is_plain = _events.propagate and _package.propagate and not _events.handlers and not _events.filters
    return writer if is_plain and _package.handlers == [NOBODY] else None


def _record_of(event: ExecutionEvent) -> logging.LogRecord:
    """What `logging` would make for the event: most of it is the same for all events of a level, and made once."""
    if logging.getLogRecordFactory() is not logging.LogRecord:
        return _made_record(event.level, event)
    same = _same_in_records.get(event.level)
    if same is None:
        same = _same_in_records[event.level] = _made_record(event.level, None).__dict__
    now, thread = time.time(), threading.current_thread()
    own = same.copy()
    own["msg"] = event
    own["created"] = now
    own["msecs"] = float(int(now % 1 * 1000))
    own["relativeCreated"] = same["relativeCreated"] + (now - same["created"]) * 1000
    own["thread"] = thread.ident
    own["threadName"] = thread.name
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = own
    return record


def _made_record(level: int, event: ExecutionEvent | None) -> logging.LogRecord:
    # `log` would look for the caller, which is always the same function
    return _events.makeRecord(_events.name, level, __file__, 0, event, (), None, emit.__name__)


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
