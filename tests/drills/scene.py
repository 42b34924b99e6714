"""Where a drill takes place: a folder, the stand-in in a process of its own, and runs one after another.

What a run told its user is compared with what is there in the end, so nothing here trusts the record alone.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT

from tau2_enhanced.logging.events import BrokenLine, ExecutionEvent, TaskCompleteEvent, parse_line
from tau2_enhanced.models.stand_in.gold import Play, write_plays

Plays = dict[tuple[str, str], Play]
Key = tuple[str, int]
"""A simulation: its task and trial."""

EARLY = 10
"""Simulations that have ended when a fault begins."""
_GIVES_UP_AFTER_S = 240.0
_ENDED = re.compile(r"^\[ *\d+/\d+\] \w+ (?P<task>\S+) #(?P<trial>\d+): reward", re.MULTILINE)
"""A line by which the plain display tells that a simulation has its verdict."""


@dataclass(frozen=True)
class Row:
    """What a drill came to."""

    fault: str
    said: str
    """The line that told the user."""
    wanted: int
    finished: int
    """Simulations with a verdict before the run was resumed."""
    lost: int
    """Verdicts that were announced, and are not there or were made again."""
    again: int
    """Simulations that had ended, could not be recorded, and so had to be run again."""
    doubled: int
    """Simulations with two verdicts in the record or two entries in tau2's results."""
    code: int
    """The exit code of the run that met the fault."""
    seconds: float
    """How long that run took."""


