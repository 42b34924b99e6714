"""A file of events that shows what was done to it: each line is chained to the line before.

A line is a JSON object whose first member is `seq`, its number in the file from 0, and whose last is `digest`:

    digest = SHA-256(digest of the line before + "\\n" + the line up to `,"digest"`)

in hexadecimal, with 64 zeros before the first line. A changed, inserted, swapped or dropped line breaks the
chain at that place, and so does a changed blank: what counts are the bytes.

What this proves: that nobody changed part of the file by hand, and that no line was lost. What it does not
prove: anything about someone who writes the whole file anew with new digests, or takes lines off its end
together with the closing one. Who keeps the last digest elsewhere (`AuditFile.head`) can tell that, too.

A file that is closed in order ends in an `audit` line with `action` closed. One whose writer was killed does
not, and may end in part of a line: that part is cut off when the file is opened again, and the chain goes on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tau2_enhanced.logging.context import TaskContext
from tau2_enhanced.logging.events import AuditEvent, BrokenLine, from_json, to_json

_START = "0" * 64
_SEALED = re.compile(rb'\{"seq":(\d+),.*,"digest":"([0-9a-f]{64})"\}', re.DOTALL)
_SEAL_LENGTH = len(',"digest":""}') + 64
_FIRST = b'{"seq":0,'
"""How every file of chained lines begins."""
_BLOCK = 1 << 16


class State(StrEnum):
    """What `verify` found."""

    INTACT = "intact"
    """Every line is true, and the file was closed."""
    OPEN = "open"
    """Every line is true; the file was not closed: its writer still writes or was killed, or lines were taken off."""
    CUT = "cut"
    """As open, and the last line is not whole."""
    CHANGED = "changed"
    """A line is not what was written."""
    DROPPED = "dropped"
    """Lines are missing."""
    FOREIGN = "foreign"
    """Something else: not one line is of a chain."""


class Verdict(NamedTuple):
    """What a file's digests say."""

    state: State
    lines: int
    """Lines whose chain holds, from the first on."""
    head: str
    """The digest of the last of them."""

    @property
    def holds(self) -> bool:
        """Nothing that is there was changed, and nothing before it is missing."""
        return self.state in (State.INTACT, State.OPEN, State.CUT)

    def __str__(self) -> str:
        said = {
            State.INTACT: f"intact: {self.lines} lines",
            State.OPEN: f"intact so far: {self.lines} lines, not closed",
            State.CUT: f"intact for {self.lines} lines, then cut in the middle of a line",
            State.CHANGED: f"changed at line {self.lines + 1}",
            State.DROPPED: f"lines dropped after line {self.lines}",
            State.FOREIGN: "holds no chained events",
        }
        return said[self.state]


def verify(path: Path | str, head: str | None = None) -> Verdict:
    """Check every line of a file. `head` is its last digest, if that was kept elsewhere. Raises OSError."""
    digest, count, last = _START, 0, b""
    with Path(path).open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                if not count and not _begins_a_file(line[: len(_FIRST)]):
                    return Verdict(State.FOREIGN, count, digest)
                return Verdict(State.CUT if head in (None, digest) else State.DROPPED, count, digest)
            sealed = _SEALED.fullmatch(line, 0, len(line) - 1)
            if sealed is None or _digest(digest, line[: -_SEAL_LENGTH - 1]) != sealed[2].decode():
                if sealed is None and not count and not any(map(_is_sealed, file)):
                    return Verdict(State.FOREIGN, count, digest)
                dropped = sealed is not None and int(sealed[1]) > count
                return Verdict(State.DROPPED if dropped else State.CHANGED, count, digest)
            digest, count, last = sealed[2].decode(), count + 1, line
    if head not in (None, digest):
        return Verdict(State.DROPPED, count, digest)
    return Verdict(State.INTACT if _closes(last) else State.OPEN, count, digest)


def _is_sealed(line: bytes) -> bool:
    return _SEALED.fullmatch(line.removesuffix(b"\n")) is not None


def _closes(line: bytes) -> bool:
    try:
        event = from_json(line)
    except BrokenLine:
        return False
    return isinstance(event, AuditEvent) and event.action == "closed"


def _digest(before: str, body: bytes) -> str:
    return sha256(before.encode() + b"\n" + body).hexdigest()


