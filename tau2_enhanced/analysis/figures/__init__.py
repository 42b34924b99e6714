"""The pictures of a log: latencies, tokens and cost, timelines and concurrency, each as PNG and SVG.

Each picture is a module: `select` takes what it shows out of the events, `draw` makes a figure of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
from matplotlib.figure import Figure

from tau2_enhanced.analysis.concurrency import concurrency as concurrency_of
from tau2_enhanced.analysis.figures import (
    concurrency,
    cost_and_tokens,
    latency_by_function,
    latency_by_model,
    latency_distribution,
    run_gantt,
    servers,
    task_gantt,
)
from tau2_enhanced.analysis.figures.files import write_figure
from tau2_enhanced.analysis.figures.style import label, look
from tau2_enhanced.analysis.results_events import times_between_messages
from tau2_enhanced.analysis.table import EventTable
from tau2_enhanced.analysis.timeline import Timeline, run_ids, timeline

__all__ = ["Drawn", "draw_figures"]


class Drawn(NamedTuple):
    """What was written, and a sentence for all that was not."""

    paths: list[Path]
    left_out: list[str]


def draw_figures(
    table: EventTable,
    output_dir: Path,
    *,
    tasks: Sequence[str] | None = None,
    samples: pl.DataFrame | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Drawn:
    """Write every picture that `table` has data for. Raises UserMistake where `output_dir` can't be written.

    `tasks` (as 12 or retail:12) are those whose course is drawn; by default the slowest, a failed and a typical one.
    `samples` are those of the servers, as `samples_beside` gives them. `say` is told which picture is being drawn.
    """
    paths: list[Path] = []
    left_out: list[str] = []
    with look():
        for name, figure in _figures(table, tasks, samples, left_out):
            say(f"drawing {name}")
            paths += write_figure(figure, output_dir, name)
    return Drawn(paths, left_out)


def _figures(
    table: EventTable, tasks: Sequence[str] | None, samples: pl.DataFrame | None, left_out: list[str]
) -> Iterator[tuple[str, Figure]]:
    between_messages = times_between_messages(table)
    yield from _measures(table, source_of(run_ids(table), between_messages=between_messages), left_out)
    times = timeline(table)
    if times.runs > 1 and (times.simulations.height or times.calls.height):
        which = "the events without a run" if times.run is None else f"{times.run} alone, which has most events"
        left_out.append(f"task_gantt, run_gantt, concurrency: of {times.runs} runs {which}")
    source = source_of([times.run], between_messages=between_messages)
    yield from _timelines(times, tasks, samples, source, left_out)


def _measures(table: EventTable, source: str, left_out: list[str]) -> Iterator[tuple[str, Figure]]:
    if distributions := latency_distribution.select(table):
        yield "latency_distribution", latency_distribution.draw(distributions, source)
        shown = [part.kind for part in distributions]
        missing = [kind for kind in latency_distribution.KINDS if kind not in shown]
        left_out += [f"{kind} in latency_distribution: no timed events" for kind in missing]
    else:
        left_out.append("latency_distribution: no timed llm_call or tool_call events")
    if models := latency_by_model.select(table):
        yield "latency_by_model", latency_by_model.draw(models, source)
    else:
        left_out.append("latency_by_model: no timed calls of a model that were answered")
    if functions := latency_by_function.select(table):
        yield "latency_by_function", latency_by_function.draw(functions, source)
    else:
        left_out.append("latency_by_function: no timed tool_call events")
    if usages := cost_and_tokens.select(table):
        yield "cost_and_tokens", cost_and_tokens.draw(usages, source)
        if not usages.cost_known:
            left_out.append("cost in cost_and_tokens: no call's cost is known")
    else:
        left_out.append("cost_and_tokens: no call's tokens or cost are known")


def _timelines(
    times: Timeline,
    tasks: Sequence[str] | None,
    samples: pl.DataFrame | None,
    source: str,
    left_out: list[str],
) -> Iterator[tuple[str, Figure]]:
    selected = task_gantt.select(times, tasks)
    for number, page in enumerate(selected.pages(), 1):
        yield "task_gantt" + (f"_{number}" if number > 1 else ""), task_gantt.draw(page, source)
    if selected.unknown:
        left_out.append(f"task_gantt: no timed calls of task {', '.join(selected.unknown)}")
    elif not selected.panels:
        left_out.append("task_gantt: no calls with a task and start_ms")
    if selected.more:
        left_out.append(f"task_gantt: {selected.more:,} simulations beyond the first {task_gantt.MOST_SIMULATIONS}")
    if run := run_gantt.select(times):
        yield "run_gantt", run_gantt.draw(run, source)
    else:
        left_out.append("run_gantt: no events with a task, a thread and start_ms")
    if running := concurrency_of(times):
        yield (
            "concurrency",
            concurrency.draw(running, source, servers.select(samples, times.run) if samples is not None else None),
        )
    else:
        what = "timed calls of a model" if times.partial else "events with a task, a duration and start_ms"
        left_out.append(f"concurrency: no {what}")


def source_of(runs: Sequence[str | None], *, between_messages: bool = False) -> str:
    """The runs, as captions name them, and whether their times are those between messages."""
    times = "times between messages · " if between_messages else ""
    named = [label(run, 60) for run in runs if run is not None]
    if not named:
        return f"{times}run unknown"
    more = f" and {len(runs) - 2} more" if len(runs) > 2 else ""
    return f"{times}run{'s' * (len(named) > 1)} {', '.join(named[:2])}{more}"
