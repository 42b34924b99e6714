"""The views of an event: a log line (`to_line`) and JSON (`to_json`).

Each reads back to an equal event (`parse_line`, `from_json`). Durations always carry a decimal point,
so `grep -oP "duration_ms=\\d+\\.\\d+"` finds each of them.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from types import new_class
from typing import Any, NamedTuple

from tau2_enhanced.logging.levels import LEVELS
from tau2_enhanced.logging.logfmt import parse_pairs, quote
from tau2_enhanced.logging.schema import EVENT_TYPES, ExecutionEvent, FieldSpec, event_fields


class BrokenLine(ValueError):
    """A line that begins as an event does, and is none: cut, glued or not of the schema."""


@dataclass
class UnknownEvent(ExecutionEvent, registered=False):
    """An event of a type that this process does not know; its fields are in `extra`."""


class _Pairs(NamedTuple):
    """What stands on a line of a class, `type` included: each field's key, how its value is written, and all values."""

    keys: tuple[str, ...]
    """Names with their equals sign."""
    texts: tuple[Callable[[Any], str], ...]
    values: Callable[[ExecutionEvent], tuple[Any, ...]]
    """All at once: one by one takes twice as long."""


_pairs: dict[type[ExecutionEvent], _Pairs] = {}
_unknown_classes: dict[tuple[str, int], type[ExecutionEvent]] = {}

_NOT_PAIRS = {"timestamp", "extra"}
_LEVEL_NAMES = {value: name for name, value in LEVELS.items()}
PAIR = r'[^\s="]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
"""A regular expression for one `key=value` of a line."""
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|\S*)'
HEAD_WORDS = (r"\[[A-Z_]+\]", "[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}")
"""Regular expressions for the words before the pairs of a line: level, date and time."""
_PLACE = rf"(?:task={_VALUE} )?(?:thread={_VALUE} )?type="
EVENT_LINE = f"^{' '.join(HEAD_WORDS)} {_PLACE}"
"""A regular expression for the beginning of every line that is an event."""
_HEAD = re.compile(f"({HEAD_WORDS[0]}) ({HEAD_WORDS[1]} {HEAD_WORDS[2]}) (?={_PLACE})")
_CUT_VALUE = r'(?:"(?:[^"\\]|\\.)*["\\]?|\S*)'
_CUT_WORD = f"(?:t?|ta|tas|task|th|thr|thre|threa|thread|ty|typ|type|(?:task|thread)={_CUT_VALUE})"
CUT_LINE = rf"^{' '.join(HEAD_WORDS)} (?:task={_VALUE} )?(?:thread={_VALUE} )?{_CUT_WORD}$"
"""A regular expression for what is left of an event's line that was cut before its type."""
GLUED_LINE = rf"^\S.*{' '.join(HEAD_WORDS)} {_PLACE}"
"""A regular expression for the beginning of a line in which an event follows something else, at once or later."""
_DAMAGED = re.compile(f"{CUT_LINE}|{GLUED_LINE}")
_NOT_IN_KEYS = re.compile(r'[\s="\x00-\x1f\x7f-\xa0\ud800-\udfff]+')


def to_pairs(event: ExecutionEvent) -> str:
    """`task=… thread=… type=… key=value …`, without level and time."""
    parts = []
    keys, texts, values = _pairs.get(event.__class__) or _pairs_of(event.__class__)
    for key, text, value in zip(keys, texts, values(event), strict=True):
        if value is not None:
            parts.append(key + text(value))
    for name, value in event.extra.items():
        key = _NOT_IN_KEYS.sub("_", name) or "_"
        parts.append(f"{key}={quote(value if isinstance(value, str) else _compact(value))}")
    return " ".join(parts)


def _pairs_of(cls: type[ExecutionEvent]) -> _Pairs:
    texts: dict[str, Callable[[Any], str]] = {}
    for spec in event_fields(cls):
        if spec.name not in _NOT_PAIRS:
            texts[spec.name] = _text_of(spec)
        if spec.name == "thread":
            texts["type"] = quote
    keys = tuple(f"{name}=" for name in texts)
    made = _pairs[cls] = _Pairs(keys, tuple(texts.values()), attrgetter(*texts))
    return made


def _text_of(spec: FieldSpec) -> Callable[[Any], str]:
    """How a field's values are written."""
    if spec.kind is float:
        if spec.digits is None:
            return _plain_float
        return f"{{:.{spec.digits}f}}".format if spec.digits <= 3 else partial(_shortest, digits=spec.digits)
    return _TEXTS.get(spec.kind, str)


