"""Whose log files lie in the log folder: one run's at a time, never mixed.

`LOG_DIR` itself holds the newest run's files, an earlier run's lie in `LOG_DIR/RUN_ID/`. A run that
starts while another writes uses its own `LOG_DIR/RUN_ID/` from the beginning.
"""

from __future__ import annotations

import fcntl
import shutil
from datetime import datetime
from pathlib import Path
from typing import IO

from tau2_enhanced.logging.server_samples import FILE_NAME as SAMPLES

_OWNER = ".run"
_LOGS = ("tau2_*.log", "eval_*.log", "vllm_port_*.log", SAMPLES)


class LogFolder:
    """Where one run writes its logs, held against other runs until `release`."""

    def __init__(self, log_dir: Path, run_id: str) -> None:
        self._run_id = run_id
        log_dir.mkdir(parents=True, exist_ok=True)
        self._held: IO[str] | None = (log_dir / _OWNER).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.close()
            self._held = None
            self.path = log_dir / run_id
            self.path.mkdir(exist_ok=True)
            return
        self.path = log_dir
        self._held.seek(0)
        owner = self._held.read().strip()
        if owner != run_id:
            put_away(log_dir, owner)
            move_logs(log_dir / run_id, log_dir)
            self._held.truncate(0)
            self._held.write(run_id)
            self._held.flush()

    def make_again(self) -> None:
        """Make and hold a folder that was removed. Raises OSError, also where another run has it now."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self._held is None or (self.path / _OWNER).exists():
            return
        held = (self.path / _OWNER).open("a+", encoding="utf-8")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise
        self.release()
        self._held = held
        held.write(self._run_id)
        held.flush()

    def release(self) -> None:
        """Let the next run have the folder."""
        if self._held is not None:
            self._held.close()
            self._held = None


def put_away(log_dir: Path, owner: str) -> None:
    """Move an earlier run's files into the folder of its name; of a run unknown, into one of their date."""
    logs = _logs_in(log_dir)
    if not owner and logs:
        newest = max(log.stat().st_mtime for log in logs)
        owner = f"earlier-{datetime.fromtimestamp(newest):%Y%m%d-%H%M%S}"
    if logs:
        (log_dir / owner).mkdir(exist_ok=True)
        move_logs(log_dir, log_dir / owner)


def move_logs(source: Path, target: Path) -> None:
    """Move all log files; what `target` holds already under a name, `source`'s is appended to."""
    for log in _logs_in(source):
        place = target / log.name
        if place.exists():
            with place.open("ab") as to, log.open("rb") as data:
                shutil.copyfileobj(data, to)
            log.unlink()
        else:
            log.rename(place)
    if source != target and source.is_dir() and not any(source.iterdir()):
        source.rmdir()


def _logs_in(folder: Path) -> list[Path]:
    return sorted(log for pattern in _LOGS for log in folder.glob(pattern))
