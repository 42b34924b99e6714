"""A run's status as `tau2-enhanced status` shows it: a sentence, and a table of what is running."""

from __future__ import annotations

import time

from rich.table import Table
from rich.text import Text

from tau2_enhanced.runner import words
from tau2_enhanced.runner.status import RunStatus

_COLUMNS_BESIDE_TASKS, _COLUMNS_OF_AN_ERROR = 57, 12
_SHORTEST_TASK, _LONGEST_TASK = 13, 56
_SILENT_S = 10.0
"""A living runner writes every two seconds; after this it is paused, or its disk is."""


def describe_state(status: RunStatus, *, alive: bool, now: float | None = None) -> str:
    """How the run is, in a sentence."""
    lacking = f", {status.without_verdict} of them without a verdict" if status.without_verdict else ""
    ended = f"{status.finished}/{status.planned} simulations ended{lacking}"
    done = f"{ended}, {len(status.running)} running"
    silent_s = (time.time() if now is None else now) - status.written
    if alive and silent_s > _SILENT_S:
        return f"run {status.run_id}: {done}; its runner (pid {status.pid}) has said nothing for {silent_s:.0f} s"
    if alive:
        return f"run {status.run_id}: {done}"
    go_on = f"; go on with --resume {status.run_id}"
    if not status.ended:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.written))
        return f"run {status.run_id} broke off at {when}: {done} then{go_on}"
    if status.finished - status.without_verdict == status.planned:
        return f"run {status.run_id} has ended: {ended}"
    how = f"was stopped ({status.stopped})" if status.stopped else "has ended"
    return f"run {status.run_id} {how}: {ended}{go_on}"


def status_table(status: RunStatus, width: int) -> Table:
    """The running simulations, the oldest first, in a table for so many columns."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    failed = any(task.last_error for task in status.running)
    table.add_column("task")
    for name in ("trial", "step", "last\nevent s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("waits for")
    for name in ("waits\ns", "running\ns"):
        table.add_column(name, justify="right", no_wrap=True)
    if failed:
        table.add_column("last error")
    room = width - _COLUMNS_BESIDE_TASKS - _COLUMNS_OF_AN_ERROR * failed
    for task in status.running:
        table.add_row(
            _one_line(words.short(f"{task.domain} {task.task}", min(max(room, _SHORTEST_TASK), _LONGEST_TASK))),
            str(task.trial),
            "" if task.step is None else str(task.step),
            f"{task.age_s:.1f}",
            _one_line(task.waiting_for or "working"),
            f"{task.waiting_s:.1f}" if task.waiting_for else "",
            f"{task.running_s:.1f}",
            *([_one_line(task.last_error or "")] if failed else []),
        )
    return table


def _one_line(text: str) -> Text:
    return Text(text, overflow="ellipsis", no_wrap=True)
