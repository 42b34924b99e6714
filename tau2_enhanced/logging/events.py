"""The one schema of what is recorded.

An event is a dataclass. A log line is one view of it (`to_line`), JSON another (`to_json`); each reads
back to an equal event (`parse_line`, `from_json`). Nothing else in the project spells a field's name.

A field's type decides how its text is read; its metadata holds the unit and, for floats, how many
digits are kept. Units stand at the end of names: `_ms` milliseconds, `_usd` US dollars, `_size` bytes.
Durations always carry a decimal point, so `grep -oP "duration_ms=\\d+\\.\\d+"` finds each of them.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import partial
from types import UnionType, new_class
from typing import Any, ClassVar, NamedTuple, Union, get_args, get_origin, get_type_hints

from tau2_enhanced.logging.context import TaskContext
from tau2_enhanced.logging.levels import LEVELS, PROFILE, USER_JUDGE
from tau2_enhanced.logging.logfmt import parse_pairs, quote


def ms(**options: Any) -> Any:
    """A field in milliseconds, kept to the microsecond."""
    return field(metadata={"unit": "ms", "digits": 3}, **options)


def usd(**options: Any) -> Any:
    """A field in US dollars. Unknown is None and left out, never 0."""
    return field(metadata={"unit": "USD", "digits": 10}, **options)


def size(**options: Any) -> Any:
    """A field in bytes of JSON text."""
    return field(metadata={"unit": "bytes"}, **options)


class BrokenLine(ValueError):
    """A line that begins as an event does, and is none: cut, glued or not of the schema."""


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
    start_ms: float | None = ms(default=None)
    """When the event began, since the run's start (monotonic, continuing after a resume)."""
    source: str | None = None
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
            self.thread = threading.current_thread().name
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

    def __str__(self) -> str:
        return to_pairs(self)


@dataclass
class UnknownEvent(ExecutionEvent, registered=False):
    """An event of a type that this process does not know; its fields are in `extra`."""


@dataclass
class ModelCallEvent(ExecutionEvent):
    """One answered or failed call of a model. Times leave out everything before the last attempt."""

    type: ClassVar[str] = "model_call"
    level: ClassVar[int] = PROFILE

    model: str | None = None
    call_type: str | None = None
    """The backend: openai, vllm, claude, gold, or litellm's name of a provider."""
    duration_ms: float | None = ms(default=None)
    """Wall-clock time of the attempt that succeeded (of the last one, if none did)."""
    ttft_ms: float | None = ms(default=None)
    """From sending the request to the first token, as the client sees it."""
    decode_ms: float | None = ms(default=None)
    """From the first token to the last."""
    has_tool_calls: bool | None = None
    input_tokens: int | None = None
    """Tokens of the prompt, cached ones included."""
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of `input_tokens` that the provider read from its cache."""
    cost_usd: float | None = usd(default=None)
    attempts: int | None = None
    retry_wait_ms: float | None = ms(default=None)
    """From the start of the first attempt to the start of the last: failed attempts and waits."""
    error_type: str | None = None


@dataclass
class LLMCallEvent(ModelCallEvent):
    """The agent asked its model."""

    type: ClassVar[str] = "llm_call"


@dataclass
class ExpertCallEvent(ModelCallEvent):
    """The agent asked an expert model, as a tool."""

    type: ClassVar[str] = "expert_call"

    expert: str | None = None


@dataclass
class UserSimEvent(ModelCallEvent):
    """The user simulator asked its model."""

    type: ClassVar[str] = "user_sim"
    level: ClassVar[int] = USER_JUDGE


@dataclass
class EvaluatorEvent(ModelCallEvent):
    """The judge was asked about a trajectory."""

    type: ClassVar[str] = "evaluator"
    level: ClassVar[int] = USER_JUDGE


@dataclass
class ToolCallEvent(ExecutionEvent):
    """A tool of the domain ran in a live simulation."""

    type: ClassVar[str] = "tool_call"
    level: ClassVar[int] = PROFILE

    function: str | None = None
    call_type: str | None = "local_function"
    duration_ms: float | None = ms(default=None)
    error: bool | None = None
    """The tool raised; the participant was told so."""
    error_type: str | None = None
    """Class of what it raised."""
    requestor: str | None = None
    """Who called: assistant or user."""
    tool_call_id: str | None = None
    args_size: int | None = size(default=None)
    result_size: int | None = size(default=None)


@dataclass
class StepCompleteEvent(ExecutionEvent):
    """A participant's turn ended: its model call and the tool calls it made."""

    type: ClassVar[str] = "step_complete"
    level: ClassVar[int] = PROFILE

    total_duration_ms: float | None = ms(default=None)
    from_role: str | None = None
    """Who took the step: agent or user."""
    to_role: str | None = None
    """Who was addressed: env where tools were called, else user or agent."""


