"""The views of an event: a log line (`to_line`) and JSON (`to_json`).

Each reads back to an equal event (`parse_line`, `from_json`). Durations always carry a decimal point,
so `grep -oP "duration_ms=\\d+\\.\\d+"` finds each of them.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from datetime import datetime
from types import new_class
from typing import Any

from tau2_enhanced.logging.levels import LEVELS
from tau2_enhanced.logging.logfmt import parse_pairs
from tau2_enhanced.logging.pairs import NOT_PAIRS, to_pairs
from tau2_enhanced.logging.plain import compact
from tau2_enhanced.logging.schema import EVENT_TYPES, ExecutionEvent, event_fields


class BrokenLine(ValueError):
    """A line that begins as an event does, and is none: cut, glued or not of the schema."""


@dataclass
class UnknownEvent(ExecutionEvent, registered=False):
    """An event of a type that this process does not know; its fields are in `extra`."""


_unknown_classes: dict[tuple[str, int], type[ExecutionEvent]] = {}

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


def format_time(moment: datetime) -> str:
    """Local time as every log line has it: `YYYY-MM-DD HH:MM:SS.mmm`."""
    return moment.isoformat(" ", "milliseconds")


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
            if spec.name not in NOT_PAIRS:
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
        if value is not None and spec.name not in NOT_PAIRS:
            made[spec.name] = value.isoformat() if isinstance(value, datetime) else value
    return event.extra | made


def to_json(event: ExecutionEvent) -> str:
    """`to_dict` on one line."""
    return compact(to_dict(event))


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
