"""The vectorised reader of event lines: text in, one typed frame for each event type out.

Lines of one type mostly have the same keys in the same order. The first line still unread gives a pattern;
every line that fits it is read at once, column by column, and its values are typed by the schema. Whatever
fits no pattern goes, line by line, through the schema's own `parse_line`.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson
import polars as pl

from tau2_enhanced.analysis.line_pattern import column_types, escaped, pattern_of
from tau2_enhanced.logging.events import (
    CUT_LINE,
    EVENT_LINE,
    GLUED_LINE,
    BrokenLine,
    ExecutionEvent,
    event_fields,
    is_duration,
    parse_line,
    to_dict,
)

__all__ = ["Lines", "believed", "column_types", "json_column", "read_events", "read_lines", "read_pieces"]

_TYPE = " type="
_NOT_IN_LINES = b"\x01"
_QUOTATION = b'"'
_UNUSUAL = [_NOT_IN_LINES, *(bytes([code]) for code in (9, 11, 12, 13, 28, 29, 30, 31))]
"""White space beside blanks and ends of lines, and what no line keeps."""
_NOT_PLAIN = r'["\ufffd\x1c-\x1f]|[^\S ]'
_STRETCH = 2**17
_TYPES = 64
_PATTERNS_PER_TYPE = 16
_SHOWN_BROKEN = 5
_SHOWN_LENGTH = 160
_INTEGERS = range(-(2**63), 2**63)
"""What a column of whole numbers can hold."""


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
    doubled: int = 0
    """Events left out because an earlier file has them."""

    def add(self, kind: str, frame: pl.DataFrame) -> None:
        self.frames.setdefault(kind, []).append(frame)

    def join(self, later: Lines) -> None:
        """Add what was read of the text that follows."""
        for kind, frames in later.frames.items():
            self.frames.setdefault(kind, []).extend(frames)
        self.broken += later.broken
        self.broken_examples += later.broken_examples[: _SHOWN_BROKEN - len(self.broken_examples)]
        self.general += later.general
        self.doubled += later.doubled

    def add_broken(self, line: str, why: str) -> None:
        self.broken += 1
        if len(self.broken_examples) < _SHOWN_BROKEN:
            shown = line if len(line) <= _SHOWN_LENGTH else line[:_SHOWN_LENGTH] + "…"
            self.broken_examples.append(f"{why}: {shown}")


def read_pieces(pieces: Iterable[bytes], into: Lines) -> None:
    """Read pieces of text as `read_lines` does, several at a time; they stay in order."""
    # more than cores, so that none is idle while pieces wait for the interpreter or for memory
    workers = 2 * pl.thread_pool_size()
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Lines]] = deque()
        for piece in pieces:
            waiting.append(pool.submit(_read_piece, piece))
            if len(waiting) > workers:
                into.join(waiting.popleft().result())
        for read in waiting:
            into.join(read.result())


def _read_piece(text: bytes) -> Lines:
    lines = Lines()
    read_lines(text, lines)
    return lines


def read_lines(text: bytes, into: Lines) -> None:
    """Read all event lines of `text`. Other lines are passed over; broken ones are counted."""
    plain, others = _by_plainness(_lines(text), text)
    left = pl.concat([_read_by_type(plain, into, quoted=False), others])
    left = left.filter(left.str.contains(f"{EVENT_LINE}|{CUT_LINE}|{GLUED_LINE}"))
    _read_one_by_one(_read_by_type(left, into, quoted=True), into)


def _by_plainness(lines: pl.Series, text: bytes) -> tuple[pl.Series, pl.Series]:
    """The lines of a text whose words are what stands between blanks, and those that may have other words."""
    is_simple = text.isascii() and not _holds(text, _UNUSUAL)
    if is_simple and _QUOTATION not in text:
        return lines, lines.clear()
    others = lines.str.contains(_QUOTATION.decode() if is_simple else _NOT_PLAIN)
    return lines.filter(~others), lines.filter(others)


def _holds(text: bytes, characters: Sequence[bytes]) -> bool:
    # one stretch after the other, so that each comes from memory once
    return any(
        text.find(character, start, start + _STRETCH) >= 0
        for start in range(0, len(text), _STRETCH)
        for character in characters
    )


def _read_by_type(lines: pl.Series, into: Lines, *, quoted: bool) -> pl.Series:
    """Read the lines that fit patterns; those that don't."""
    left = []
    for _ in range(_TYPES):
        if not lines.len():
            break
        # from the middle, since frequent types are best read first
        line = lines[lines.len() // 2]
        if _TYPE not in line:
            # every event's line has a type, so these are none, or not whole
            typed = lines.str.contains(_TYPE, literal=True)
            left.append(lines.filter(~typed & lines.str.contains(CUT_LINE)))
            lines = lines.filter(typed)
            continue
        # a word that begins so is enough here: patterns tell types apart
        same = lines.str.contains(_TYPE + line.partition(_TYPE)[2].partition(" ")[0], literal=True)
        left += _read_type(lines.filter(same), into, quoted=quoted)
        lines = lines.filter(~same)
    return pl.concat([*left, lines])


def _read_type(lines: pl.Series, into: Lines, *, quoted: bool) -> list[pl.Series]:
    left = []
    for _ in range(_PATTERNS_PER_TYPE):
        if not lines.len():
            break
        pattern = pattern_of(lines[0])
        words = pattern.words(lines, quoted=quoted) if pattern else None
        if pattern is None or words is None or not words.fits[0]:
            left.append(lines[:1])
            lines = lines[1:]
            continue
        own, lines = lines.filter(words.fits), lines.filter(~words.fits)
        frame, sound = pattern.values(words)
        if not sound.all():
            left.append(own.filter(~sound))
            frame = frame.filter(sound)
        if frame.height:
            into.add(pattern.kind, frame)
    return [*left, lines]


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
        return json_column(name, values)
    return pl.Series(name, values, dtype=kind)


def json_column(name: str, values: list[Any]) -> pl.Series:
    """A column of texts: values that are none as their JSON."""
    texts = [value if value is None or isinstance(value, str) else _json(value) for value in values]
    try:
        return pl.Series(name, texts, dtype=pl.String())
    except UnicodeEncodeError:  # half characters, which are shown as logs show them
        shown = [text and escaped(text) for text in texts]
        return pl.Series(escaped(name), shown, dtype=pl.String())


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # numbers beyond 64 bits, half characters, and what only a subclass's field can hold
        return json.dumps(value, separators=(",", ":"), default=str)


def _lines(text: bytes) -> pl.Series:
    if not text or text.isspace():
        return pl.Series("line", [], dtype=pl.String())
    # a character that no event line holds, so that each line is one column; what holds it is no event
    text = text.replace(_NOT_IN_LINES, b"\xff") if _NOT_IN_LINES in text else text
    lines = pl.read_csv(
        text,
        has_header=False,
        separator=_NOT_IN_LINES.decode(),
        quote_char=None,
        schema={"line": pl.String()},
        encoding="utf8" if text.isascii() else "utf8-lossy",
        truncate_ragged_lines=True,
    )["line"].drop_nulls()
    return lines.str.strip_chars_end("\r") if b"\r" in text else lines


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
        if isinstance(value, float) and (not math.isfinite(value) or (is_duration(spec.name) and value < 0)):
            raise BrokenLine(f"{spec.name}={value} is no measurement")
        if isinstance(value, int) and value not in _INTEGERS:
            raise BrokenLine(f"{spec.name}={value} is beyond 64 bits")
        if isinstance(value, str) and "\ufffd" in value:
            raise BrokenLine(f"{spec.name} holds bytes that are no UTF-8")
    return event
