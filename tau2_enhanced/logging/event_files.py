"""Files of events, one JSON object a line: read, filtered, and written in other forms."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tau2_enhanced.logging.events import (
    AuditEvent,
    BrokenLine,
    ExecutionEvent,
    event_fields,
    from_json,
    to_dict,
)
from tau2_enhanced.logging.plain import compact

if TYPE_CHECKING:
    import polars as pl

CHAIN = ("seq", "digest")
"""What the chain of a file adds to its events."""


def without_chain(event: ExecutionEvent) -> ExecutionEvent:
    """The event without what a file's chain has added to it."""
    for name in CHAIN:
        event.extra.pop(name, None)
    return event


@dataclass(frozen=True)
class EventFilter:
    """Which events are meant; None is all."""

    type: str | type[ExecutionEvent] | None = None
    """A type's name, or an event class and its subclasses."""
    since: datetime | None = None
    """Events that ended at this time or later, in local time."""
    until: datetime | None = None
    """Events that ended before this time."""
    task: str | None = None

    def takes(self, event: ExecutionEvent) -> bool:
        if isinstance(self.type, str):
            if event.type != self.type:
                return False
        elif self.type is not None and not isinstance(event, self.type):
            return False
        if self.task is not None and event.task != self.task:
            return False
        if self.since is None and self.until is None:
            return True
        if event.timestamp is None:
            return False
        return (self.since is None or event.timestamp >= self.since) and (
            self.until is None or event.timestamp < self.until
        )


def read_events(path: Path | str, only: EventFilter | None = None) -> Iterator[ExecutionEvent]:
    """The events of a file, in its order, one at a time; its audit lines are none.

    A last line that a killed writer left unfinished is passed over. Raises BrokenLine for any other line
    that is no event, OSError where the file can't be read.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                event = from_json(line)
            except BrokenLine as error:
                if not line.endswith(b"\n"):
                    return
                raise BrokenLine(f"{path}, line {number}: {error}") from None
            if not isinstance(event, AuditEvent) and (only is None or only.takes(event)):
                yield without_chain(event)


def export_events(events: Iterable[ExecutionEvent], path: Path | str, summary: dict[str, Any]) -> None:
    """Write events into one `.json`, `.csv` or `.parquet` file, whole or not at all. Raises ValueError for others.

    JSON holds them as `execution_events` beside the `summary`; tables have a column for each field, with
    lists and objects as JSON texts.
    """
    path = Path(path)
    if path.suffix not in (".json", ".csv", ".parquet"):
        raise ValueError(f"{path.name}: events can be exported as .json, .csv or .parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix == ".json":
            _write_document(events, temporary, summary)
        elif path.suffix == ".csv":
            to_frame(events).write_csv(temporary)
        else:
            to_frame(events).write_parquet(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_document(events: Iterable[ExecutionEvent], path: Path, summary: dict[str, Any]) -> None:
    now = datetime.now().isoformat(timespec="milliseconds")
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f'{{"timestamp":{json.dumps(now)},"execution_events":[')
        for index, event in enumerate(events):
            file.write(("," if index else "") + "\n" + json.dumps(to_dict(event), ensure_ascii=False, default=str))
        file.write(f'\n],"summary":{json.dumps(summary, ensure_ascii=False)}}}\n')


def to_frame(events: Iterable[ExecutionEvent]) -> pl.DataFrame:
    """A row for each event, in their order, with the columns of all their types."""
    import polars as pl

    types: dict[type, Any] = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean, datetime: pl.Datetime("ms")}
    rows: list[dict[str, Any]] = []
    kinds: dict[str, type] = {"type": str, "level": str, "timestamp": datetime}
    for event in events:
        row = to_dict(event)
        row["timestamp"] = event.timestamp
        rows.append(row)
        kinds |= {spec.name: spec.kind for spec in event_fields(type(event)) if spec.name != "extra"}
        kinds |= {name: str for name in event.extra if name not in kinds}
    columns = []
    for name, kind in kinds.items():
        values = [row.get(name) for row in rows]
        if kind not in types:
            values = [None if value is None else _text(value) for value in values]
        columns.append(pl.Series(_text(name), values, dtype=types.get(kind, pl.String), strict=False))
    return pl.DataFrame(columns)


def _text(value: object) -> str:
    """A cell: a text, or anything else as JSON; half characters, which tables can't hold, as `\\ud800`."""
    text = value if isinstance(value, str) else compact(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
