"""Patterns of event lines: what lines of one type that have the same keys in the same order have in common.

A pattern is made of one such line and the schema. It says which other lines fit it, and reads all of them at
once. It may refuse a line that is sound: about lines that fit no pattern `parse_line` has the last word.
"""

from __future__ import annotations

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
_OWN_COLUMNS = {"level", "timestamp"}
_LEVEL, _DATE, _TIME = _HEAD = ("=level", "=date", "=time")
_REST = "=rest"
"""Names of columns that no key can have."""

_STRICT: dict[pl.DataType, str] = {
    pl.Int64(): "-?[0-9]+",
    pl.Float64(): r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?",
    pl.Boolean(): "(?:true|false)",
}
# what stands for bytes that are no UTF-8 must not stand for a value, nor a blank that only Python knows
_TEXT = r'(?:"(?:[^"\\\ufffd]|\\[^\ufffd])*"|[^\s\x1c-\x1f"\ufffd]*)'
_PAIRS = re.compile(f"{PAIR}(?: {PAIR})*")
_MOST_KEYS = 128
"""With more, a pattern's regular expression or its columns would take too much memory."""


def column_types(kind: str) -> dict[str, pl.DataType]:
    """The columns of an event type's frame; JSON values and texts are strings."""
    specs = event_fields(EVENT_TYPES.get(kind, ExecutionEvent))
    return {"level": pl.String()} | {
        spec.name: _DTYPES.get(spec.kind, pl.String()) for spec in specs if spec.name not in _NOT_COLUMNS
    }


class Words(NamedTuple):
    """The words of some lines."""

    fits: pl.Series
    """Which of the lines have the pattern."""
    columns: pl.DataFrame
    """Their words: a column for each of the head and for each key's value."""


class LinePattern(NamedTuple):
    """Lines of one type and level with the same keys in the same order."""

    level: str
    """The level's word."""
    kind: str
    type_word: str
    """The type as it is written."""
    columns: dict[str, pl.DataType]
    """The keys, and what their values are read as."""

    def words(self, lines: pl.Series, *, quoted: bool) -> Words:
        """The words of those lines that fit: without `quoted`, all words must end at blanks."""
        return self._quoted_words(lines) if quoted else self._plain_words(lines)

    def values(self, words: Words) -> tuple[pl.DataFrame, pl.Series]:
        """The values that the words stand for, and which lines' values can all be believed."""
        found = words.columns.select(self._values())
        sound = pl.all_horizontal(_sound(name, dtype) for name, dtype in found.schema.items())
        return found, found.select(sound.fill_null(False).alias("sound")).to_series()

    def _plain_words(self, lines: pl.Series) -> Words:
        names = [*_HEAD, *self.columns, _REST]
        words = lines.str.split_exact(" ", len(names) - 1).struct.rename_fields(names).struct.unnest()
        fitting = [
            pl.col(_REST).is_null(),
            pl.col(_LEVEL) == self.level,
            pl.col("type") == f"type={self.type_word}",
            *(pl.col(key).str.starts_with(f"{key}=") for key in self.columns),
        ]
        fits = words.select(pl.all_horizontal(fitting).fill_null(False).alias("fits")).to_series()
        own = words if fits.all() else words.filter(fits)
        return Words(fits, own.with_columns(pl.col(key).str.slice(len(key) + 1) for key in self.columns))

    def _quoted_words(self, lines: pl.Series) -> Words:
        words = lines.str.extract_groups(self._expression()).struct.unnest()
        words.columns = [*_HEAD, *self.columns]
        fits = words[_LEVEL].is_not_null()
        return Words(fits, pl.DataFrame(map(_unquoted_all, words.filter(fits).iter_columns())))

    def _expression(self) -> str:
        words = [f"({pl.escape_regex(self.level)})", *(f"({word})" for word in HEAD_WORDS[1:])]
        for key, dtype in self.columns.items():
            written = pl.escape_regex(self.type_word) if key == "type" else _STRICT.get(dtype, _TEXT)
            words.append(f"{pl.escape_regex(key)}=({written})")
        return f"^{' '.join(words)}$"

    def _values(self) -> list[pl.Expr]:
        """The columns of a frame, out of the words of lines."""
        return [
            pl.lit(self.level.strip("[]")).alias("level"),
            _moment().alias("timestamp"),
            *(_value(key, dtype) for key, dtype in self.columns.items() if key != "type"),
        ]


def _moment() -> pl.Expr:
    """The time of lines; null where it is not written as events have it."""
    date, time = pl.col(_DATE), pl.col(_TIME)
    # what else polars would read: a year 0 or with a sign, numbers of fewer digits, a 60th second
    written = [
        date.str.len_bytes() == len("YYYY-MM-DD"),
        date >= "0001",
        time.str.len_bytes() == len("HH:MM:SS.mmm"),
        ~time.str.contains(":60", literal=True),
    ]
    text = pl.concat_str(date, time, separator=" ").str
    moment = text.to_datetime("%Y-%m-%d %H:%M:%S.%3f", time_unit="ms", strict=False, cache=False)
    return pl.when(written).then(moment)


def _value(key: str, dtype: pl.DataType) -> pl.Expr:
    word = pl.col(key)
    if dtype == pl.Boolean():
        return pl.when(word.is_in(["true", "false"])).then(word == "true").alias(key)
    if dtype == pl.Datetime("ms"):
        return word.str.to_datetime(time_unit="ms", strict=False)
    return word.cast(dtype, strict=False)


def _sound(name: str, dtype: pl.DataType) -> pl.Expr:
    """Which values of a frame's column can be believed."""
    column = pl.col(name)
    if dtype != pl.Float64():
        return column.is_not_null()
    return column.is_finite() & (column >= 0) if is_duration(name) else column.is_finite()


def pattern_of(line: str) -> LinePattern | None:
    """The pattern of an event line; None where it does not read as one, or its keys can't be a frame's columns."""
    if not re.match(EVENT_LINE, line):
        return None
    rest = line.split(" ", len(HEAD_WORDS))[-1]
    # as a whole first: to look for pairs in a long word that is none takes the square of its length
    if not _PAIRS.fullmatch(rest):
        return None
    pairs = re.findall(PAIR, rest)
    written = dict(pair.split("=", 1) for pair in pairs)
    kind = unquoted(written["type"]) if "type" in written else None
    if kind is None or not _MOST_KEYS >= len(pairs) == len(written) or not all(map(_names_a_column, written)):
        return None
    types = column_types(kind)
    columns = {key: types.get(key, pl.String()) for key in written}
    return LinePattern(line.partition(" ")[0], kind, written["type"], columns)


def _names_a_column(key: str) -> bool:
    # polars takes "*" for all columns, and what stands between "^" and "$" for a regular expression of their names
    return key not in _OWN_COLUMNS and key != "*" and not (key.startswith("^") and key.endswith("$"))


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
