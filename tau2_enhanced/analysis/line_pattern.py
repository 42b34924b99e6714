"""Patterns of event lines: what lines of one type that have the same keys in the same order have in common.

A pattern is made of one such line and the schema. It says which other lines fit it, and reads all of them at
once. It may refuse a line that is sound: about lines that fit no pattern `parse_line` has the last word.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import NamedTuple

import polars as pl

from tau2_enhanced.logging.events import (
    EVENT_LINE,
    EVENT_TYPES,
    HEAD_WORDS,
    PAIR,
    ExecutionEvent,
    event_fields,
    is_duration,
)
from tau2_enhanced.logging.logfmt import unquote

_DTYPES: dict[type, pl.DataType] = {
    int: pl.Int64(),
    float: pl.Float64(),
    bool: pl.Boolean(),
    datetime: pl.Datetime("ms"),
}
_NOT_COLUMNS = {"extra"}
_LEVEL, _DATE, _TIME = _HEAD = ("=level", "=date", "=time")
"""Names of columns that no key can have."""

_DURATION = r"[0-9]+(?:\.[0-9]+)?"
_STRICT: dict[pl.DataType, str] = {
    pl.Int64(): "-?[0-9]+",
    pl.Float64(): rf"-?{_DURATION}(?:e[+-]?[0-9]+)?",
    pl.Boolean(): "(?:true|false)",
}
_TEXT = "[!#-<>-~]+"
# what stands for bytes that are no UTF-8 must not stand for a value
_QUOTED_TEXT = r'(?:"(?:[^"\\\ufffd]|\\[^\ufffd])*"|[^\s"\ufffd]*)'


def column_types(kind: str) -> dict[str, pl.DataType]:
    """The columns of an event type's frame; JSON values and texts are strings."""
    specs = event_fields(EVENT_TYPES.get(kind, ExecutionEvent))
    return {"level": pl.String()} | {
        spec.name: _DTYPES.get(spec.kind, pl.String()) for spec in specs if spec.name not in _NOT_COLUMNS
    }


class LinePattern(NamedTuple):
    """Lines of one type with the same keys in the same order."""

    kind: str
    type_word: str
    """The type as it is written."""
    columns: dict[str, pl.DataType]
    """The keys, and what their values are read as."""

    def fits(self, lines: pl.Series, *, quoted: bool) -> pl.Series:
        """Which of the lines `read` can read: those that are plain ASCII without quotations, or any."""
        if not quoted and not re.fullmatch(_TEXT, self.type_word):
            return pl.Series([False]).new_from_index(0, lines.len())
        return lines.str.contains(self._expression(quoted=quoted))

    def read(self, lines: pl.Series, *, quoted: bool) -> tuple[pl.DataFrame, pl.Series | None]:
        """The values of lines that fit, and whether all of a line's values can be believed; None where all can."""
        words = self._quoted_words(lines) if quoted else self._plain_words(lines)
        found = words.select(self._values()).collect()
        # a sum is no number where a part of it is none
        if not any(column.null_count() or not math.isfinite(_sum(column)) for column in found.iter_columns()):
            return found, None
        known = pl.all_horizontal(pl.all().is_not_null(), pl.col(pl.Float64).is_finite())
        return found, found.select(known.alias("sound")).to_series()

    def _expression(self, *, quoted: bool, group: str = "(?:{})") -> str:
        words = [group.format(word) for word in HEAD_WORDS]
        for key, dtype in self.columns.items():
            value = _STRICT.get(dtype, _QUOTED_TEXT if quoted else _TEXT)
            if dtype == pl.Float64() and is_duration(key):
                value = _DURATION
            written = pl.escape_regex(self.type_word) if key == "type" else group.format(value)
            words.append(f"{pl.escape_regex(key)}={written}")
        # without the tables of Unicode a plain line is looked through in two thirds of the time
        return f"{'' if quoted else '(?-u)'}^{' '.join(words)}$"

    def _plain_words(self, lines: pl.Series) -> pl.LazyFrame:
        # with a blank in place of each "=", lines are rows of keys and values, and a fast reader's food
        text = lines.str.join("\n").cast(pl.Binary()).item().replace(b"=", b" ")
        names = [*_HEAD, *(name for key in self.columns for name in (f"={key}=", key))]
        schema = {name: self.columns.get(name, pl.String()) for name in names}
        return pl.scan_csv(
            text,
            has_header=False,
            separator=" ",
            quote_char=None,
            schema={name: dtype if dtype in _STRICT else pl.String() for name, dtype in schema.items()},
            ignore_errors=True,
        )

    def _quoted_words(self, lines: pl.Series) -> pl.LazyFrame:
        words = lines.str.extract_groups(self._expression(quoted=True, group="({})")).struct.unnest()
        names = [*_HEAD, *(key for key in self.columns if key != "type")]
        return pl.DataFrame(
            _cast(_unquoted_all(column), self.columns.get(name, pl.String())).alias(name)
            for name, column in zip(names, words.iter_columns(), strict=True)
        ).lazy()

    def _values(self) -> list[pl.Expr]:
        """The columns of a frame, out of the words of lines."""
        date = pl.col(_DATE).str.to_date("%Y-%m-%d", strict=False)
        time = pl.col(_TIME).str.to_time("%H:%M:%S%.3f", strict=False, cache=False)
        columns = [
            pl.col(_LEVEL).str.slice(1, pl.col(_LEVEL).str.len_bytes() - 2).alias("level"),
            date.dt.combine(time, "ms").alias("timestamp"),
        ]
        for name, dtype in self.columns.items():
            if name != "type":
                is_moment = dtype == pl.Datetime("ms")
                columns.append(
                    pl.col(name).str.to_datetime(time_unit="ms", strict=False) if is_moment else pl.col(name)
                )
        return columns


def pattern_of(line: str) -> LinePattern | None:
    """The pattern of an event line; None where it does not read as one or names a key twice."""
    if not re.match(EVENT_LINE, line):
        return None
    rest = line.split(" ", len(HEAD_WORDS))[-1]
    pairs = re.findall(PAIR, rest)
    written = dict(pair.split("=", 1) for pair in pairs)
    kind = unquoted(written["type"]) if "type" in written else None
    if " ".join(pairs) != rest or len(written) != len(pairs) or {"level", "timestamp"} & set(written) or kind is None:
        return None
    types = column_types(kind)
    return LinePattern(kind, written["type"], {key: types.get(key, pl.String()) for key in written})


def _sum(column: pl.Series) -> float:
    return float(column.sum()) if column.dtype.is_float() else 0.0


def unquoted(text: str) -> str | None:
    """A value as it was before it was written; None for a broken quotation."""
    try:
        return unquote(text)
    except ValueError:
        return None


def _unquoted_all(column: pl.Series) -> pl.Series:
    """The values without quotations, each different one decoded once."""
    quoted = column.filter(column.str.starts_with('"')).unique().to_list()
    return column.replace(quoted, [_decoded(text) for text in quoted]) if quoted else column


def _decoded(text: str) -> str | None:
    value = unquoted(text)
    return value if value is None else escaped(value)


def escaped(text: str) -> str:
    """A text with half characters, which no column can hold, as logs show them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Boolean():
        return column == "true"
    return column.cast(dtype, strict=False) if dtype in _STRICT else column
