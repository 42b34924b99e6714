"""The fast reader of JSON lines: all lines of a piece at once, a column for each field, typed by the schema.

It reads what `to_json` writes. A piece that holds anything else is refused as a whole: about such lines the
schema's own `from_json` has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
import polars as pl

from tau2_enhanced.analysis.line_pattern import column_types
from tau2_enhanced.analysis.log_lines import Lines, json_column
from tau2_enhanced.logging.event_files import CHAIN
from tau2_enhanced.logging.events import (
    EVENT_TYPES,
    AuditEvent,
    ExecutionEvent,
    FieldSpec,
    event_fields,
    is_duration,
    to_dict,
)

_UNREADABLE = (b"\xef\xbf\xbd", b"\\ufffd", b"\\uFFFD")
"""What stands for bytes that are no UTF-8: texts with it are not believed."""
_ROUNDED = r"(^|[:,\[])-?\d(\.\d+)?e\+\d"
"""In JSON of orjson's, what may have been a whole number beyond 64 bits, which orjson rounds."""
_ENVELOPE = {"type", "level", *CHAIN}
_NONE = type(None)
_ALLOWED: dict[type, set[type]] = {
    str: {str, _NONE},
    bool: {bool, _NONE},
    int: {int, _NONE},
    float: {float, int, _NONE},
}


class _Refused(Exception):
    """Something that this reader does not read."""


def read_columns(piece: bytes, into: Lines) -> list[str] | None:
    """Read the lines of a piece; those whose types only `from_json` knows, or None where nothing was read."""
    if any(sign in piece for sign in _UNREADABLE):
        return None
    try:
        rows, others = _by_type(piece)
        frames = [(kind, _frame(kind, found)) for kind, found in rows.items()]
    except (_Refused, ValueError, TypeError, OverflowError, AttributeError, pl.exceptions.PolarsError):
        return None
    for kind, frame in frames:
        if kind != AuditEvent.type:
            into.add(kind, frame)
    return others


def _by_type(piece: bytes) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    plain = {
        name
        for name, cls in EVENT_TYPES.items()
        # a class made elsewhere may do something of its own with its fields
        if cls.__post_init__ is ExecutionEvent.__post_init__
    }
    rows: dict[str, list[dict[str, Any]]] = {}
    others: list[str] = []
    for line in piece.split(b"\n"):
        if not line or line.isspace():
            continue
        row = orjson.loads(line)
        kind = row.get("type", "")
        if None in row.values() or type(row.get("level", "")) is not str:
            raise _Refused
        if kind in plain:
            rows.setdefault(kind, []).append(row)
        else:
            others.append(line.decode())
    return rows, others


def _frame(kind: str, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    cls, types = EVENT_TYPES[kind], column_types(kind)
    level = to_dict(cls())["level"]
    patterns = dict.fromkeys(map(tuple, rows))
    names = dict.fromkeys(name for pattern in patterns for name in pattern if name not in _ENVELOPE)
    specs = {spec.name: spec for spec in event_fields(cls)}
    columns = [pl.Series("level", [level], dtype=pl.String()).new_from_index(0, len(rows))]
    for name in names:
        values = [row.get(name) for row in rows]
        spec = specs.get(name)
        if spec is None or spec.kind is object:
            column = json_column(name, values)
            # without its name: polars takes some, such as "^run$", for those of other columns
            if column.alias("").str.contains(_ROUNDED).any():
                raise _Refused
            columns.append(column)
        else:
            columns.append(pl.Series(name, list(_checked(spec, values)), dtype=types[name]))
    return pl.DataFrame(columns)


def _checked(spec: FieldSpec, values: list[Any]) -> Iterable[Any]:
    """The values as an event has them. Raises where `from_json` would have something to say."""
    if spec.kind is datetime:
        return _times(values)
    if not set(map(type, values)) <= _ALLOWED[spec.kind]:
        raise _Refused
    if spec.kind is float:
        values = [value if value is None else float(value) for value in values]
        if is_duration(spec.name) and any(value is not None and value < 0 for value in values):
            raise _Refused
        if spec.digits is not None:
            values = [value if value is None else round(value, spec.digits) for value in values]
    return values


def _times(texts: list[str | None]) -> Iterable[datetime | None]:
    for text in texts:
        moment = None if text is None else datetime.fromisoformat(text)
        if moment is not None and moment.tzinfo is not None:
            raise _Refused
        # kept to the millisecond
        yield moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)
