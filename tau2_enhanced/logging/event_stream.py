"""Event files, written by a thread of their own: what is said of arguments and states is worked out there.

The thread that calls a tool pays for one enqueue. What gathers in twenty milliseconds is written and flushed
together, and can be read then.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tau2_enhanced.logging.batches import BatchThread
from tau2_enhanced.logging.context import current_context
from tau2_enhanced.logging.emitting import EVENT_LOGGER
from tau2_enhanced.logging.events import ExecutionEvent, ToolCallEvent
from tau2_enhanced.logging.execution_logger import ExecutionLogger
from tau2_enhanced.logging.levels import get_logger
from tau2_enhanced.logging.recording import Log, Recording, begin, end

_logger = get_logger(__name__)


class AtOnce:
    """A sink without a thread or a file, for whoever wants the states alone."""

    def __init__(self) -> None:
        self._logger = ExecutionLogger(max_events=0)

    def put(self, log: Log, domain: str | None = None) -> None:
        log(self._logger)

    def flush(self) -> None:
        pass


class EventStream:
    """A sink whose thread logs to a logger for each domain; what belongs to none of them goes to all.

    A file that can no longer be written is said once, as an error; whoever puts is never held up. The loggers
    belong to the stream: it closes them, at the latest when the interpreter ends.
    """

    def __init__(self, loggers: ExecutionLogger | Mapping[str, ExecutionLogger]) -> None:
        self._by_domain = {} if isinstance(loggers, ExecutionLogger) else dict(loggers)
        self.loggers = [loggers] if isinstance(loggers, ExecutionLogger) else list(loggers.values())
        self._complained = False
        self.closed = False
        self._batches: BatchThread[tuple[Log, str | None]] = BatchThread("event-writer", self._write)
        atexit.register(self.close)

    def put(self, log: Log, domain: str | None = None) -> None:
        self._batches.put((log, domain))

    def put_event(self, event: ExecutionEvent) -> None:
        """Have an event logged that has its time and its simulation already."""
        self._batches.put((lambda logger: logger.log_event(event), event.domain))

    def flush(self, timeout: float = 5.0) -> None:
        """Return when everything put so far can be read in the files, at most after `timeout` seconds."""
        self._batches.flush(timeout)

    def close(self) -> None:
        """Write what is left and close the loggers. Harmless twice."""
        atexit.unregister(self.close)
        if self.closed:
            return
        self.closed = True
        self._batches.close(timeout_s=10.0)
        for logger in self.loggers:
            try:
                logger.close()
            except OSError as error:
                self._complain(error)

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, batch: Sequence[tuple[Log, str | None]]) -> None:
        for log, domain in batch:
            self._log(log, domain)
        for logger in self.loggers:
            try:
                logger.flush()
            except OSError as error:
                self._complain(error)

    def _log(self, log: Log, domain: str | None) -> None:
        of_domain = self._by_domain.get(domain) if domain is not None else None
        for logger in self.loggers if of_domain is None else [of_domain]:
            try:
                log(logger)
            except Exception as error:  # one event that can't be logged must not end those that can
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            _logger.error("events are missing from their file: %s: %s", type(error).__name__, error)


class _Emitted(logging.Handler):
    """Hands emitted events to a stream, except those that its files have in a fuller form."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self._stream = stream

    def handle(self, record: logging.LogRecord) -> bool:
        """Take the event without the handler's lock: the stream is safe from many threads."""
        event = record.msg
        if isinstance(event, ExecutionEvent) and not isinstance(event, ToolCallEvent):
            event.stamp(current_context())
            self._stream.put_event(event)
        return True


@contextmanager
def recording(stream: EventStream, *, record_replays: bool = False) -> Iterator[EventStream]:
    """Inside the block, every emitted event goes to the stream, whatever the log level is; then it is closed.

    Environments of enhanced domains record there too.
    """
    made = Recording(stream, record_replays)
    begin(made)
    handler = _Emitted(stream)
    emitted = get_logger(EVENT_LOGGER)
    level = emitted.level
    emitted.addHandler(handler)
    emitted.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        emitted.setLevel(level)
        emitted.removeHandler(handler)
        end(made)
        stream.close()


_streams: dict[Path, EventStream] = {}
_streams_lock = threading.Lock()


def stream_to(path: Path | str) -> EventStream:
    """The stream that writes the events of this process into a file; it stays open until the interpreter ends.

    Raises OSError where the file can't be written, ValueError where it holds other things than events.
    """
    place = Path(path).resolve()
    with _streams_lock:
        if place not in _streams or _streams[place].closed:
            _streams[place] = EventStream(ExecutionLogger(place, auto_flush=False, max_events=0))
        return _streams[place]
