"""Rows of a Gantt chart: in one row no two simulations run at once."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from tau2_enhanced.analysis.natural_order import natural

_TOUCHING_MS = 1.0
"""Logged times are rounded: what overlaps by less follows on each other."""


class Lane(NamedTuple):
    """A row: a worker's, or one of simulations whose worker is unknown."""

    run: str | None
    thread: str | None


class Lanes(NamedTuple):
    """The rows, and for each simulation the number of its row; None where its times are unknown."""

    lanes: list[Lane]
    rows: list[int | None]


def lanes(found: pl.DataFrame) -> Lanes:
    """Rows by run, then by worker; a worker of which two simulations overlap (a run that was resumed) has several.

    `found` are simulations as `simulations` has them, those of a run in the order in which they began.
    """
    free_at: dict[Lane, list[float]] = {}
    placed: list[tuple[Lane, int] | None] = []
    for run, thread, start, end in found.select("run", "thread", "start_ms", "end_ms").iter_rows():
        if start is None or end is None:
            placed.append(None)
            continue
        lane = Lane(run, thread)
        ends = free_at.setdefault(lane, [])
        place = next((place for place, free in enumerate(ends) if free <= start + _TOUCHING_MS), len(ends))
        ends[place : place + 1] = [end]
        placed.append((lane, place))
    ordered = [(lane, place) for lane in sorted(free_at, key=_by_run_and_worker) for place in range(len(free_at[lane]))]
    numbers = {key: number for number, key in enumerate(ordered)}
    return Lanes([lane for lane, _ in ordered], [None if key is None else numbers[key] for key in placed])


def _by_run_and_worker(lane: Lane) -> tuple[object, ...]:
    """Those whose worker is unknown last."""
    return lane.run or "", lane.thread is None, natural(lane.thread or "")
