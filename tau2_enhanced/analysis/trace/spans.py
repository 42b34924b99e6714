"""When and where each event happened: a frame of spans, a row for each slice, instant and retry wait.

Columns: `kind` and `row` say which event, `ts` and `dur` (None for an instant) are µs since the run's start,
`pid` and `tid` are numbers for the run's domain and the worker.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from tau2_enhanced.analysis.natural_order import natural
from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable
from tau2_enhanced.analysis.trace.nesting import nest

_SIMULATION = ("run", "domain", "task", "trial", "sim")
_PLACE = ("run", "domain", "thread")
_LONGEST_US = 2**53
"""The largest whole number that readers of JSON keep exactly; what a broken log says beyond it is cut to it."""
_RANKS = {"run_complete": 0, "task_complete": 1, "task_start": 1, "step_complete": 2, "tool_call": 3}
_MODEL_CALL_RANK, _OTHER_RANK, _RETRY_WAIT_RANK = 5, 4, 6


class Place(NamedTuple):
    """A row of the timeline: a worker's slices in one domain."""

    pid: int
    tid: int
    process: str
    thread: str


class Timeline(NamedTuple):
    """The events by type, when and where each happened, and the rows they stand in."""

    events: dict[str, pl.DataFrame]
    spans: pl.DataFrame
    places: list[Place]


def timeline(table: EventTable) -> Timeline:
    """The spans as the log has them; `nested` makes them fit their rows."""
    events = _events(table)
    if not events:
        return Timeline({}, pl.DataFrame(), [])
    parts = [_spans(kind, number, frame) for number, (kind, frame) in enumerate(events.items())]
    spans = pl.concat(parts)
    if spans["ts"].null_count():
        # of events that have both times, or else the first event's
        origin = pl.coalesce((pl.col("wall") - pl.col("ts")).min(), (pl.col("wall") - pl.col("wait")).min())
        spans = spans.with_columns(pl.coalesce("ts", (pl.col("wall") - origin.over("run")).clip(0), pl.lit(0)))
    spans = _until_last_event(spans)
    places, rows = _places(spans)
    spans = spans.join(rows, on=_PLACE, how="left", nulls_equal=True).drop(*_PLACE, *_SIMULATION[2:], "wall")
    waits = spans.filter(pl.col("wait") > 0).with_columns(
        (pl.col("ts") - pl.col("wait")).clip(0).alias("ts"),
        pl.min_horizontal("wait", "ts").alias("dur"),
        pl.lit(_RETRY_WAIT_RANK, pl.Int8()).alias("rank"),
        pl.lit(True).alias("retry_wait"),
        pl.lit(None, pl.Float64()).alias("cost_usd"),
    )
    return Timeline(events, pl.concat([spans, waits]).drop("wait"), places)


def _events(table: EventTable) -> dict[str, pl.DataFrame]:
    """The events, each once; a start that has its end is left out, one that has none is marked as unfinished."""
    events = {kind: _once(frame) for kind, frame in table.frames.items()}
    starts, ends = table.of("task_start"), table.of("task_complete")
    if starts.height and "seed" not in ends.columns:
        seeds = starts.unique(_SIMULATION, keep="last").select(*_SIMULATION, "seed")
        events["task_complete"] = ends.join(seeds, on=_SIMULATION, how="left", nulls_equal=True)
    unfinished = starts.join(ends, on=_SIMULATION, how="anti", nulls_equal=True)
    events["task_start"] = unfinished.with_columns(pl.lit(True).alias("unfinished"))
    return {kind: frame for kind, frame in events.items() if frame.height}


