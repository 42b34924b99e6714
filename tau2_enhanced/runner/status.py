"""The status file of a run: what is running now, for `tau2-enhanced status` in another terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import scrub_values
from tau2_enhanced.runner import words
from tau2_enhanced.runner.folder import RunFolder, newest_run_id, read_json, write_atomically

_COLUMNS_BESIDE_TASKS, _COLUMNS_OF_AN_ERROR = 57, 12
_SHORTEST_TASK, _LONGEST_TASK = 13, 56
_SILENT_S = 10.0
"""A living runner writes every two seconds; after this it is paused, or its disk is."""


@dataclass(frozen=True)
class TaskStatus:
    """One running simulation."""

    domain: str
    task: str
    trial: int
    sim: str
    thread: str | None
    step: int | None
    waiting_for: str
    """In words: a model, a tool, the evaluator; empty while it works."""
    waiting_s: float
    age_s: float
    """Since its last event."""
    running_s: float
    last_error: str | None


@dataclass(frozen=True)
class RunStatus:
    """A run at the moment `written`."""

    path: Path
    run_id: str
    pid: int
    models: dict[str, str]
    """By role, as the user named them."""
    written: float = 0.0
    """Seconds since 1970."""
    ended: bool = False
    stopped: str = ""
    """Why it begins no new simulation; empty while all is well."""
    planned: int = 0
    finished: int = 0
    without_verdict: int = 0
    """Of those that finished."""
    running: Sequence[TaskStatus] = field(default_factory=list)
    """The one with the oldest last event first."""


def write_status(status: RunStatus) -> None:
    """Replace the status file. It is no record: what it says is worth nothing after the next write."""
    document = json.dumps(scrub_values(to_json(status)), ensure_ascii=False)
    write_atomically(status.path, [document], lasting=False)


def read_status(output_dir: Path, run_id: str | None) -> tuple[RunStatus, bool]:
    """A run's last status, and whether its runner lives. Raises UserMistake where there is none.

    Without a run id that of the run which began last.
    """
    named = run_id or newest_run_id(output_dir)
    if named is None:
        raise UserMistake(f"no runs in {output_dir}")
    folder = RunFolder(output_dir, named)
    if not folder.status.exists():
        raise UserMistake(f"run {named} has no status: {folder.status} is not there")
    data = read_json(folder.status)
    try:
        tasks = [TaskStatus(**task) for task in data.pop("running")]
        return RunStatus(path=folder.status, running=tasks, **data), folder.is_held
    except (TypeError, KeyError, AttributeError):
        raise UserMistake(f"{folder.status} is no status of a run") from None


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


def to_json(status: RunStatus) -> dict[str, Any]:
    """The status as plain JSON values: what its file holds."""
    return {name: value for name, value in asdict(status).items() if name != "path"}


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
