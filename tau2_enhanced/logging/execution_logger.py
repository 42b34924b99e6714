"""A logger of events that needs nothing else of the project: a file of JSON lines, filters, statistics, exports.

with ExecutionLogger("execution.jsonl") as logger:
    logger.log_tool_execution("search_flights", True, 0.5, {"departure": "NYC"}, flights)
    print(logger.get_statistics())
"""

from __future__ import annotations

import secrets
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from tau2_enhanced.logging import audit
from tau2_enhanced.logging.arguments import describe_arguments, describe_result
from tau2_enhanced.logging.context import current_context
from tau2_enhanced.logging.diff import Change, diff, summary_of
from tau2_enhanced.logging.event_files import EventFilter, export_events, read_events
from tau2_enhanced.logging.event_statistics import EventStatistics
from tau2_enhanced.logging.events import (
    ContextReductionEvent,
    ExecutionEvent,
    StateChangeEvent,
    ToolExecutionEvent,
    to_json,
    to_line,
)
from tau2_enhanced.logging.plain import plain
from tau2_enhanced.logging.redact_events import redacted_event, scrubbed_event
from tau2_enhanced.logging.redaction import scrub, scrub_values
from tau2_enhanced.logging.signatures import Description, parameters_of
from tau2_enhanced.logging.state_hash import state_hash
from tau2_enhanced.logging.validation import validation_errors

Event = TypeVar("Event", bound=ExecutionEvent)

MAX_EVENTS = 10_000
_NO_RESULT = object()


