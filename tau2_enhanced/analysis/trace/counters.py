"""What is counted along the timeline: model calls in flight, simulations running and money spent in each domain, and
what the model servers said of themselves."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl


class Counter(NamedTuple):
    """How a counter goes: its name, its unit, and the frame of its values by `pid` and `ts` (µs)."""

    name: str
    unit: str
    values: pl.DataFrame


def counters(spans: pl.DataFrame) -> list[Counter]:
    """The counters that have something to count.

    A call is in flight during its last attempt: of earlier ones the log knows no more than their sum. Its
    cost is spent when it ends. Calls of attempts that were killed count too, for they were paid.
    """
    slices = spans.filter(pl.col("dur").is_not_null() & ~pl.col("retry_wait"))
    end = pl.col("ts") + pl.col("dur").fill_null(0)
    paid = spans.filter(pl.col("cost_usd").is_finite()).select("pid", end.alias("ts"), change="cost_usd")
    made = [
        Counter("model calls in flight", "calls", _running(slices.filter("is_call"))),
        Counter("simulations running", "simulations", _running(slices.filter("is_task"))),
        Counter("cost", "USD", _summed(paid).with_columns(pl.col("value").round(10))),
    ]
    return [counter for counter in made if counter.values.height]


def _running(slices: pl.DataFrame) -> pl.DataFrame:
    begins = slices.select("pid", "ts", pl.lit(1).alias("change"))
    ends = slices.select("pid", pl.col("ts") + pl.col("dur"), pl.lit(-1).alias("change"))
    return _summed(pl.concat([begins, ends]))


def _summed(changes: pl.DataFrame) -> pl.DataFrame:
    """The running sum of each process, at the moments at which it changes."""
    moments = changes.group_by("pid", "ts").agg(pl.col("change").sum()).sort("pid", "ts")
    changed = (pl.col("change") != 0) | pl.col("pid").is_first_distinct()
    return moments.filter(changed).select("pid", "ts", pl.col("change").cum_sum().over("pid").alias("value"))


_SAID = (
    ("requests", {"running": "running", "waiting": "waiting"}, 1.0),
    ("KV cache in use", {"kv_cache_usage": "per cent"}, 100.0),
    ("prefix cache hits", {"prefix_cache_hit_rate": "per cent"}, 100.0),
    ("tokens a second", {"prompt_tokens_per_s": "prompt", "generation_tokens_per_s": "generated"}, 1.0),
    ("preemptions", {"preemptions": "since the start"}, 1.0),
)
"""The counters of a server: name, the values' names by column, and what they are multiplied by."""


class ServerCounter(NamedTuple):
    """A counter of a server: its frame has `server`, `ts` (µs) and a column for each of its values."""

    name: str
    values: pl.DataFrame


def server_counters(samples: pl.DataFrame) -> list[ServerCounter]:
    """What the servers' samples count. What one did not say is left out."""
    ts = (pl.col("at_ms") * 1000).round().cast(pl.Int64())
    made = []
    for name, columns, factor in _SAID:
        values = [(pl.col(column) * factor).round(3).alias(shown) for column, shown in columns.items()]
        frame = samples.select("run", "server", ts.alias("ts"), *values)
        made.append(ServerCounter(name, frame.filter(pl.any_horizontal(pl.col(list(columns.values())).is_not_null()))))
    return [counter for counter in made if counter.values.height]
