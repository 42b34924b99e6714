"""Turning the logging of a run on and off."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Iterable
from pathlib import Path

from tau2_enhanced.logging.bridge import bridge_loguru, quiet_libraries
from tau2_enhanced.logging.files import LogFolder
from tau2_enhanced.logging.levels import LEVELS, PROFILE
from tau2_enhanced.logging.pairs import prepare_writers
from tau2_enhanced.logging.redaction import protect_environment
from tau2_enhanced.logging.writer import ConsoleSink, DomainFiles, LogWriter


class LogSession:
    """The logging of one run, from `configure_logging` to `close`; also a context manager."""

    def __init__(self, writer: LogWriter, folder: LogFolder, domains: tuple[str, ...], root_level: int) -> None:
        self.writer = writer
        self.folder = folder.path
        self.domains = domains
        self._held = folder
        self._root_level = root_level
        atexit.register(self.close)

    @property
    def event_logs(self) -> list[Path]:
        """The files that hold the events alone, one a domain."""
        return [self.folder / f"eval_{domain}.log" for domain in self.domains]

    @property
    def full_logs(self) -> list[Path]:
        """The files that hold everything, one a domain."""
        return [self.folder / f"tau2_{domain}.log" for domain in self.domains]

    def flush(self) -> None:
        """Return when everything logged so far can be read in the files."""
        self.writer.flush()

    def close(self) -> None:
        """Write what is left, give the folder back and restore the root logger. Harmless twice."""
        atexit.unregister(self.close)
        root = logging.getLogger()
        if self.writer in root.handlers:
            root.removeHandler(self.writer)
            root.setLevel(self._root_level)
        self.writer.close()
        self._held.release()

    def __enter__(self) -> LogSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def level_number(level: int | str) -> int:
    """A level's value from its name. Raises ValueError for an unknown one."""
    if isinstance(level, int):
        return level
    try:
        return LEVELS[level.upper()]
    except KeyError:
        raise ValueError(f"unknown log level {level!r}: use one of {' '.join(LEVELS)}") from None


def configure_logging(
    domains: Iterable[str],
    *,
    run_id: str,
    level: int | str = PROFILE,
    log_dir: Path | str = "logs",
    console: ConsoleSink | None = None,
    console_level: int | str = logging.WARNING,
    redact: bool = False,
    folder: LogFolder | None = None,
) -> LogSession:
    """Write everything from `level` on into `log_dir`, into two files for each domain.

    `console` gets the finished line of each record from `console_level` on. With `redact`, sensitive data is
    replaced in all of them; secrets of the process always are. An earlier run's files are moved into
    `log_dir/ITS_RUN_ID/`; a run of the same id appends. `folder` is the logs' where it is held already.
    Raises ValueError for an unknown level and OSError where `log_dir` can't be written.
    """
    number, console_number = level_number(level), level_number(console_level)
    domains = tuple(domains)
    folder = folder or LogFolder(Path(log_dir), run_id)
    protect_environment()
    prepare_writers()
    writer = LogWriter(run_id, DomainFiles(folder, domains), number, console, console_number, redact)
    # a logger with a lower level of its own does not get below the chosen one
    lowest = min(number, console_number) if console is not None else number
    writer.setLevel(lowest)
    root = logging.getLogger()
    session = LogSession(writer, folder, domains, root.level)
    root.addHandler(writer)
    root.setLevel(lowest)
    quiet_libraries()
    bridge_loguru(number)
    return session