def _once(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without the copies of events that belong to no domain: the logs of all domains hold them."""
    shared = pl.col("domain").is_null() & pl.col("task").is_null() & pl.col("start_ms").is_not_null()
    copies = frame.filter(shared)
    return pl.concat([frame.filter(~shared), copies.unique(maintain_order=True)]) if copies.height else frame


def _spans(kind: str, number: int, frame: pl.DataFrame) -> pl.DataFrame:
    names = [name for name in ("duration_ms", "total_duration_ms") if name in frame.columns]
    dur = pl.coalesce([_us(name) for name in names] or [pl.lit(None, pl.Int64())])
    is_call = kind in MODEL_CALLS
    return frame.select(
        pl.lit(number, pl.UInt16()).alias("kind"),
        pl.int_range(pl.len(), dtype=pl.UInt32()).alias("row"),
        pl.lit(_RANKS.get(kind, _MODEL_CALL_RANK if is_call else _OTHER_RANK), pl.Int8()).alias("rank"),
        pl.lit(False).alias("retry_wait"),
        _us("start_ms").alias("ts"),
        dur.alias("dur"),
        (_us("retry_wait_ms").fill_null(0) if is_call else pl.lit(0, pl.Int64())).alias("wait"),
        (pl.col("timestamp").dt.timestamp("us") - dur.fill_null(0)).alias("wall"),
        (pl.col("cost_usd") if is_call else pl.lit(None, pl.Float64())).alias("cost_usd"),
        pl.lit(kind in ("task_start", "task_complete")).alias("is_task"),
        pl.lit(is_call).alias("is_call"),
        *_SIMULATION,
        pl.coalesce("thread", "sim", pl.lit("no thread")).alias("thread"),
    )


def _us(milliseconds: str) -> pl.Expr:
    """A column of milliseconds in whole µs; None for what is no measurement."""
    value = pl.col(milliseconds).cast(pl.Float64(), strict=False)
    sound = pl.when(value.is_finite() & (value >= 0)).then(value)
    return (sound * 1000).clip(0, _LONGEST_US).round().cast(pl.Int64())


def _until_last_event(spans: pl.DataFrame) -> pl.DataFrame:
    """Simulations without an end last until their last event."""
    is_open = pl.col("is_task") & pl.col("dur").is_null()
    unfinished = spans.filter(is_open).select(_SIMULATION).unique()
    if not unfinished.height:
        return spans
    theirs = spans.join(unfinished, on=_SIMULATION, how="semi", nulls_equal=True)
    last = theirs.group_by(_SIMULATION).agg((pl.col("ts") + pl.col("dur").fill_null(0)).max().alias("last"))
    known = spans.join(last, on=_SIMULATION, how="left", nulls_equal=True)
    lasted = pl.when(is_open).then(pl.col("last") - pl.col("ts")).otherwise("dur")
    return known.with_columns(lasted.alias("dur")).drop("last")


def _places(spans: pl.DataFrame) -> tuple[list[Place], pl.DataFrame]:
    """The timeline's rows, and a frame that finds them."""
    found = sorted(spans.select(_PLACE).unique().rows(), key=_by_run_and_number)
    processes = list(dict.fromkeys((run, domain) for run, domain, _ in found))
    several = len({run for run, _ in processes}) > 1
    pids = {process: number for number, process in enumerate(processes, 1)}
    places = []
    for tid, (run, domain, thread) in enumerate(found, len(processes) + 1):
        name = domain or "run"
        places.append(Place(pids[run, domain], tid, f"{run or 'no run'} / {name}" if several else name, thread))
    columns = {
        **{name: pl.Series([key[at] for key in found], dtype=pl.String()) for at, name in enumerate(_PLACE)},
        "pid": pl.Series([place.pid for place in places], dtype=pl.Int32()),
        "tid": pl.Series([place.tid for place in places], dtype=pl.Int32()),
    }
    return places, pl.DataFrame(columns)


def _by_run_and_number(place: tuple[str | None, str | None, str]) -> tuple[object, ...]:
    """What belongs to no domain before the domains."""
    run, domain, thread = place
    return run or "", domain or "", natural(thread)


def nested(spans: pl.DataFrame) -> pl.DataFrame:
    """The spans in the order of a trace, clipped where rounding made them overlap.

    New columns: `outside`, the slice must stand outside its row; `clipped_us`, by how much it was shortened.
    """
    instants = spans.filter(pl.col("dur").is_null()).with_columns(
        pl.lit(False).alias("outside"), pl.lit(0, pl.Int64()).alias("clipped_us")
    )
    # of slices that begin together the longest comes first: readers take the order of a file for the nesting
    order, falling = ["tid", "ts", "dur", "rank"], [False, False, True, False]
    slices = spans.filter(pl.col("dur").is_not_null()).sort(order, descending=falling, maintain_order=True)
    starts, ends = slices["ts"].to_list(), (slices["ts"] + slices["dur"]).to_list()
    outside = nest(slices["tid"].to_list(), slices["rank"].to_list(), starts, ends)
    begin, end = pl.Series("ts", starts, pl.Int64()), pl.Series("end", ends, pl.Int64())
    placed = slices.with_columns(
        begin,
        (end - begin).alias("dur"),
        pl.Series("outside", outside, pl.Boolean()),
        (pl.col("dur") - (end - begin)).alias("clipped_us"),
    )
    return pl.concat([instants, placed]).sort(order[1:], descending=falling[1:], maintain_order=True)
