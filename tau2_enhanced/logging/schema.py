"""What an event is: the envelope that all events share, and what a view needs to know of their fields.

A field's type decides how its text is read; its metadata holds the unit and, for floats, how many
digits are kept. Units stand at the end of names: `_ms` milliseconds, `_usd` US dollars, `_size` and
`_size_bytes` bytes. One name is older than this rule and kept for its readers: `execution_time`, in seconds.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import UnionType
from typing import Any, ClassVar, NamedTuple, Union, get_args, get_origin, get_type_hints

from tau2_enhanced.logging.context import TaskContext


def ms(**options: Any) -> Any:
    """A field in milliseconds, kept to the microsecond."""
    return field(metadata={"unit": "ms", "digits": 3}, **options)


def seconds(**options: Any) -> Any:
    """A field in seconds, kept to the nanosecond: durations are in `_ms` elsewhere."""
    return field(metadata={"unit": "s", "digits": 9}, **options)


def score(**options: Any) -> Any:
    """A field from 0 to 1."""
    return field(metadata={"digits": 4}, **options)


def usd(**options: Any) -> Any:
    """A field in US dollars. Unknown is None and left out, never 0."""
    return field(metadata={"unit": "USD", "digits": 10}, **options)


def size(**options: Any) -> Any:
    """A field in bytes of JSON text."""
    return field(metadata={"unit": "bytes"}, **options)


def is_duration(name: str) -> bool:
    """Whether a field holds a length of time in ms, never below 0; `start_ms` may be before the clock's beginning."""
    return name.endswith("_ms") and name != "start_ms"


class FieldSpec(NamedTuple):
    """What a view needs to know of a field: `kind` is str, int, float, bool, datetime or object (JSON)."""

    name: str
    kind: type
    digits: int | None


EVENT_TYPES: dict[str, type[ExecutionEvent]] = {}
"""Every event class by its type's name, subclasses made elsewhere included."""


@dataclass
class ExecutionEvent:
    """One thing that happened, and to which simulation. Fields that don't apply are None and left out.

    Subclass it for an event of your own: a dataclass whose fields all have defaults. Its type is the
    class's name in snake case without `Event`, unless `type` says otherwise.
    """

    type: ClassVar[str] = "execution"
    level: ClassVar[int] = logging.INFO

    timestamp: datetime | None = None
    """Wall-clock time at which the event ended: local, kept to the millisecond."""
    thread: str | None = None
    run: str | None = None
    sim: str | None = None
    """The simulation's id, unique for each attempt at a task's trial."""
    domain: str | None = None
    task: str | None = None
    trial: int | None = None
    step: int | None = None
    """Index of the participant's turn within the simulation, from 0."""
    phase: str | None = None
    """In whose environment: live, or one of the evaluator's, replay and gold. Live where it is left out."""
    start_ms: float | None = ms(default=None)
    """When the event began, since the run's start (monotonic, continuing after a resume)."""
    source: str | None = None
    """What told of the event, where that is not the run itself: `tool:NAME`, `tau2_results`."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What a file held beyond this schema's fields."""

    def __init_subclass__(cls, registered: bool = True) -> None:
        if "type" not in cls.__dict__:
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__.removesuffix("Event"))
            cls.type = words.lower()
        if registered:
            EVENT_TYPES[cls.type] = cls

    def __post_init__(self) -> None:
        if self.timestamp is not None:
            self.timestamp = self.timestamp.replace(microsecond=self.timestamp.microsecond // 1000 * 1000)
        for name, digits in (_schemas.get(self.__class__) or _schema(self.__class__)).rounded:
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, round(float(value), digits))

    def stamp(self, context: TaskContext) -> None:
        """Fill in what was not given: the time, the thread, and the simulation of `context`."""
        if self.timestamp is None:
            self.timestamp = datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000)
        if self.thread is None:
            is_worker = context.thread_id == threading.get_ident()
            self.thread = (context.thread if is_worker else None) or threading.current_thread().name
        # each by its name: a loop over names takes three times as long, in every thread that records
        if self.run is None:
            self.run = context.run
        if self.sim is None:
            self.sim = context.sim
        if self.domain is None:
            self.domain = context.domain
        if self.task is None:
            self.task = context.task
        if self.trial is None:
            self.trial = context.trial
        if self.step is None:
            self.step = context.step
        now_ms = context.clock.ms()
        if self.start_ms is None:
            took_ms = getattr(self, "duration_ms", None) or getattr(self, "total_duration_ms", None) or 0.0
            self.start_ms = round(now_ms - took_ms, 3)
        context.last_event_ms = now_ms

    @property
    def is_stamped(self) -> bool:
        """Whether it has all that `stamp` gives an event of a simulation."""
        return not (self.timestamp is None or self.thread is None or self.start_ms is None or self.sim is None)

    def check(self) -> None:
        """Raise TypeError where a field is not of its kind, so that nobody could read the event back.

        Numbers that are none, or without an end, become None: they are not known.
        """
        for spec in event_fields(self.__class__):
            value = getattr(self, spec.name)
            if value is None:
                # what a file holds under the field's name is the field's when it is read
                value = self.extra.get(spec.name)
            if value is None or spec.kind is object:
                continue
            allowed = (int, float) if spec.kind is float else spec.kind
            if not isinstance(value, allowed) or (isinstance(value, bool) and spec.kind is not bool):
                raise TypeError(
                    f"{self.type}: {spec.name} must be {spec.kind.__name__}, not {value.__class__.__name__}"
                )
            if isinstance(value, float) and not math.isfinite(value):
                setattr(self, spec.name, None)
                self.extra.pop(spec.name, None)

    def __str__(self) -> str:
        from tau2_enhanced.logging.pairs import to_pairs  # a view of what is defined here

        return to_pairs(self)


class _Schema(NamedTuple):
    fields: tuple[FieldSpec, ...]
    rounded: tuple[tuple[str, int], ...]
    """Names of floats, and how many digits of them are kept."""


_schemas: dict[type[ExecutionEvent], _Schema] = {}

_CLASSIFIED = {str, int, float, bool, datetime}
_LINE_HEAD = ("task", "thread")
_ENVELOPE = tuple(f.name for f in fields(ExecutionEvent))


def event_fields(cls: type[ExecutionEvent]) -> tuple[FieldSpec, ...]:
    """The fields of an event class in the order of its log line."""
    return _schema(cls).fields


def _schema(cls: type[ExecutionEvent]) -> _Schema:
    known = _schemas.get(cls)
    if known is None:
        ordered = _ordered_fields(cls)
        rounded = tuple((spec.name, spec.digits) for spec in ordered if spec.digits is not None)
        known = _schemas[cls] = _Schema(ordered, rounded)
    return known


def _ordered_fields(cls: type[ExecutionEvent]) -> tuple[FieldSpec, ...]:
    hints = get_type_hints(cls)
    specs = {f.name: FieldSpec(f.name, _kind(hints[f.name]), f.metadata.get("digits")) for f in fields(cls)}
    own = [name for name in specs if name not in _ENVELOPE]
    tail = [name for name in _ENVELOPE if name not in _LINE_HEAD]
    return tuple(specs[name] for name in (*_LINE_HEAD, *own, *tail))


def _kind(hint: Any) -> type:
    members = [m for m in get_args(hint) if m is not type(None)] if get_origin(hint) in (Union, UnionType) else [hint]
    return members[0] if len(members) == 1 and members[0] in _CLASSIFIED else object
