"""Columns as JSON text, all rows at once."""

from __future__ import annotations

import json
from collections.abc import Collection

import polars as pl

_ESCAPED = r'["\\\x00-\x1f]'
"""What can't stand in a JSON string as it is."""


def json_values(values: pl.Series) -> pl.Series:
    """Each value in JSON; None for one that is missing or no number that JSON knows."""
    if isinstance(values.dtype, pl.Datetime):
        values = values.dt.strftime("%Y-%m-%d %H:%M:%S%.3f")
    if values.dtype == pl.String():
        return _strings(values)
    if values.dtype.is_float():
        values = values.set(~values.is_finite(), None)
    return values.cast(pl.String())


def _strings(values: pl.Series) -> pl.Series:
    quoted = '"' + values + '"'
    odd = values.filter(values.str.contains(_ESCAPED).fill_null(False)).unique().to_list()
    return quoted.replace([f'"{text}"' for text in odd], [json.dumps(text) for text in odd]) if odd else quoted


def json_objects(frame: pl.DataFrame, written: Collection[str] = ()) -> pl.Series:
    """Each row as a JSON object without what is missing; columns in `written` hold JSON already."""
    # without their names: polars takes some, such as "^run$", for those of other columns
    present = {column.name: column.alias("") for column in frame.iter_columns() if column.null_count() < frame.height}
    pairs = [
        json.dumps(name) + ":" + (column if name in written else json_values(column))
        for name, column in present.items()
    ]
    if not pairs:
        return pl.Series(["{}"] * frame.height, dtype=pl.String())
    inside = pl.select(pl.concat_str(pairs, separator=",", ignore_nulls=True)).to_series()
    return "{" + inside + "}"
