"""Columns of a frame as small JSON: whole numbers instead of floats, and each text once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

_LARGEST = 2**53
"""The largest whole number that JavaScript keeps exactly."""
_USD_DIGITS = 9


def whole(expression: pl.Expr, scale: float = 1.0) -> pl.Expr:
    """A number times `scale`, rounded; None for what is no number."""
    value = expression.cast(pl.Float64(), strict=False)
    sound = pl.when(value.is_finite()).then(value)
    return (sound * scale).round().clip(-_LARGEST, _LARGEST).cast(pl.Int64())


def usd(expression: pl.Expr) -> pl.Expr:
    """US dollars to the billionth."""
    value = expression.cast(pl.Float64(), strict=False)
    return pl.when(value.is_finite()).then(value.round(_USD_DIGITS))


def packed(frame: pl.DataFrame) -> dict[str, Any]:
    """The columns that hold anything.

    A column of numbers is a list, where all are alike that number alone; one of texts is `{"texts": […], "at": […]}`,
    each text once and the place of each row's text, -1 for None.
    """
    return {
        series.name: _texts(series.to_list()) if series.dtype == pl.String else _numbers(series.to_list())
        for series in frame
        if series.null_count() < series.len()
    }


def _numbers(values: Sequence[float | None]) -> Any:
    shown = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return shown[0] if len(set(shown)) == 1 else shown


def _texts(values: Sequence[str | None]) -> dict[str, Any]:
    places: dict[str, int] = {}
    at = [-1 if value is None else places.setdefault(value, len(places)) for value in values]
    return {"texts": list(places), "at": _numbers(at)}
