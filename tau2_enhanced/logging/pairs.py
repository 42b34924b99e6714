"""How an event's fields stand on its line: `key=value …`, in the order of its class.

Each class has a function of its own for it, made from the schema as `dataclasses` makes `__init__`: every event of
a run is written by one, and a loop over the fields takes twice as long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from tau2_enhanced.logging.logfmt import quote
from tau2_enhanced.logging.plain import compact
from tau2_enhanced.logging.schema import EVENT_TYPES, ExecutionEvent, FieldSpec, event_fields

Add = Callable[[str], None]
"""Takes one `key=value`."""

NOT_PAIRS = {"timestamp", "extra"}
"""Fields that are not written as pairs of their own."""

_writers: dict[type[ExecutionEvent], Callable[[ExecutionEvent, Add], None]] = {}
_NOT_IN_KEYS = re.compile(r'[\s="\x00-\x1f\x7f-\xa0\ud800-\udfff]+')


def to_pairs(event: ExecutionEvent) -> str:
    """`task=… thread=… type=… key=value …`, without level and time."""
    parts: list[str] = []
    write = _writers.get(event.__class__) or _writer_of(event.__class__)
    write(event, parts.append)
    if event.extra:
        for name, value in event.extra.items():
            key = _NOT_IN_KEYS.sub("_", name) or "_"
            parts.append(f"{key}={quote(value if isinstance(value, str) else compact(value))}")
    return " ".join(parts)


def prepare_writers() -> None:
    """Make the functions of all known classes, so that the first event of each need not wait for its own."""
    for cls in tuple(EVENT_TYPES.values()):
        with suppress(Exception):  # what is wrong with a class is for its first event to find out
            _writer_of(cls)


def _writer_of(cls: type[ExecutionEvent]) -> Callable[[ExecutionEvent, Add], None]:
    names: dict[str, Any] = {"quote": quote}
    source = ["def write(event, add):"]
    for spec in event_fields(cls):
        if spec.name not in NOT_PAIRS | {"type"}:
            source += [f" value = event.{spec.name}", f" if value is not None: add({_pair_of(spec, names)})"]
        if spec.name == "thread":
            # a class may have made a field of it
            source.append(' if event.type is not None: add("type=" + quote(event.type))')
    exec("\n".join(source), names)
    write: Callable[[ExecutionEvent, Add], None] = names["write"]
    _writers[cls] = write
    return write


def _pair_of(spec: FieldSpec, names: dict[str, Any]) -> str:
    """An expression for what is written of a `value`; what it needs is put into `names`."""
    if spec.kind is int:
        return f'f"{spec.name}={{value!s}}"'
    if spec.kind is bool:
        return f'"{spec.name}=true" if value else "{spec.name}=false"'
    if spec.kind is str:
        return f'"{spec.name}=" + quote(value)'
    if spec.kind is float and spec.digits is not None and spec.digits <= 3:
        return f'f"{spec.name}={{value:.{spec.digits}f}}"'
    names[f"text_of_{spec.name}"] = _text_of(spec)
    return f'"{spec.name}=" + text_of_{spec.name}(value)'


def _text_of(spec: FieldSpec) -> Callable[[Any], str]:
    if spec.kind is datetime:
        return datetime.isoformat
    if spec.kind is float:
        return _plain_float if spec.digits is None else partial(_shortest, digits=spec.digits)
    return _quoted_json


def _plain_float(value: float) -> str:
    return repr(float(value))


def _shortest(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    whole, point, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}" if point else text


def _quoted_json(value: object) -> str:
    # such texts do not come twice: they are not for `quote` to remember
    return quote.__wrapped__(compact(value))
