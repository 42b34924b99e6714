"""The status file of a run: what is running now, for `tau2-enhanced status` in another terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import scrub_values
from tau2_enhanced.runner.folder import RunFolder, newest_run_id, read_json, write_atomically


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


def to_json(status: RunStatus) -> dict[str, Any]:
    """The status as plain JSON values: what its file holds."""
    return {name: value for name, value in asdict(status).items() if name != "path"}
