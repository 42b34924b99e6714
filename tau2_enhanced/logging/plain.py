"""Any Python value as plain JSON, and JSON as one canonical text."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

JSON = Any
"""None, bool, int, float, str, and lists and dicts (with text keys) of these."""

DEEPEST = 60
"""What is nested deeper, or holds itself, ends in `…`."""


def plain(value: object) -> JSON:
    """`value` as JSON that shares no list or dict with it.

    Pydantic models and dataclasses become objects, times ISO 8601, sets sorted lists, bytes their number.
    Numbers that JSON lacks become their names, -0.0 becomes 0.0. Anything else is its text, or the name of
    its class where it has none.
    """
    return _plain(value, ())


def _plain(value: object, around: tuple[int, ...]) -> JSON:
    """`around` holds the ids of the values that this one stands in."""
    if isinstance(value, Enum):
        return _plain(value.value, around)
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return float(value) + 0.0 if math.isfinite(value) else str(float(value))
    if len(around) > DEEPEST or id(value) in around:
        return "…"
    around = (*around, id(value))
    if isinstance(value, dict | Mapping):
        return {str(key): _plain(inner, around) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, around) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(inner, around) for inner in value), key=canonical)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    try:
        return _plain_object(value, around)
    except Exception:  # what an object does when it is asked is its own, and must not end who logs it
        return f"<{type(value).__name__}>"


def _plain_object(value: object, around: tuple[int, ...]) -> JSON:
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return _plain(dump(mode="json"), around)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), around) for f in dataclasses.fields(value)}
    moment = getattr(value, "isoformat", None)
    if callable(moment):
        return str(moment())
    if isinstance(value, Iterable) and not hasattr(value, "__next__"):
        return [_plain(inner, around) for inner in value]
    return str(value)


def compact(value: object) -> str:
    """A value as JSON without blanks; what JSON lacks as its text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def canonical(value: JSON) -> str:
    """The one JSON text of a value: without blanks, keys sorted. Equal values have equal texts."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def json_size(value: JSON) -> int:
    """Bytes of the value's compact JSON in UTF-8."""
    return len(compact(value).encode("utf-8", "surrogatepass"))


def pointer(tokens: Iterable[str | int]) -> str:
    """The RFC 6901 pointer of a place: `/users/a~1b/0`; empty for the whole."""
    return "".join(f"/{str(token).replace('~', '~0').replace('/', '~1')}" for token in tokens)


def tokens_of(text: str) -> list[str]:
    """The parts of an RFC 6901 pointer. Raises ValueError where it is none."""
    if text and not text.startswith("/"):
        raise ValueError(f"not a JSON pointer: {text!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]