@dataclass
class RunStartEvent(ExecutionEvent):
    """A run began, or went on after a stop."""

    type: ClassVar[str] = "run_start"

    agent_model: str | None = None
    user_model: str | None = None
    judge_model: str | None = None
    planned: int | None = None
    """Simulations of the whole plan."""
    finished: int | None = None
    """Those of them that an earlier part of this run finished."""
    max_concurrency: int | None = None
    resumed: bool | None = None
    tau2_version: str | None = None


@dataclass
class TaskStartEvent(ExecutionEvent):
    """A simulation began."""

    type: ClassVar[str] = "task_start"

    seed: int | None = None


@dataclass
class HeartbeatEvent(ExecutionEvent):
    """A simulation is still running: how it is, seen from outside. No sign of life of its own."""

    type: ClassVar[str] = "heartbeat"

    age_ms: float | None = ms(default=None)
    """Since the simulation's last event."""
    running_ms: float | None = ms(default=None)
    waiting_for: str | None = None
    """In words: a model, a tool, the evaluator; absent while it works."""
    waiting_ms: float | None = ms(default=None)
    last_error: str | None = None


@dataclass
class TaskCompleteEvent(ExecutionEvent):
    """A simulation ended, with a verdict or without."""

    type: ClassVar[str] = "task_complete"

    reward: float | None = field(default=None, metadata={"digits": 6})
    """Absent where there is no verdict."""
    termination_reason: str | None = None
    duration_ms: float | None = ms(default=None)
    cost_usd: float | None = usd(default=None)
    agent_cost_usd: float | None = usd(default=None)
    user_cost_usd: float | None = usd(default=None)
    judge_cost_usd: float | None = usd(default=None)
    steps: int | None = None
    error_type: str | None = None
    """Why there is no verdict, or which failure of the model ended it."""


@dataclass
class RunCompleteEvent(ExecutionEvent):
    """A run ended: finished, stopped or out of money."""

    type: ClassVar[str] = "run_complete"

    duration_ms: float | None = ms(default=None)
    planned: int | None = None
    finished: int | None = None
    """Simulations with a verdict."""
    cost_usd: float | None = usd(default=None)
    exit_code: int | None = None


class _Pair(NamedTuple):
    """How an attribute of an event stands on its line."""

    name: str
    key: str
    """The name and the equals sign."""
    text: Callable[[Any], str]


class _Schema(NamedTuple):
    fields: tuple[FieldSpec, ...]
    rounded: tuple[tuple[str, int], ...]
    """Names of floats, and how many digits of them are kept."""
    pairs: tuple[_Pair, ...]
    """What stands on a line, `type` included."""


_schemas: dict[type[ExecutionEvent], _Schema] = {}
_unknown_classes: dict[tuple[str, int], type[ExecutionEvent]] = {}

