"""A run's folder: `OUTPUT_DIR/RUN_ID/` with tau2's results, and `run/` in it with all that is ours."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import scrub_values


class RunFolder:
    """The paths of one run. Nothing is made before `hold`."""

    def __init__(self, output_dir: Path, run_id: str) -> None:
        self.run_id = run_id
        self.path = output_dir / run_id
        self.own = self.path / "run"
        self.record = self.own / "record.jsonl"
        self.config = self.own / "config.json"
        self.summary = self.own / "summary.json"
        self.status = self.own / "status.json"
        self.reserve = self.own / "reserve"
        self.events = self.own / "events"
        self.lock = self.own / "lock"
        self._held: IO[str] | None = None
        self._new = False

    def results(self, domain: str) -> Path:
        """Where tau2's results of a domain lie."""
        return self.path / f"{domain}.json"

    @property
    def started(self) -> bool:
        """Whether there is something to resume from."""
        return self.config.exists() or self.record.exists()

    @property
    def is_held(self) -> bool:
        """Whether a process holds the folder."""
        try:
            with self.lock.open("r", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def hold(self, *, resumed: bool) -> None:
        """Make the folder and keep every other run out of it. Raises UserMistake where that can't be."""
        try:
            self._new = not self.path.exists()
            self.own.mkdir(parents=True, exist_ok=True)
            self._held = self.lock.open("w", encoding="utf-8")
        except OSError as error:
            raise UserMistake(f"{self.own} can't be written: {error.strerror}") from None
        if not _locked(self._held):
            self.release()
            raise UserMistake(f"run {self.run_id} is being run by another process")
        if self.started and not resumed:
            self.release()
            raise UserMistake(f"run {self.run_id} was just started by another process")

    def make_again(self) -> None:
        """Make and hold a folder that was removed while it was held. Raises OSError, also where others hold it now."""
        self.own.mkdir(parents=True, exist_ok=True)
        held = self.lock.open("w", encoding="utf-8")
        if self.started or not _locked(held):
            held.close()
            raise OSError(errno.EBUSY, "another run has begun in its place", str(self.own))
        self.release()
        self._held = held

    def abandon(self) -> None:
        """Take back what `hold` made for a run that then could not begin."""
        self.release()
        if self._new and not self.started:
            shutil.rmtree(self.path, ignore_errors=True)

    def release(self) -> None:
        """Let others have the folder."""
        if self._held is not None:
            self._held.close()
            self._held = None


def _locked(file: IO[str]) -> bool:
    """Whether the file's lock could be had; who only looks at it has it for a moment."""
    for pause_s in (0.0, 0.05, 0.15):
        time.sleep(pause_s)
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def new_run_id() -> str:
    """A run id from the time, and a word that tells runs of the same second apart."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def newest_run_id(output_dir: Path) -> str | None:
    """The run that was started or resumed last; None where there is none."""
    configs = sorted(output_dir.glob("*/run/config.json"), key=lambda path: path.stat().st_mtime)
    return configs[-1].parent.parent.name if configs else None


def write_atomically(path: Path, parts: Iterable[str], *, lasting: bool = True) -> None:
    """Write text so that a reader finds the old file or the new one, whole, whatever happens.

    Unless it is `lasting`, it need not survive the machine. Raises OSError, which names a file.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        # a server's error text may hold half characters, which no UTF-8 can
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(parts)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:  # ^C too leaves nothing half-written
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            # the system names a file that can't be opened, and none that can't be written
            error.filename = str(path)
        raise


def write_json(path: Path, data: Any) -> None:
    """`write_atomically` for a document of ours, without secrets."""
    write_atomically(path, [json.dumps(scrub_values(data), indent=2, ensure_ascii=False), "\n"])


def read_json(path: Path) -> Any:
    """A document of ours. Raises UserMistake where it can't be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserMistake(f"{path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise UserMistake(f"{path} is damaged: {error}") from None
