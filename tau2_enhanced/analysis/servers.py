"""What the model servers of a run said of themselves, from the samples beside its logs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.server_samples import COUNTERS, FILE_NAME, GAUGES, ServerSample

_TEXTS = ("timestamp", "run", "server")
_TYPES = {field.name: pl.String() if field.name in _TEXTS else pl.Float64() for field in fields(ServerSample)}


def samples_beside(logs: Sequence[Path]) -> pl.DataFrame:
    """The samples in the folders of these logs, in the order of each server's times. Raises UserMistake.

    The columns are those of a `ServerSample`; there are no rows where there are no samples.
    """
    found = [log.parent / FILE_NAME for log in logs]
    frames = [_read(path) for path in dict.fromkeys(found) if path.exists()]
    return pl.concat([pl.DataFrame(schema=_TYPES), *frames]).sort("run", "server", "at_ms")


def _read(path: Path) -> pl.DataFrame:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserMistake(f"{path} can't be read: {error}") from None
    try:
        read = pl.read_csv(data, infer_schema=False, truncate_ragged_lines=True, ignore_errors=True)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=_TYPES)
    except pl.exceptions.PolarsError:
        read = _read_line_by_line(data.decode("utf-8", "replace"))
    named = [
        (pl.col(name) if name in read.columns else pl.lit(None, pl.String())).cast(of, strict=False).alias(name)
        for name, of in _TYPES.items()
    ]
    # a line of names may stand between two parts of a run, and the last line may be cut
    return read.select(named).filter(pl.col("at_ms").is_finite() & pl.col("run").is_not_null())


def _read_line_by_line(text: str) -> pl.DataFrame:
    """The same of a text in which something is broken: an open quotation ends with its line."""
    names, *rows = [_words(line) for line in text.splitlines()] or [[]]
    columns = {
        name: [row[place] if place < len(row) else None for row in rows]
        for place, name in enumerate(names)
        if name in _TYPES
    }
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String()))


def _words(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def numbers(samples: pl.DataFrame) -> list[dict[str, Any]]:
    """For each server of each run: what it did while it was watched, and the means and peaks of its gauges.

    `prefix_cache_hit_rate` is that of all its prompts' tokens together; tokens are those of all that asked it.
    """
    return [
        {"run": run, "server": server, "samples": of.height, **_amounts(of), **_levels(of)}
        for (run, server), of in samples.group_by("run", "server", maintain_order=True)
    ]


def _amounts(of: pl.DataFrame) -> dict[str, Any]:
    """What its counters rose by; one that fell had begun anew."""
    rises = {name: _rise(of[name].drop_nulls()) for name in COUNTERS}
    queries, hits = rises["prefix_cache_queries"], rises["prefix_cache_hits"]
    return {
        "preemptions": rises["preemptions"],
        "prompt_tokens": rises["prompt_tokens"],
        "generation_tokens": rises["generation_tokens"],
        "prefix_cache_hit_rate": min(1.0, hits / queries) if queries and hits is not None else None,
    }


def _rise(values: pl.Series) -> float | None:
    if not len(values):
        return None
    rise = values.diff()
    return float(pl.select(pl.when(rise < 0).then(values).otherwise(rise).sum()).item())


def _levels(of: pl.DataFrame) -> dict[str, Any]:
    return {f"{name}_{how}": getattr(of[name], how)() for name in GAUGES for how in ("mean", "max")}