_CLASSIFIED = {str, int, float, bool, datetime}
_LINE_HEAD = ("task", "thread")
_ENVELOPE = tuple(f.name for f in fields(ExecutionEvent))
_NOT_PAIRS = {"timestamp", "extra"}
_LEVEL_NAMES = {value: name for name, value in LEVELS.items()}
PAIR = r'[^\s="]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
"""A regular expression for one `key=value` of a line."""
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|\S*)'
_WHEN = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
EVENT_LINE = rf"^\[[A-Z_]+\] {_WHEN} (?:task={_VALUE} )?(?:thread={_VALUE} )?type="
"""A regular expression for the beginning of every line that is an event."""
_HEAD = re.compile(rf"\[([A-Z_]+)\] ({_WHEN}) (?=(?:task={_VALUE} )?(?:thread={_VALUE} )?type=)")
_NOT_IN_KEYS = re.compile(r'[\s="\x00-\x1f\x7f-\xa0\ud800-\udfff]+')


def event_fields(cls: type[ExecutionEvent]) -> tuple[FieldSpec, ...]:
    """The fields of an event class in the order of its log line."""
    return _schema(cls).fields


def _schema(cls: type[ExecutionEvent]) -> _Schema:
    known = _schemas.get(cls)
    if known is None:
        ordered = _ordered_fields(cls)
        rounded = tuple((spec.name, spec.digits) for spec in ordered if spec.digits is not None)
        known = _schemas[cls] = _Schema(ordered, rounded, tuple(_pairs(ordered)))
    return known


def _pairs(ordered: Iterable[FieldSpec]) -> Iterator[_Pair]:
    for spec in ordered:
        if spec.name not in _NOT_PAIRS:
            yield _Pair(spec.name, f"{spec.name}=", _text_of(spec))
        if spec.name == "thread":
            yield _Pair("type", "type=", quote)


def _text_of(spec: FieldSpec) -> Callable[[Any], str]:
    """How a field's values are written."""
    if spec.kind is float:
        return _plain_float if spec.digits is None else partial(_fixed, digits=spec.digits)
    return _TEXTS.get(spec.kind, str)


def _ordered_fields(cls: type[ExecutionEvent]) -> tuple[FieldSpec, ...]:
    hints = get_type_hints(cls)
    specs = {f.name: FieldSpec(f.name, _kind(hints[f.name]), f.metadata.get("digits")) for f in fields(cls)}
    own = [name for name in specs if name not in _ENVELOPE]
    tail = [name for name in _ENVELOPE if name not in _LINE_HEAD]
    return tuple(specs[name] for name in (*_LINE_HEAD, *own, *tail))


def _kind(hint: Any) -> type:
    members = [m for m in get_args(hint) if m is not type(None)] if get_origin(hint) in (Union, UnionType) else [hint]
    return members[0] if len(members) == 1 and members[0] in _CLASSIFIED else object


def to_pairs(event: ExecutionEvent) -> str:
    """`task=… thread=… type=… key=value …`, without level and time."""
    parts = []
    for name, key, text in _schema(event.__class__).pairs:
        value = getattr(event, name)
        if value is not None:
            parts.append(key + text(value))
    for name, value in event.extra.items():
        key = _NOT_IN_KEYS.sub("_", name) or "_"
        parts.append(f"{key}={quote(value if isinstance(value, str) else _compact(value))}")
    return " ".join(parts)


def _plain_float(value: float) -> str:
    return repr(float(value))


def _truth(value: object) -> str:
    return "true" if value else "false"


def _quoted_json(value: object) -> str:
    return quote(_compact(value))


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: quote,
    bool: _truth,
    object: _quoted_json,
    datetime: datetime.isoformat,
}
"""How values are written that are neither floats nor whole numbers."""


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if digits <= 3 or "." not in text:
        return text
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


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
        return None
    try:
        pairs = parse_pairs(line[head.end() :].rstrip("\r\n"))
        cls = _event_class(pairs.pop("type"), LEVELS.get(head[1], logging.INFO))
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