class ExecutionLogger:
    """Logs events, from any number of threads.

    With `auto_flush`, an event is with the operating system when its `log_…` returns: killing the process
    loses none. Without, lines gather and are written by the 64 KiB, at `flush` and at `close`. With
    `console_output`, each event's log line goes to stderr as well. The process's own secrets are always
    replaced before anything is written or kept; with `redact`, all sensitive data is. Without a `log_file`,
    events stay in memory alone, which holds the latest `max_events`; statistics count all.

    Several loggers may share a file within a process; each has its own statistics. Raises OSError where the
    file can't be written or another process writes to it, ValueError where it holds other things than events.
    """

    def __init__(
        self,
        log_file: Path | str | None = None,
        auto_flush: bool = True,
        console_output: bool = False,
        *,
        redact: bool = False,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self.log_file = Path(log_file) if log_file is not None else None
        self.console_output = console_output
        self.redact = redact
        self._recent: deque[ExecutionEvent] = deque(maxlen=max_events)
        self._statistics = EventStatistics()
        self._lock = threading.Lock()
        self._file: audit.AuditFile | None = None
        self._release: weakref.finalize[Any, Any] | None = None
        if self.log_file is not None:
            self._file = audit.opened(self.log_file, auto_flush)
            # also at the interpreter's end, for those who never close
            self._release = weakref.finalize(self, audit.released, self._file)

    def log_tool_execution(
        self,
        tool_name: str,
        success: bool,
        execution_time: float | None = None,
        tool_args: Mapping[str, object] | None = None,
        result: object = _NO_RESULT,
        *,
        error: BaseException | str | None = None,
        signature: Description | None = None,
        tool_call_id: str | None = None,
        requestor: str | None = "assistant",
        state_changed: bool | None = None,
        phase: str | None = "live",
        **fields: Any,
    ) -> ToolExecutionEvent:
        """Log a tool call and all that can be said of its arguments and its result.

        `execution_time` is in seconds. `signature` is the tool's: an `inspect.Signature`, a JSON schema of its
        parameters or `{"required": […], "optional": […]}`. Without a `tool_call_id` the call gets one of its
        own. `fields` are further fields of the event: `task`, `sim`, `step`, …
        """
        event = ToolExecutionEvent(
            tool_name=tool_name,
            success=success,
            execution_time=execution_time,
            tool_call_id=tool_call_id or f"call_{secrets.token_hex(8)}",
            requestor=requestor,
            state_changed=state_changed,
            phase=phase,
            **fields,
        )
        parameters = parameters_of(signature) if signature is not None else None
        describe_arguments(event, tool_args or {}, parameters)
        if result is not _NO_RESULT and (success or result is not None):
            describe_result(event, result, redact=self.redact)
        if error is not None:
            event.error_message = event.error_message or str(error)
            if isinstance(error, BaseException):
                event.error_type = event.error_type or type(error).__name__
        if event.validation_errors is None:
            event.validation_errors = validation_errors(error)
        return self.log_event(event)

    def log_state_change(
        self,
        action_trigger: str,
        old: object = None,
        new: object = None,
        *,
        changes: list[Change] | None = None,
        state_type: str = "database",
        phase: str | None = "live",
        **fields: Any,
    ) -> StateChangeEvent:
        """Log what changed from the state `old` to the state `new`, or the `changes` themselves.

        `fields` are further fields of the event, of which `pre_state_hash`, `post_state_hash` and
        `change_summary` are made here where they are not given.
        """
        if changes is None:
            before, after = plain(old), plain(new)
            changes = diff(before, after)
            fields = {"pre_state_hash": state_hash(before), "post_state_hash": state_hash(after)} | fields
        # before the summary is made, which may cut a secret into what nobody knows
        changes = cast("list[Change]", scrub_values(plain(changes), free=True))
        event = StateChangeEvent(
            state_type=state_type,
            action_trigger=action_trigger,
            state_diff=[dict(change) for change in changes],
            phase=phase,
            **({"change_summary": summary_of(changes)} | fields),
        )
        return self.log_event(event)

    def log_context_reduction(
        self,
        strategy: str,
        *,
        tokens_before: int | None = None,
        tokens_after: int | None = None,
        phase: str | None = "live",
        **fields: Any,
    ) -> ContextReductionEvent:
        """Log that a participant's context was made shorter; `fields` are further fields of the event."""
        ratio = None
        if tokens_before and tokens_after is not None:
            ratio = 1 - tokens_after / tokens_before
        event = ContextReductionEvent(
            strategy=strategy,
            tokens_before=tokens_before,
            tokens_after=tokens_after,
            phase=phase,
            **({"reduction_ratio": ratio} | fields),
        )
        return self.log_event(event)

    def log_event(self, event: Event) -> Event:
        """Log any event, stamped with the current task context; the event as it was logged.

        Raises TypeError where a field is not of its kind, OSError where it can't be written and ValueError
        after `close`.
        """
        event.stamp(current_context())
        event.check()
        event = scrubbed_event(event)
        if self.redact:
            event = redacted_event(event)
        if self._file is not None and self._release is not None:
            if not self._release.alive:
                raise ValueError(f"the logger of {self.log_file} is closed")
            self._file.write(to_json(event))
        with self._lock:
            self._recent.append(event)
            self._statistics.add(event)
        if self.console_output:
            with suppress(OSError, ValueError):  # a closed stderr must not end the log
                sys.stderr.write(scrub(to_line(event)) + "\n")
        return event

    def events(
        self,
        type: str | type[ExecutionEvent] | None = None,  # the field's name
        since: datetime | None = None,
        until: datetime | None = None,
        task: str | None = None,
    ) -> Iterator[ExecutionEvent]:
        """The events that were logged, in their order: all of the file, or those in memory where there is none."""
        only = EventFilter(type, since, until, task)
        if self.log_file is not None:
            self.flush()
            yield from read_events(self.log_file, only)
            return
        with self._lock:
            recent = list(self._recent)
        yield from filter(only.takes, recent)

    @property
    def recent(self) -> list[ExecutionEvent]:
        """The latest events of this logger, at most `max_events`."""
        with self._lock:
            return list(self._recent)

    def get_statistics(self) -> dict[str, Any]:
        """Numbers of what this logger logged: `total_events`, by type and tool, success rates, times in seconds."""
        with self._lock:
            return self._statistics.to_dict()

    def export(self, path: Path | str) -> None:
        """Write all events into a `.json`, `.csv` or `.parquet` file. Raises ValueError for any other name."""
        export_events(self.events(), path, self.get_statistics())

    def flush(self) -> None:
        """Hand everything logged so far to the operating system."""
        if self._file is not None and self._release is not None and self._release.alive:
            self._file.flush()

    def close(self) -> None:
        """Give the file back, closed by its audit line if nobody else writes to it. Harmless twice."""
        if self._release is not None:
            self._release()

    def __enter__(self) -> ExecutionLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