def _plain_float(value: float) -> str:
    return repr(float(value))


def _truth(value: object) -> str:
    return "true" if value else "false"


def _quoted_json(value: object) -> str:
    # such texts do not come twice: they are not for `quote` to remember
    return quote.__wrapped__(_compact(value))


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: quote,
    bool: _truth,
    object: _quoted_json,
    datetime: datetime.isoformat,
}
"""How values are written that are neither floats nor whole numbers."""


def _shortest(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    whole, point, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}" if point else text


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def format_time(moment: datetime) -> str:
    """Local time as every log line has it: `YYYY-MM-DD HH:MM:SS.mmm`."""
    return moment.isoformat(sep=" ", timespec="milliseconds")


def to_line(event: ExecutionEvent) -> str:
    """The event's line in a log: `[LEVEL] YYYY-MM-DD HH:MM:SS.mmm task=… thread=… type=… key=value …`."""
    if event.timestamp is None:
        raise ValueError("an event must be stamped before it is written")
    level = _LEVEL_NAMES.get(event.level) or logging.getLevelName(event.level)
    return f"[{level}] {format_time(event.timestamp)} {to_pairs(event)}"


def parse_line(line: str) -> ExecutionEvent | None:
    """The event of a log line; None for a line that is none. Raises BrokenLine for a damaged one."""
    head = _HEAD.match(line)
    if head is None:
        if _DAMAGED.match(line):
            raise BrokenLine("an event's line, cut or glued to another")
        return None
    try:
        pairs = parse_pairs(line[head.end() :].rstrip("\r\n"))
        cls = _event_class(pairs.pop("type"), LEVELS.get(head[1].strip("[]"), logging.INFO))
        values: dict[str, Any] = {"timestamp": datetime.fromisoformat(head[2])}
        for spec in event_fields(cls):
            if spec.name not in _NOT_PAIRS:
                # what is absent was None when it was written, whatever the field's default
                values[spec.name] = _read(spec.kind, pairs.pop(spec.name)) if spec.name in pairs else None
        return cls(**values, extra=dict(pairs))
    except Exception as error:  # an event class made elsewhere may stumble over values in its own ways
        raise BrokenLine(str(error)) from error


def _read(kind: type, text: str) -> Any:
    if kind is str:
        return text
    if kind is bool:
        return {"true": True, "false": False}[text]
    if kind is object:
        return json.loads(text)
    if kind is datetime:
        return datetime.fromisoformat(text)
    return kind(text)


def _unknown(name: str, level: int) -> type[ExecutionEvent]:
    known = _unknown_classes.get((name, level))
    if known is None:
        known = _unknown_classes[name, level] = _make_unknown(name, level)
    return known


def _make_unknown(name: str, level: int) -> type[ExecutionEvent]:
    body = {"type": name, "level": level}
    return new_class("UnknownEvent", (UnknownEvent,), {"registered": False}, lambda namespace: namespace.update(body))


def _event_class(name: str, level: int) -> type[ExecutionEvent]:
    return EVENT_TYPES.get(name) or _unknown(name, level)


def _checked(kind: type, value: Any) -> Any:
    """A JSON value as a field's; ValueError where it is of another kind."""
    if kind is object:
        return value
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, not {value!r}")
    return value


def to_dict(event: ExecutionEvent) -> dict[str, Any]:
    """The event as plain JSON values, with its type and its level's name; None is left out."""
    made: dict[str, Any] = {"type": event.type, "level": _LEVEL_NAMES.get(event.level, str(event.level))}
    if event.timestamp is not None:
        made["timestamp"] = event.timestamp.isoformat(timespec="milliseconds")
    for spec in event_fields(event.__class__):
        value = getattr(event, spec.name)
        if value is not None and spec.name not in _NOT_PAIRS:
            made[spec.name] = value.isoformat() if isinstance(value, datetime) else value
    return event.extra | made


def to_json(event: ExecutionEvent) -> str:
    """`to_dict` on one line."""
    return _compact(to_dict(event))


def from_json(text: str | bytes) -> ExecutionEvent:
    """The event that `to_json` wrote. Raises BrokenLine for anything else."""
    try:
        data = json.loads(text)
        cls = _event_class(_checked(str, data.pop("type")), LEVELS.get(data.pop("level", "INFO"), logging.INFO))
        values = {
            spec.name: _checked(spec.kind, data.pop(spec.name)) if spec.name in data else None
            for spec in event_fields(cls)
            if spec.name != "extra"
        }
        return cls(**values, extra=data)
    except Exception as error:  # as above
        raise BrokenLine(str(error)) from error
