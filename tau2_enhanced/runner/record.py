"""The run's record: one line for each simulation that ended or was given up, appended and fsynced, never rewritten.

Finishing a simulation costs the same at the first and at the ten-thousandth, and what is in the record
survives whatever happens to the process. Everything else a run writes can be made from it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import may_hold_secret, scrub_values
from tau2_enhanced.runner.jobs import JobKey, Outcome, Status

_PIECE = 2**20


class Entry(NamedTuple):
    """An outcome of the record, without its messages, and where its line stands."""

    outcome: Outcome
    offset: int
    size: int


class Record:
    """The outcomes of a run, by job; of several attempts at one, the one that counts.

    In memory an outcome has no messages (`simulation` is empty): `load` reads them from the file, which is kept
    open: what it holds can still be had when its folder was removed.
    """

    def __init__(self, path: Path, *, to_read: bool = False) -> None:
        """`to_read` leaves the file as it is, which another process may be writing."""
        self._path = path
        self._entries: dict[JobKey, Entry] = {}
        self._pending: list[Outcome] = []
        self.repaired_bytes = 0
        """How much of a torn last line was cut off."""
        self.last_ended_ms = 0.0
        self.spent_usd = 0.0
        """Known costs of all attempts, those included that had to be repeated."""
        self._size = 0
        self._file: IO[bytes] | None = None
        if path.exists():
            self._read(mend=not to_read)

    @property
    def unwritten(self) -> Sequence[Outcome]:
        """Outcomes that could not be put on disk so far, the first ones first."""
        return self._pending

    def outcome(self, key: JobKey) -> Outcome | None:
        """What a simulation came to; None where it never ended."""
        entry = self._entries.get(key)
        return entry.outcome if entry is not None else None

    def outcomes(self) -> list[Outcome]:
        return [entry.outcome for entry in self._entries.values()]

    def load(self, key: JobKey) -> dict[str, Any]:
        """The tau2 SimulationRun of an outcome."""
        entry = self._entries[key]
        if self._file is None:
            self._file = self._open()
        line = os.pread(self._file.fileno(), entry.size, entry.offset)
        simulation: dict[str, Any] = json.loads(line)["simulation"]
        return simulation

    def append(self, *outcomes: Outcome) -> None:
        """Put outcomes on disk. Raises OSError where that fails; what is not there is then kept for the next try."""
        self._pending += outcomes
        self.flush()

    def flush(self) -> None:
        """Put on disk what could not be written before. Raises OSError, FileNotFoundError where the file is gone."""
        if len(self._pending) > 1:
            # one fsync for all; where there is no room for all there may be for some
            with suppress(OSError):
                self._write(self._pending)
                self._pending.clear()
        while self._pending:
            self._write(self._pending[:1])
            self._pending.pop(0)

    @property
    def is_gone(self) -> bool:
        """Whether the file was removed under our hands."""
        return self._file is not None and not self._path.exists()

    def restore(self) -> None:
        """Write a file that was removed anew, in a folder that is there. Raises OSError."""
        if self._file is None:
            return
        with self._path.open("xb") as anew:
            try:
                offset = 0
                while piece := os.pread(self._file.fileno(), min(_PIECE, self._size - offset), offset):
                    anew.write(piece)
                    offset += len(piece)
                anew.flush()
                os.fsync(anew.fileno())
            except OSError:
                # a part of it would be taken for another file, at the next try too
                self._path.unlink()
                raise
        self.close()
        self._file = self._open()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> IO[bytes]:
        return open(self._path, "r+b", buffering=0, opener=lambda path, _: os.open(path, os.O_RDWR | os.O_CREAT, 0o644))

    def _own_file(self) -> IO[bytes]:
        """The file, as long as it lies where it should."""
        if self._file is None:
            self._file = self._open()
        elif not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
            other = self._open()
            if os.fstat(other.fileno()).st_size != self._size:
                other.close()
                raise OSError(errno.ESTALE, "another file is in its place", str(self._path))
            self.close()
            self._file = other
        return self._file

    def _write(self, outcomes: Sequence[Outcome]) -> None:
        lines = [_line_of(outcome.to_json()) for outcome in outcomes]
        content = b"".join(lines)
        descriptor = self._own_file().fileno()
        try:
            written = 0
            while written < len(content):
                written += os.pwrite(descriptor, content[written:], self._size + written)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        for outcome, line in zip(outcomes, lines, strict=True):
            self._remember(outcome, self._size, len(line))
            self._size += len(line)

    def _remember(self, outcome: Outcome, offset: int, size: int) -> None:
        known = self.outcome(outcome.key)
        if known is None or known.status is not Status.VERDICT or outcome.status is Status.VERDICT:
            outcome.simulation = {}
            self._entries[outcome.key] = Entry(outcome, offset, size)
        self.last_ended_ms = max(self.last_ended_ms, outcome.ended_ms)
        self.spent_usd += outcome.known_cost_usd
        if known is not None and outcome.continues == known.sim:
            # its account holds the conversation's, which is counted already
            self.spent_usd -= known.known_cost_usd

    def _read(self, *, mend: bool) -> None:
        offset = 0
        for number, line in enumerate(_lines(self._path), 1):
            if not line.endswith(b"\n"):
                if mend:
                    os.truncate(self._path, offset)
                    self.repaired_bytes = len(line)
                break
            try:
                outcome = Outcome.from_json(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise UserMistake(
                    f"{self._path} is damaged in line {number} ({type(error).__name__}); nothing was changed: "
                    "delete that line to run its simulation again"
                ) from None
            self._remember(outcome, offset, len(line))
            offset += len(line)
        self._size = offset
        if mend:
            self._file = self._open()


def _line_of(document: Any) -> bytes:
    """A line of the record, without secrets."""
    text = json.dumps(document, separators=(",", ":"))
    if may_hold_secret(text):
        text = json.dumps(scrub_values(document), separators=(",", ":"))
    return text.encode() + b"\n"


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise UserMistake(f"{path} can't be read: {error.strerror}") from None
