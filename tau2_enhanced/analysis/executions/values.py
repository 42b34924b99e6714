"""What every analysis is made of: columns summed up, and results as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from math import isfinite
from typing import Any, NamedTuple, cast

import polars as pl

from tau2_enhanced.analysis.executions.statistics import PERCENTILES
from tau2_enhanced.analysis.line_pattern import escaped

TOOL = pl.col("tool_name").fill_null("?").alias("tool")
"""A call's tool; `?` where the event names none."""
ERRORS = pl.col("success").eq(False).sum().cast(pl.Int64).alias("errors")
"""How many calls of a group failed."""
ENDED = pl.col("success").count().cast(pl.Int64).alias("ended")
"""How many calls of a group said whether they succeeded."""
CALLS = pl.len().cast(pl.Int64).alias("calls")
MOST = 10
"""How many examples a ranking shows."""
_BINS = 20


def known_sum(column: str) -> pl.Expr:
    """The sum of the values that are known; None where none is, which is no 0."""
    values = pl.col(column)
    return pl.when(values.count() > 0).then(values.sum())


def summary_columns(column: str, unit: str = "") -> list[pl.Expr]:
    """Aggregations of a column: `n`, mean, standard deviation (ddof 1), min, percentiles (linear), max, total.

    Names carry the unit: `mean_ms`. What has no value is None.
    """
    values, end = pl.col(column), f"_{unit}" if unit else ""
    return [
        values.count().cast(pl.Int64).alias("n"),
        values.mean().alias(f"mean{end}"),
        values.std(ddof=1).alias(f"std{end}"),
        values.min().alias(f"min{end}"),
        *(values.quantile(p / 100, interpolation="linear").alias(f"p{p}{end}") for p in PERCENTILES),
        values.max().alias(f"max{end}"),
        values.sum().alias(f"total{end}"),
    ]


def summary(values: pl.Series, unit: str = "") -> dict[str, Any]:
    """`summary_columns` of one series."""
    return values.alias("value").to_frame().select(summary_columns("value", unit)).to_dicts()[0]


def histogram(values: pl.Series, low: float, high: float, bins: int = _BINS) -> list[dict[str, Any]]:
    """How many values lie in each of `bins` equal parts from `low` to `high`: `low` in, `high` in the last alone."""
    known = values.drop_nulls()
    if not known.len():
        return []
    if high <= low:
        return [{"low": low, "high": high, "count": known.len()}]
    width = (high - low) / bins
    places = ((known - low) / width).floor().clip(0, bins - 1).cast(pl.Int64)
    counts = dict(places.value_counts().iter_rows())
    return [
        {"low": low + place * width, "high": low + (place + 1) * width, "count": counts.get(place, 0)}
        for place in range(bins)
    ]


def sorted_counts(values: pl.Series) -> dict[str, int]:
    """How often each value comes, the most frequent first, equals by name; missing ones are left out."""
    counts = values.drop_nulls().value_counts().iter_rows()
    return {str(value): count for value, count in sorted(counts, key=lambda pair: (-pair[1], str(pair[0])))}


def counts_by(frame: pl.DataFrame, by: str, column: str) -> list[tuple[str, list[int]]]:
    """For each value of `by`, in their order, how often the values of `column` come; missing ones are left out."""
    counted = frame.drop_nulls([by, column]).group_by(by, column).len()
    return list(counted.group_by(by).agg("len").sort(by).iter_rows())


class Span(NamedTuple):
    """From when to when; None where no time is known."""

    first: datetime | None
    last: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long; 0 for a single time."""
        return (self.last - self.first).total_seconds() if self.first is not None and self.last is not None else None


def span_of(times: pl.Series) -> Span:
    """The first and the last of some times."""
    return Span(cast("datetime | None", times.min()), cast("datetime | None", times.max()))


def plain_json(value: Any) -> Any:
    """A result as `json.dumps(…, allow_nan=False)` takes it: numbers without an end are None, times are texts.

    Its texts can be written as UTF-8: half a character is its escape, `\\ud83d`.
    """
    if isinstance(value, Mapping):
        return {escaped(str(name)): plain_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value.isoformat() if isinstance(value, date) else value
