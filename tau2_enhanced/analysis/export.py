"""All events in one file, in the order in which they began, written a part at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from tau2_enhanced.analysis.output import written_whole
from tau2_enhanced.analysis.table import EventTable

_EVENTS_PER_PART = 100_000
"""One frame of all events has every type's columns, and would take several times the room of the table."""
_ORDER = ("run", "start_ms")


def export_events(table: EventTable, path: Path) -> None:
    """Write all events into one file, Parquet or CSV by its name. Raises UserMistake where it can't be written.

    Types that give a key values of different kinds share its column: it is of the kind that the schema knows where all
    of them can be read so, else it holds texts.
    """
    frames = _of_one_schema([frame.with_columns(type=pl.lit(kind)) for kind, frame in table.frames.items()])
    schema = pl.concat([frame.clear() for frame in frames], how="diagonal").schema

    def parts(*_: Any) -> Iterator[pl.DataFrame]:
        return _parts(frames, schema)

    events = register_io_source(parts, schema=schema)
    with written_whole(path) as temporary:
        try:
            if path.suffix == ".parquet":
                events.sink_parquet(temporary)
            else:
                events.sink_csv(temporary)
        except pl.exceptions.ComputeError as error:
            # how a full disk is said depends on what was being written of the file
            if number := re.search(r"\(os error (\d+)\)", str(error)):
                raise OSError(int(number[1]), os.strerror(int(number[1]))) from None
            if str(error).startswith("parquet: "):
                raise OSError(str(error)) from None
            raise


def _parts(frames: Sequence[pl.DataFrame], schema: pl.Schema) -> Iterator[pl.DataFrame]:
    places = pl.concat(
        frame.select(*_ORDER, pl.lit(number).alias("frame"), pl.int_range(pl.len(), dtype=pl.UInt32()).alias("row"))
        for number, frame in enumerate(frames)
    )
    order = places.sort(_ORDER, nulls_last=True, maintain_order=True).select("frame", "row")
    for part in order.with_row_index("=at").iter_slices(_EVENTS_PER_PART):
        found = [pl.DataFrame(schema={**schema, "=at": pl.UInt32()})]
        for (number,), of_frame in part.partition_by("frame", as_dict=True).items():
            found.append(frames[int(number)][of_frame["row"]].with_columns(of_frame["=at"]))
        yield pl.concat(found, how="diagonal").sort("=at").drop("=at")


def _of_one_schema(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    kinds: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, kind in frame.schema.items():
            kinds.setdefault(name, set()).add(kind)
    common = {name: _common(name, of, frames) for name, of in kinds.items() if len(of) > 1}
    return [frame.cast({name: of for name, of in common.items() if name in frame.columns}) for frame in frames]


def _common(name: str, kinds: set[pl.DataType], frames: Sequence[pl.DataFrame]) -> pl.DataType:
    """The kind of a column that has several."""
    texts = [frame[name] for frame in frames if frame.schema.get(name) == pl.String()]
    known = kinds - {pl.String()}
    kind = pl.Float64() if known == {pl.Int64(), pl.Float64()} else known.pop() if len(known) == 1 else pl.String()
    readable = kind.is_numeric() and all(_readable(text, kind) for text in texts)
    return kind if readable else pl.String()


def _readable(texts: pl.Series, kind: pl.DataType) -> bool:
    return texts.cast(kind, strict=False).null_count() == texts.null_count()
