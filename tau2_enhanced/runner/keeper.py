"""Puts outcomes on record, whatever happens to the disk under it.

A full disk has a reserve, set aside when the run began, for what is running then. A folder that was removed is made
again, and the record, which stays open, is written anew.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tau2_enhanced.logging import get_logger
from tau2_enhanced.runner.configuration import Configuration
from tau2_enhanced.runner.folder import RunFolder
from tau2_enhanced.runner.jobs import Outcome
from tau2_enhanced.runner.pool import Stop
from tau2_enhanced.runner.record import Record

_FULL = (errno.ENOSPC, errno.EDQUOT)
_RESERVED_FOR_EACH = 128 * 1024
"""Bytes for each simulation that may be running: three times the longest of tau2's gold conversations."""
_RESERVED_BESIDE = 256 * 1024
"""For the summary and the status."""

_logger = get_logger(__name__)


class Keeper:
    """The main thread's way to a run's record."""

    def __init__(
        self, folder: RunFolder, record: Record, configuration: Configuration, stop: Stop, running: int
    ) -> None:
        """`running` is how many simulations may be running at once."""
        self._folder = folder
        self._record = record
        self._configuration = configuration
        self._stop = stop
        _set_aside(folder.reserve, _RESERVED_BESIDE + running * _RESERVED_FOR_EACH)

    def put(self, *outcomes: Outcome) -> Sequence[Outcome]:
        """Put outcomes on record; what has come to be there: earlier ones may be too, and these may not.

        Where the record can't be written the run is asked to stop.
        """
        waiting = [*self._record.unwritten, *outcomes]
        try:
            self._append(outcomes)
        except OSError as error:
            self._stop_because(f"the record can't be written: {error.strerror}")
        return waiting[: len(waiting) - len(self._record.unwritten)]

    def mend(self) -> None:
        """Have all on record that can be, before the run's results are made from it. Raises OSError."""
        if self._record.is_gone:
            self._make_again()
        self._record.flush()

    def close(self) -> None:
        """Give the reserve back."""
        with suppress(OSError):  # on a disk that can't be written it is of no use either
            self._folder.reserve.unlink(missing_ok=True)

    def _append(self, outcomes: Sequence[Outcome]) -> None:
        try:
            self._record.append(*outcomes)
        except FileNotFoundError:
            self._make_again()
            self._record.flush()
        except OSError as error:
            if error.errno not in _FULL or not self._folder.reserve.exists():
                raise
            self._stop_because("the disk is full: running simulations are saved in the space reserved for them")
            self._folder.reserve.unlink()
            self._record.flush()

    def _make_again(self) -> None:
        self._folder.make_again()
        self._record.restore()
        self._configuration.write(self._folder)
        _logger.error("%s was removed: it was made again, with everything finished so far", self._folder.path)

    def _stop_because(self, reason: str) -> None:
        if not self._stop.reason:
            _logger.error("%s; no new simulation is begun", reason)
        self._stop.request(reason)


def _set_aside(path: Path, size: int) -> None:
    """Take so many bytes of the disk; a disk or a file system that can't give them has no reserve."""
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except (OSError, AttributeError):  # macOS has no such call
        path.unlink(missing_ok=True)
