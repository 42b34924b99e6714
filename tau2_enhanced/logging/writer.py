"""One thread writes every log file, so that logging never holds up a task.

The calling thread pays for one enqueue. What gathers in twenty milliseconds is written and flushed together,
and can be read then.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from tau2_enhanced.logging.batches import BatchThread
from tau2_enhanced.logging.context import current_context
from tau2_enhanced.logging.events import ExecutionEvent, format_time, to_line
from tau2_enhanced.logging.files import LogFolder
from tau2_enhanced.logging.logfmt import quote
from tau2_enhanced.logging.redaction import scrub

_LOOK_EVERY_S = 0.1
"""How often the files are looked for: in every batch it would take as long as writing it."""
_NOT_ON_SCREEN = {"tau2", "LiteLLM", "LiteLLM Router", "LiteLLM Proxy"}
"""Libraries whose messages are for the files alone."""
_formatter = logging.Formatter()

ConsoleSink = Callable[[logging.LogRecord, str], None]
"""Shows one record, given as its finished line."""


class DomainFiles:
    """`tau2_DOMAIN.log` with everything and `eval_DOMAIN.log` with the events alone, in one folder.

    What belongs to no domain (the run's start and end) goes into the files of all.
    """

    def __init__(self, folder: LogFolder, domains: Iterable[str]) -> None:
        self._folder = folder
        self._files: dict[str, tuple[_LogFile, _LogFile]] = {}
        for domain in domains:
            self._files[domain] = (
                _LogFile(folder.path / f"tau2_{domain}.log"),
                _LogFile(folder.path / f"eval_{domain}.log"),
            )

    def write(self, domain: str | None, line: str, is_event: bool) -> None:
        own = self._files.get(domain or "")
        for everything, events in (own,) if own is not None else self._files.values():
            everything.write(line)
            if is_event:
                events.write(line)

    def flush(self, complain: Callable[[OSError], None]) -> None:
        """Bring everything into the files; one that can't be written does not hold back the others."""
        for pair in self._files.values():
            for file in pair:
                try:
                    file.flush()
                except OSError as error:
                    complain(error)

    def make_again(self) -> bool:
        """Begin anew those files that were removed or moved away; whether there were any. Raises OSError."""
        gone = [file for pair in self._files.values() for file in pair if not file.path.exists()]
        if gone:
            self._folder.make_again()
        for file in gone:
            file.make_again()
        return bool(gone)

    def close(self) -> None:
        for pair in self._files.values():
            for file in pair:
                with suppress(OSError):
                    file.close()


class _LogFile:
    """A file that lines are appended to, whole lines always.

    What a full disk did not take is left out: the lines after it begin on a line of their own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[str] = []
        self._is_torn = False
        self._open()

    def write(self, line: str) -> None:
        self._waiting.append(line)

    def flush(self) -> None:
        """Bring what waits into the file. Raises OSError where not all of it went."""
        if not self._waiting:
            return
        data = "".join(self._waiting).encode("utf-8", "backslashreplace")
        self._waiting.clear()
        if self._is_torn:
            data = b"\n" + data
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
        finally:
            if written:
                self._is_torn = data[written - 1] != ord("\n")

    def make_again(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        self._file.close()

    def _open(self) -> None:
        self._file = self.path.open("a+b", buffering=0)
        self._is_torn = False
        if self._file.tell():
            # a line that a killed run left cut
            self._file.seek(-1, os.SEEK_END)
            self._is_torn = self._file.read(1) != b"\n"


class LogWriter(logging.Handler):
    """The handler that enqueues and the thread that writes.

    A folder that can no longer be written is said once on stderr; the run goes on.
    """

    def __init__(
        self,
        run_id: str,
        files: DomainFiles,
        level: int,
        console: ConsoleSink | None,
        console_level: int,
        redact: bool = False,
    ) -> None:
        super().__init__()
        self._run_id = run_id
        self._files = files
        self._file_level = level
        self.console = console
        self._console_level = console_level
        self._redact = redact
        self._complained = False
        self._looked_at = time.monotonic()
        self._batches: BatchThread[logging.LogRecord | ExecutionEvent] = BatchThread("log-writer", self._write)

    def take(self, event: ExecutionEvent) -> bool:
        """Take a stamped event without a record of it; False where one is needed, because the screen shows records."""
        if self.console is not None and event.level >= self._console_level:
            return False
        if event.level >= max(self.level, self._file_level):
            event.run = event.run or self._run_id
            self._batches.put(event)
        return True

    def handle(self, record: logging.LogRecord) -> bool:
        """Take the record without the handler's lock: the queue is safe from many threads."""
        event = record.msg
        if isinstance(event, ExecutionEvent):
            if not event.is_stamped:
                event.stamp(current_context())
            event.run = event.run or self._run_id
        else:
            context = current_context()
            # what the message is made of may change before the writer comes to it
            record.msg, record.args = _text_of(record), None
            record.tau2_task = (context.domain, context.task, context.trial, context.step)
        self._batches.put(record)
        return True

    def flush(self, timeout: float = 5.0) -> None:
        """Return when everything logged before has been written, at most after `timeout` seconds."""
        self._batches.flush(timeout)

    def close(self) -> None:
        """Write what is left and close the files."""
        if self._batches.close(timeout_s=5.0):
            self._files.close()
        super().close()

    def _write(self, batch: Sequence[logging.LogRecord | ExecutionEvent]) -> None:
        for item in batch:
            self._write_one(item)
        self._bring_to_disk()

    def _bring_to_disk(self) -> None:
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            try:
                if self._files.make_again():
                    _say("the log files were removed: logging continues in new ones")
            except OSError as error:
                self._complain_of(error)
        self._files.flush(self._complain_of)

    def _write_one(self, item: logging.LogRecord | ExecutionEvent) -> None:
        try:
            if isinstance(item, ExecutionEvent):
                self._files.write(item.domain, self._event_line(item) + "\n", is_event=True)
            else:
                self._write_record(item)
        except OSError as error:
            self._complain_of(error)
        except Exception as error:  # a record that can't be written must not end the log of all others
            self._complain(f"a log record could not be written: {error!r}")

    def _write_record(self, record: logging.LogRecord) -> None:
        event = record.msg
        if isinstance(event, ExecutionEvent):
            domain, line = event.domain, self._event_line(event)
        else:
            domain = record.tau2_task[0]  # type: ignore[attr-defined]  # set in handle
            line = _message_line(record, _redacted_text if self._redact else scrub)
        if record.levelno >= self._file_level:
            self._files.write(domain, line + "\n", is_event=isinstance(event, ExecutionEvent))
        if self.console is not None and record.levelno >= self._console_level and _is_for_screen(record):
            self.console(record, line)

    def _event_line(self, event: ExecutionEvent) -> str:
        if self._redact:
            from tau2_enhanced.logging.redact_events import redacted_event, scrubbed_event  # slow to import

            event = redacted_event(scrubbed_event(event))
        return scrub(to_line(event))

    def _complain_of(self, error: OSError) -> None:
        self._complain(f"the log can't be written: {error.strerror or error}")

    def _complain(self, text: str) -> None:
        if not self._complained:
            self._complained = True
            _say(text)


def _is_for_screen(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in _NOT_ON_SCREEN


def _say(text: str) -> None:
    with suppress(OSError, ValueError):  # stderr may be closed, and that must not end the log
        sys.stderr.write(scrub(text) + "\n")


def _text_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # a message that can't be made must not hurt who logs it
        text = f"a message of {record.name}:{record.lineno} could not be formatted: {type(error).__name__}"
        _say(text)
        return text


def _redacted_text(text: str) -> str:
    from tau2_enhanced.logging.sensitive import redacted  # as above

    made: str = redacted(scrub(text))
    return made


def _message_line(record: logging.LogRecord, clean: Callable[[str], str]) -> str:
    """`[LEVEL] time task=… thread=… domain=… trial=… step=… | text`, further lines indented; the text made `clean`."""
    domain, task, trial, step = record.tau2_task  # type: ignore[attr-defined]  # set in handle
    # the file's name says the domain, the screen shows all of them
    names = {"task": task, "thread": record.threadName, "domain": domain, "trial": trial, "step": step}
    where = scrub(" ".join(f"{name}={quote(str(value))}" for name, value in names.items() if value is not None))
    text = str(record.msg)
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + _formatter.formatException(record.exc_info)
    # before the lines are indented: a secret may go over several
    text = clean(text).replace("\r", "\\r").rstrip("\n").replace("\n", "\n    ")
    return f"[{record.levelname}] {format_time(datetime.fromtimestamp(record.created))} {where} | {text}"
