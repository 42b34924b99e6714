"""The vectorised reader of event lines: text in, one typed frame for each event type out.

Lines of one type mostly have the same keys in the same order. The keys of the first line still unread
are taken as a pattern; every line that fits it is split at once, column by column, and its values are
typed by the schema. Whatever fits no pattern goes, line by line, through the schema's own `parse_line`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from tau2_enhanced.logging.events import (
    EVENT_LINE,
    EVENT_TYPES,
    PAIR,
    BrokenLine,
    ExecutionEvent,
    event_fields,
    parse_line,
    to_dict,
)

_PATTERNS_PER_TYPE = 16
_SHOWN_BROKEN = 5
_SHOWN_LENGTH = 160
_BEFORE_PAIRS = 3
_HEAD_PARTS = ("level", "date", "time")
"""What stands before the pairs."""
_TYPES: dict[type, pl.DataType] = {
    int: pl.Int64(),
    float: pl.Float64(),
    bool: pl.Boolean(),
    datetime: pl.Datetime("ms"),
}
_NOT_COLUMNS = {"extra"}


@dataclass
class Lines:
    """What was read of some text."""

    frames: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    """By event type, in parts."""
    broken: int = 0
    broken_examples: list[str] = field(default_factory=list)
    """The first few broken lines, each with why."""
    general: int = 0
    """Lines that fitted no pattern and were read one by one."""

    def add(self, kind: str, frame: pl.DataFrame) -> None:
        self.frames.setdefault(kind, []).append(frame)

    def add_broken(self, line: str, why: str) -> None:
        self.broken += 1
        if len(self.broken_examples) < _SHOWN_BROKEN:
            shown = line if len(line) <= _SHOWN_LENGTH else line[:_SHOWN_LENGTH] + "…"
            self.broken_examples.append(f"{why}: {shown}")


def column_types(kind: str) -> dict[str, pl.DataType]:
    """The columns of an event type's frame; JSON values and texts are strings."""
    specs = event_fields(EVENT_TYPES.get(kind, ExecutionEvent))
    return {"level": pl.String()} | {
        spec.name: _TYPES.get(spec.kind, pl.String()) for spec in specs if spec.name not in _NOT_COLUMNS
    }


def read_lines(text: bytes, into: Lines) -> None:
    """Read all event lines of `text`. Other lines are passed over; broken ones are counted."""
    lines = _event_lines(text)
    quoted = lines.str.contains('"', literal=True)
    for part, split in ((lines.filter(~quoted), _split_plain), (lines.filter(quoted), _split_quoted)):
        if part.len():
            kinds = part.str.extract(r" type=(\S+)", 1).fill_null("").alias("kind")
            groups = pl.DataFrame([part.alias("line"), kinds]).partition_by("kind", as_dict=True)
            for (kind,), group in groups.items():
                _read_type(str(kind), group["line"], split, into)