class Server:
    """The stand-in on a port that it keeps when it is started again."""

    def __init__(self, plays: Plays, *flags: str, within: Sequence[str] = ()) -> None:
        self._plays = plays
        self._flags = flags
        self._within = within
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        module = "tau2_enhanced.models.stand_in.server"
        self._process = subprocess.Popen(
            [*self._within, sys.executable, "-m", module, "--port", str(self._port), *self._flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(write_plays(self._plays) + "\n")
        self._process.stdin.flush()
        self._port = int(self._process.stdout.readline())

    def mend(self) -> None:
        """Start it again, on the same port and without faults."""
        self.kill()
        self._flags = ()
        self.start()

    def kill(self) -> None:
        """End it at once, as a machine does that goes down."""
        self._process.kill()
        self._process.communicate()

    def pause(self) -> None:
        """Connections are still taken, by the system, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


class Part:
    """A run, or the part of it that one process did."""

    def __init__(self, command: Sequence[str], folder: Path, number: int, **options: Any) -> None:
        self._out, self._err = folder / f"part-{number}.out", folder / f"part-{number}.err"
        self._began = time.monotonic()
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, **options
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def announced(self) -> list[Key]:
        """The simulations whose verdict the user was told of."""
        return [(found["task"], int(found["trial"])) for found in _ENDED.finditer(self.err)]

    def until(self, condition: Callable[[], object]) -> None:
        """Return when the condition holds. Raises AssertionError where the run ends before."""
        deadline = time.monotonic() + _GIVES_UP_AFTER_S
        while not condition():
            assert self.process.poll() is None, f"the run ended too early:\n{self.out}\n{self.err}"
            assert time.monotonic() < deadline, f"nothing came of it:\n{self.err}"
            time.sleep(0.01)  # another process is waited for, and only its files can tell

    def until_announced(self, count: int) -> None:
        self.until(lambda: len(self.announced()) >= count)

    def end(self) -> None:
        """Wait for its end."""
        self.process.wait(_GIVES_UP_AFTER_S)
        self.seconds = time.monotonic() - self._began

    def said(self, pattern: str) -> str:
        """The first line that tells the user so. Raises AssertionError where none does."""
        lines = [line for line in (self.err + self.out).splitlines() if re.search(pattern, line)]
        assert lines, f"nobody was told {pattern!r}:\n{self.err}\n{self.out}"
        return lines[0]


class Scene:
    """A run called R over mock's tasks, in a folder of its own, against a server of its own."""

    def __init__(self, folder: Path, plays: Plays, *, tasks: int, long: bool) -> None:
        """`long` drills have faults of a minute, the others are over in seconds."""
        self.folder = folder
        self.long = long
        self.fault_s = 60.0 if long else 3.0
        """How long a fault lasts that passes."""
        self.trials = 40 if long else 12
        self.wanted = tasks * self.trials
        self.latency_s = 0.2 if long else 0.05
        self.parts: list[Part] = []
        self.within: Sequence[str] = ()
        """A command that runs another one elsewhere."""
        self.faulty: Sequence[str] = ()
        """The server's flags for faults."""
        self._plays = plays
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """Started when it is first asked for."""
        if self._server is None:
            self._server = Server(self._plays, "--latency", str(self.latency_s), *self.faulty, within=self.within)
        return self._server

    @property
    def run_folder(self) -> Path:
        return self.folder / "outputs" / "R"

    @property
    def record(self) -> Path:
        return self.run_folder / "run" / "record.jsonl"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def start(self, *flags: str, **options: Any) -> Part:
        """The run's first part."""
        return self._spawn("--domains", "mock", "--num-trials", str(self.trials), "--run-id", "R", *flags, **options)

    def resume(self, *flags: str, **options: Any) -> Part:
        return self._spawn("--resume", "R", *flags, **options)

    def _spawn(self, *flags: str, **options: Any) -> Part:
        url = self.server.url
        models = [f"--{role}-{flag}" for role in ("agent", "user") for flag in ("model=vllm/gold", f"base-url={url}")]
        command = [*self.within, sys.executable, str(CHECKOUT / "run_local.py"), "--display", "plain", *models, *flags]
        part = Part(command, self.folder, len(self.parts), **options)
        self.parts.append(part)
        return part

    def status(self, *flags: str) -> str:
        """What `tau2-enhanced status` says of the run."""
        command = [*self.within, sys.executable, str(CHECKOUT / "tau2-enhanced"), "status", "R", *flags]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout

    def ended(self, fault: str, said: str, *, said_instead: str = "", go_on: Callable[[], Part] | None = None) -> Row:
        """Resume the run, which must then be whole; what came of it all.

        `said` matches the line that told the user, unless another process said it (`said_instead`). `go_on` starts the
        last part where that is not `resume`.
        """
        first = self.parts[0]
        first.end()
        line = (said_instead or first.said(said)).splitlines()[0]
        again = self._ended_in_log() - set(self._verdicts())
        last = (go_on or self.resume)()
        last.end()
        assert last.process.returncode == 0, last.out + last.err
        told: set[Key] = set()
        lost: set[Key] = set()
        for part in self.parts:
            now = part.announced()
            assert len(now) == len(set(now)), "told twice"
            lost |= told & set(now)
            told |= set(now)
        results, verdicts = self._results(), self._verdicts()
        assert set(verdicts) == set(results), "tau2's results are not the record's"
        assert len(results) == self.wanted, "simulations are missing"
        lost |= told - set(results)
        doubled = {key for counts in (results, verdicts) for key, count in counts.items() if count > 1}
        return Row(
            fault,
            line,
            self.wanted,
            len(first.announced()),
            len(lost),
            len(again),
            len(doubled),
            first.process.returncode,
            first.seconds,
        )

    def _ended_in_log(self) -> set[Key]:
        log = self.logs / "eval_mock.log"
        lines = log.read_text().splitlines() if log.exists() else []
        events = [event for line in lines if isinstance(event := _event(line), TaskCompleteEvent)]
        return {(str(event.task), int(event.trial or 0)) for event in events if event.reward is not None}

    def outcomes(self) -> list[dict[str, Any]]:
        """The record's lines."""
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []

    def _verdicts(self) -> Counter[Key]:
        verdicts = [line for line in self.outcomes() if line["status"] == "verdict"]
        assert not [line["error"] for line in verdicts if line["error"]], "a fault became a verdict"
        return Counter((line["task"], line["trial"]) for line in verdicts)

    def _results(self) -> Counter[Key]:
        results = json.loads((self.run_folder / "mock.json").read_text())
        return Counter((found["task_id"], found["trial"]) for found in results["simulations"])

    def close(self) -> None:
        """Leave no process behind."""
        for part in self.parts:
            if part.process.poll() is None:
                part.process.kill()
                part.process.wait()
        if self._server is not None:
            with suppress(OSError):
                self._server.go_on()
            self._server.kill()


def _event(line: str) -> ExecutionEvent | None:
    try:
        return parse_line(line)
    except BrokenLine:  # a full disk tears one
        return None


@contextmanager
def small_file_system(place: Path, megabytes: int) -> Iterator[None]:
    """A file system of that size at `place`. Skips the test where none may be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Use up all that is left of a file system; the file that does."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1))
    return ballast
