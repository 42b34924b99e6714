"""What benchmarks share: processes that are watched, the stand-in to run against, tables, and where they ran."""

from __future__ import annotations

import os
import platform
import pty
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

CHECKOUT = Path(__file__).resolve().parent.parent
RUN_LOCAL = [sys.executable, str(CHECKOUT / "run_local.py")]
_LOOKS_PER_SECOND = 50
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Look(NamedTuple):
    """A process at a moment."""

    at: float
    """Seconds since 1970."""
    cpu_s: float
    """User and system time of all its threads so far, its children's not."""
    peak_mb: float
    """The most memory that it has had so far."""


class Watched:
    """A process that has ended, and how it was (Linux: from /proc)."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        *,
        on_terminal: bool = False,
    ) -> None:
        """Run a command to its end, its stderr a terminal if so asked. Raises RuntimeError where it fails."""
        self.started = time.time()
        terminal, of_process = pty.openpty() if on_terminal else (None, subprocess.STDOUT)
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=of_process,
            text=True,
        )
        if terminal is not None:
            os.close(of_process)
            threading.Thread(target=_read_all, args=(terminal,), daemon=True).start()
        self.looks: list[Look] = []
        watching = threading.Thread(target=self._watch, args=(process,))
        watching.start()
        self.said = process.communicate()[0]
        watching.join()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: {self.said[-2000:]}")

    def cpu_s(self, begin: float, end: float) -> float:
        """CPU seconds between two moments."""
        return self._at(end).cpu_s - self._at(begin).cpu_s

    def peak_mb(self) -> float:
        return self.looks[-1].peak_mb

    def _at(self, moment: float) -> Look:
        place = bisect_left(self.looks, moment, key=lambda look: look.at)
        return self.looks[min(place, len(self.looks) - 1)]

    def _watch(self, process: subprocess.Popen[str]) -> None:
        while (look := look_at(process.pid)) is not None:
            self.looks.append(look)
            time.sleep(1 / _LOOKS_PER_SECOND)


def _read_all(terminal: int) -> None:
    """Look at a terminal until nobody writes to it."""
    with os.fdopen(terminal, "rb", buffering=0) as screen, suppress(OSError):
        while screen.read(65536):
            pass


def look_at(pid: int) -> Look | None:
    """A process now; None where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    if "VmHWM:" not in status:
        return None
    ticks = int(fields[11]) + int(fields[12])
    return Look(time.time(), ticks / _TICKS_PER_SECOND, int(status.partition("VmHWM:")[2].split()[0]) / 1024)


class StandIn(NamedTuple):
    """`tau2-enhanced serve`, running."""

    url: str
    pid: int


@contextmanager
def stand_in(*flags: str) -> Iterator[StandIn]:
    """The stand-in in a process of its own, on a free port, for as long as the block runs."""
    command = [sys.executable, str(CHECKOUT / "tau2-enhanced"), "serve", "--port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        yield StandIn(process.stdout.readline().partition(",")[0], process.pid)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def against(url: str) -> list[str]:
    """The flags by which `run_local.py` is answered by a stand-in that runs already."""
    model = "vllm/gold"
    return ["--agent-model", model, "--agent-base-url", url, "--user-model", model, "--user-base-url", url]


def where() -> str:
    """The machine, in a line."""
    cores = len(os.sched_getaffinity(0))
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {cores} cores, load {load}"


def show(table: Table) -> None:
    """Print a table and where it was measured."""
    table.title_justify = "left"
    Console(width=150).print(table)
    print(where())