def read_events(events: Iterable[ExecutionEvent], into: Lines) -> None:
    """Add events that were read some other way."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        row = {name: value for name, value in to_dict(event).items() if name != "type"}
        row["timestamp"] = event.timestamp
        rows.setdefault(event.type, []).append(row)
    for kind, made in rows.items():
        types = column_types(kind)
        names = dict.fromkeys(name for row in made for name in row)
        columns = [_column(name, [row.get(name) for row in made], types.get(name)) for name in names]
        into.add(kind, pl.DataFrame(columns))


def _column(name: str, values: list[Any], kind: pl.DataType | None) -> pl.Series:
    if kind is None or kind == pl.String():
        values = [
            value if value is None or isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
            for value in values
        ]
    return pl.Series(name, values, dtype=kind or pl.String())


def _event_lines(text: bytes) -> pl.Series:
    if not text or text.isspace():
        return pl.Series("line", [], dtype=pl.String())
    # a character that no event line holds, so that each line is one column
    lines = pl.read_csv(
        text,
        has_header=False,
        separator="\x01",
        quote_char=None,
        schema={"line": pl.String()},
        encoding="utf8-lossy",
        truncate_ragged_lines=True,
    )["line"]
    if b"\r" in text:
        lines = lines.str.strip_chars_end("\r")
    return lines.filter(lines.str.contains(EVENT_LINE).fill_null(False))


Split = Callable[[pl.Series, int], tuple[pl.DataFrame, pl.Expr]]
"""Lines and how many pairs they may have: the lines with each pair as a column, and whether that is all of a line."""


def _split_plain(lines: pl.Series, size: int) -> tuple[pl.DataFrame, pl.Expr]:
    """Lines without any quotation: every blank ends a pair."""
    parts = lines.str.split_exact(" ", _BEFORE_PAIRS + size).struct.unnest()
    names = [*_HEAD_PARTS, *map(str, range(size)), "rest"]
    parts = parts.rename(dict(zip(parts.columns, names, strict=True)))
    whole = pl.col("rest").is_null() & (pl.col("line").str.count_matches("=", literal=True) == size)
    return parts.insert_column(0, lines.alias("line")), whole


def _split_quoted(lines: pl.Series, size: int) -> tuple[pl.DataFrame, pl.Expr]:
    """Lines with quoted values, which may hold blanks."""
    head = lines.str.split_exact(" ", _BEFORE_PAIRS).struct.unnest()
    head = head.rename(dict(zip(head.columns, [*_HEAD_PARTS, "rest"], strict=True))).drop("rest")
    pairs = lines.str.extract_all(PAIR).alias("pairs")
    parts = head.with_columns(lines.alias("line"), pairs).with_columns(
        pl.col("pairs").list.get(index, null_on_oob=True).alias(str(index)) for index in range(size)
    )
    whole = (pl.col("pairs").list.len() == size) & (
        pl.concat_str(*_HEAD_PARTS, pl.col("pairs").list.join(" "), separator=" ") == pl.col("line")
    )
    return parts, whole


def _read_type(kind: str, lines: pl.Series, split: Split, into: Lines) -> None:
    types = column_types(kind)
    for _ in range(_PATTERNS_PER_TYPE):
        if not lines.len():
            return
        keys = _keys(lines[0])
        if keys is None:
            break
        parts, whole = split(lines, len(keys))
        read = _typed(parts, keys, whole, types, quoted=split is _split_quoted)
        if not read["fits"].any():
            break
        all_fit = bool(read["fits"].all())
        into.add(kind, (read if all_fit else read.filter("fits")).drop("fits"))
        lines = lines.clear() if all_fit else lines.filter(~read["fits"])
    _read_one_by_one(lines, into)


def _keys(line: str) -> list[str] | None:
    """The keys of a line; None where it does not read as one, or names a key twice."""
    rest = line.split(" ", _BEFORE_PAIRS)[_BEFORE_PAIRS]
    pairs = pl.Series([rest]).str.extract_all(PAIR)[0].to_list()
    keys = [pair.partition("=")[0] for pair in pairs]
    usable = " ".join(pairs) == rest and len(set(keys)) == len(keys) and not {"level", "timestamp"} & set(keys)
    return keys if usable else None


def _typed(
    parts: pl.DataFrame, keys: list[str], whole: pl.Expr, types: dict[str, pl.DataType], *, quoted: bool
) -> pl.DataFrame:
    """The lines' values by the schema's types, and in `fits` whether a line has these keys and sound values.

    One query for all columns, so that the engine can spread them over the cores.
    """
    moment = pl.concat_str("date", "time", separator=" ").str.to_datetime(
        "%Y-%m-%d %H:%M:%S%.3f", time_unit="ms", strict=False
    )
    columns = [pl.col("level").str.slice(1, pl.col("level").str.len_bytes() - 2), moment.alias("timestamp")]
    # what an undecodable byte was replaced by must not stand in for a value
    fits = [whole, moment.is_not_null(), ~pl.col("line").str.contains("\ufffd", literal=True)]
    for index, key in enumerate(keys):
        fits.append(pl.col(str(index)).str.starts_with(f"{key}="))
        if key == "type":
            continue
        text = pl.col(str(index)).str.slice(len(key) + 1)
        if quoted:
            text = _unquoted(text, parts[str(index)], len(key) + 1)
        column, sound = _cast(text, key, types.get(key, pl.String()))
        columns.append(column.alias(key))
        fits.append(sound)
    return parts.lazy().select(*columns, pl.all_horizontal(fits).fill_null(False).alias("fits")).collect()


def _unquoted(text: pl.Expr, pairs: pl.Series, start: int) -> pl.Expr:
    """The values without quotation; each different one is decoded once."""
    values = pairs.str.slice(start)
    quoted = values.filter(values.str.starts_with('"').fill_null(False)).unique().to_list()
    return text.replace(quoted, [_decoded(value) for value in quoted]) if quoted else text


def _decoded(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def _cast(text: pl.Expr, name: str, kind: pl.DataType) -> tuple[pl.Expr, pl.Expr]:
    """A column's values, and where they are what the schema says."""
    if kind == pl.String():
        return text, pl.lit(True)
    if kind == pl.Boolean():
        return text == "true", (text == "true") | (text == "false")
    if kind == pl.Datetime("ms"):
        moment = text.str.to_datetime(time_unit="ms", strict=False)
        return moment, moment.is_not_null()
    made = text.cast(kind, strict=False)
    if kind == pl.Float64():
        return made, made.is_finite() & (made >= 0) if name.endswith("_ms") else made.is_finite()
    return made, made.is_not_null()


def _read_one_by_one(lines: pl.Series, into: Lines) -> None:
    sound = []
    for line in lines:
        into.general += 1
        try:
            sound.append(believed(parse_line(line)))
        except BrokenLine as error:
            into.add_broken(line, str(error))
    read_events(sound, into)


def believed(event: ExecutionEvent | None) -> ExecutionEvent:
    """An event that could be parsed, as it is. Raises BrokenLine for one that can't be believed."""
    if event is None:
        raise BrokenLine("not an event")
    for spec in event_fields(event.__class__):
        value = getattr(event, spec.name)
        if isinstance(value, float) and (not math.isfinite(value) or (spec.name.endswith("_ms") and value < 0)):
            raise BrokenLine(f"{spec.name}={value} is no measurement")
        if isinstance(value, str) and "\ufffd" in value:
            raise BrokenLine(f"{spec.name} holds bytes that are no UTF-8")
    return event
