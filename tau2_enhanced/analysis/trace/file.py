"""The trace's file, written a part at a time.

The format is Chrome's "Trace Event Format" in its JSON object form: `X` are slices, `b` and `e` the two ends
of one that can't stand in its row, `i` instants, `C` counters, `M` names; all times in µs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from tau2_enhanced.analysis.output import written_whole
from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable
from tau2_enhanced.analysis.trace.counters import counters, server_counters
from tau2_enhanced.analysis.trace.json_text import json_objects
from tau2_enhanced.analysis.trace.spans import Place, Timeline, nested, timeline

_EVENTS_PER_PART = 100_000
_WAIT_FIELDS = ("run", "sim", "domain", "task", "trial", "step", "model", "attempts", "retry_wait_ms", "error_type")


def write_trace(table: EventTable, path: Path, samples: pl.DataFrame | None = None) -> int:
    """Write the events' timeline and return how many trace events it has.

    A process is a domain (of a run, where the table holds several), a thread a worker; a task holds its
    steps, a step its calls. Slices of one thread nest; one that overlaps others stands beside the thread.
    `samples` are those of the model servers, as `samples_beside` gives them: each server is a process with counters.
    Raises UserMistake where `path` can't be written; no part of a file is left then.
    """
    count = 0
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(b'{"displayTimeUnit":"ms","traceEvents":[')
        run = timeline(table)
        for part in chain(_parts(run), _server_parts(run, samples)):
            file.write((",\n" if count else "\n").encode())
            file.write(str(part.str.join(",\n").item()).encode())
            count += part.len()
        file.write(b"\n]}\n")
    return count


def _parts(run: Timeline) -> Iterator[pl.Series]:
    """The trace events as JSON, none of the parts empty."""
    if not run.places:
        return
    yield pl.Series(_names(run.places))
    for part in nested(run.spans).with_row_index("id").iter_slices(_EVENTS_PER_PART):
        yield _events(run.events, part)
    for counter in counters(run.spans):
        for part in counter.values.iter_slices(_EVENTS_PER_PART):
            args = json_objects(part.select(pl.col("value").alias(counter.unit)))
            event = part.select(pl.lit(counter.name).alias("name"), pl.lit("C").alias("ph"), "ts", "pid", args=args)
            yield json_objects(event, written=("args",))


def _server_parts(run: Timeline, samples: pl.DataFrame | None) -> Iterator[pl.Series]:
    """The servers' counters; each server stands below the domains."""
    if samples is None or not samples.height:
        return
    first = 1 + max((max(place.pid, place.tid) for place in run.places), default=0)
    servers = samples.select("run", "server").unique(maintain_order=True).with_row_index("pid", first)
    several = servers["run"].n_unique() > 1
    for pid, of_run, server in servers.rows():
        name = f"{of_run} / {server}" if several else server
        yield pl.Series([_json(event) for event in _process(pid, name)])
    for counter in server_counters(samples):
        values = counter.values.join(servers, on=("run", "server"), how="left", maintain_order="left")
        args = json_objects(values.drop("run", "server", "ts", "pid"))
        event = values.select(pl.lit(counter.name).alias("name"), pl.lit("C").alias("ph"), "ts", "pid", args=args)
        yield json_objects(event, written=("args",))


def _names(places: list[Place]) -> list[str]:
    made = []
    for place in places:
        thread = {"pid": place.pid, "tid": place.tid}
        made += [
            *_process(place.pid, place.process),
            {"name": "thread_name", "ph": "M", **thread, "args": {"name": place.thread}},
            {"name": "thread_sort_index", "ph": "M", **thread, "args": {"sort_index": place.tid}},
        ]
    return list(dict.fromkeys(map(_json, made)))


def _process(pid: int, name: str) -> list[dict[str, Any]]:
    """What a process is called, and where it stands."""
    return [
        {"name": "process_name", "ph": "M", "pid": pid, "args": {"name": name}},
        {"name": "process_sort_index", "ph": "M", "pid": pid, "args": {"sort_index": pid}},
    ]


def _json(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))


def _events(events: dict[str, pl.DataFrame], part: pl.DataFrame) -> pl.Series:
    kinds = list(events)
    made = []
    for (number, is_wait), spans in part.partition_by("kind", "retry_wait", as_dict=True).items():
        kind = kinds[int(number)]
        made.append(_of_kind("retry_wait" if is_wait else kind, events[kind][spans["row"]], spans))
    return pl.concat(made).sort("id", maintain_order=True)["json"]


def _of_kind(kind: str, fields: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """The trace events of one event type: their JSON, and the `id` that gives their order."""
    shown = fields.select(_WAIT_FIELDS) if kind == "retry_wait" else fields.drop("level")
    if (spans["clipped_us"] > 0).any():
        shown = shown.with_columns(pl.when(spans["clipped_us"] > 0).then(spans["clipped_us"]).alias("clipped_us"))
    outside, instant = pl.col("outside"), pl.col("dur").is_null()
    events = spans.select(
        fields.with_columns(_name(kind).alias("name"))["name"],
        pl.lit(kind).alias("cat"),
        pl.when(outside).then(pl.lit("b")).when(instant).then(pl.lit("i")).otherwise(pl.lit("X")).alias("ph"),
        pl.when(outside).then(pl.col("id").cast(pl.String())),
        pl.when(instant).then(pl.lit("t")).alias("s"),
        "ts",
        pl.when(~outside).then("dur").alias("dur"),
        "pid",
        "tid",
        json_objects(shown).alias("args"),
    )
    ends = events.with_columns(
        spans["ts"] + spans["dur"], pl.lit("e").alias("ph"), pl.lit(None, pl.String()).alias("args")
    )
    both = pl.concat([events, ends.filter(spans["outside"])])
    order = pl.concat([spans["id"], spans["id"].filter(spans["outside"])])
    return pl.DataFrame([order, json_objects(both, written=("args",)).alias("json")])


def _name(kind: str) -> pl.Expr:
    """What a slice is called: the task 'retail 12 #0', a step 'step 3 agent → env', a call by its model or function."""
    if kind in ("task_start", "task_complete"):
        return _words("domain", "task", pl.format("#{}", "trial"))
    if kind == "step_complete":
        return _words(pl.format("step {}", "step"), "from_role", pl.format("→ {}", "to_role"))
    if kind == "tool_call":
        return pl.coalesce("function", pl.lit(kind))
    return pl.coalesce("model", pl.lit(kind)) if kind in MODEL_CALLS else pl.lit(kind.replace("_", " "))


def _words(*parts: str | pl.Expr) -> pl.Expr:
    return pl.concat_str(*parts, separator=" ", ignore_nulls=True)