class AuditFile:
    """Appends chained lines to a file, from many threads, and from one process at a time.

    `auto_flush` hands every line to the operating system before `write` returns, so that killing the process
    loses none of them; otherwise lines gather until there are 64 KiB of them. Use `opened`, which gives all
    who write to one path the same instance.
    """

    def __init__(self, path: Path, auto_flush: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.auto_flush = auto_flush
        self.users = 0
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._take()
        except BaseException:  # whatever it was, ^C too: nobody else closes the file
            os.close(self._fd)
            raise

    def _take(self) -> None:
        """Keep others out, cut off what a killed writer left unfinished, and go on from the last line."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process writes to it", str(self.path)) from None
        size = os.fstat(self._fd).st_size
        last, end = _last_line(self._fd, size)
        self.seq, self.head = 0, _START
        if last:
            sealed = _SEALED.fullmatch(last)
            if sealed is None:
                raise ValueError(f"{self.path} ends in a line that is no chained event")
            self.seq, self.head = int(sealed[1]) + 1, sealed[2].decode()
        elif not _begins_a_file(os.pread(self._fd, len(_FIRST), 0)):
            raise ValueError(f"{self.path} holds no chained events")
        if end < size:
            os.ftruncate(self._fd, end)
        self._end = end
        if size:
            self._mark("reopened", size - end)

    @property
    def inherited(self) -> bool:
        """Opened before this process was forked: the file stays its parent's."""
        return self._pid != os.getpid()

    def write(self, text: str) -> None:
        """Append a JSON object, given on one line, as the next of the chain.

        Raises OSError where that fails, and in a forked child of the process that opened the file.
        """
        if self.inherited:
            raise OSError(errno.EPERM, "opened by another process", str(self.path))
        with self._lock:
            body = f'{{"seq":{self.seq},{text[1:-1]}'.encode("utf-8", "backslashreplace")
            self.head = _digest(self.head, body)
            self.seq += 1
            self._waiting.append(body + b',"digest":"' + self.head.encode() + b'"}\n')
            self._waiting_size += len(body)
            if self.auto_flush or self._waiting_size >= _BLOCK:
                self._flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self.inherited:
            return  # what waits is the parent's to write
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        data = memoryview(b"".join(self._waiting))
        size = len(data)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # a part of a line must not stay: all of it is written again with the next line
            os.ftruncate(self._fd, self._end)
            raise
        self._end += size
        self._waiting.clear()
        self._waiting_size = 0

    def close(self) -> None:
        """Write the closing line and give the file back. Raises OSError where the line can't be written."""
        if self.inherited:
            self._give_back()
            return
        try:
            self._mark("closed")
            self.flush()
        finally:
            with self._lock:
                # a forked child may have the file open still, and would go on holding the lock
                fcntl.flock(self._fd, fcntl.LOCK_UN)
                self._give_back()

    def _give_back(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            # a number that was given back may be another file's by now
            self._fd = -1

    def _mark(self, action: str, cut_size: int = 0) -> None:
        event = AuditEvent(action=action, cut_size=cut_size or None)
        event.stamp(TaskContext())
        self.write(to_json(event))


def _last_line(fd: int, size: int) -> tuple[bytes, int]:
    """The last whole line without its end, and where it ends in the file."""
    tail, start = b"", size
    while start > 0:
        step = min(_BLOCK, start)
        start -= step
        tail = os.pread(fd, step, start) + tail
        lines = tail.rsplit(b"\n", 2)
        if len(lines) == 3 or (start == 0 and len(lines) == 2):
            return lines[-2], start + len(tail) - len(lines[-1])
    return b"", 0


def _begins_a_file(data: bytes) -> bool:
    """Whether the first bytes are a chained file's, as far as they go: anything else is not ours to cut off."""
    return data == _FIRST[: len(data)]


_files: dict[Path, AuditFile] = {}
_files_lock = threading.Lock()


def _forget_files() -> None:
    """In a forked child: its parent's files are not its own, and who held the lock is not here to give it back."""
    global _files_lock
    _files_lock = threading.Lock()
    _files.clear()


os.register_at_fork(after_in_child=_forget_files)


def opened(path: Path | str, auto_flush: bool = True) -> AuditFile:
    """The file at `path`, the same for all who have it open in this process; each calls `released`.

    Raises OSError where it can't be written or another process writes to it, ValueError where it holds other things.
    """
    place = Path(path).resolve()
    with _files_lock:
        file = _files.get(place)
        if file is None:
            file = _files[place] = AuditFile(place, auto_flush)
        file.users += 1
        file.auto_flush |= auto_flush
        return file


def released(file: AuditFile) -> None:
    """Say that one who opened the file is done; the last one closes it."""
    if file.inherited:
        file.close()
        return
    with _files_lock:
        file.users -= 1
        if not file.users and _files.pop(file.path, None) is not None:
            file.close()
