"""From log files to rows: every event of every file, and a count of the lines that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.events import BrokenLine, ExecutionEvent, parse_line

_SHOWN_BROKEN = 5


@dataclass
class EventLog:
    """The events of some files."""

    events: list[ExecutionEvent] = field(default_factory=list)
    broken: int = 0
    broken_examples: list[str] = field(default_factory=list)
    """`FILE:LINE: why`, of the first few."""


def read_logs(paths: Iterable[Path]) -> EventLog:
    """Read all events. Raises UserMistake for a file that can't be read."""
    log = EventLog()
    for path in paths:
        for number, line in enumerate(_lines(path), 1):
            try:
                event = parse_line(line)
            except BrokenLine as error:
                log.broken += 1
                if len(log.broken_examples) < _SHOWN_BROKEN:
                    log.broken_examples.append(f"{path}:{number}: {error}")
                continue
            if event is not None:
                log.events.append(event)
    return log


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            yield from file
    except OSError as error:
        raise UserMistake(f"{path} can't be read: {error.strerror}") from None
