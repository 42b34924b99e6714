"""What tests name: a run that has ended, and the types of the shared fixtures."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tau2_enhanced.logging.events import ExecutionEvent, parse_line

CHECKOUT = Path(__file__).parent.parent
STUB_VLLM = f"{sys.executable} {CHECKOUT / 'tests' / 'stub_vllm.py'}"
"""`--vllm-command` for a stub of vLLM; needs the fixture `vllm_stub`."""
TAU2_1 = "TAU2_SOURCE" in os.environ
"""The tests run on tau2 1.0, whose checkout is named."""
MOCK_TASKS = 10 if TAU2_1 else 9
"""How many tasks the domain mock has."""
NEVER_PASSED = {"update_task_with_history_and_env_assertions"} | ({"update_task_with_user_tools"} if TAU2_1 else set())
"""Those of them whose reward asks for more than their gold actions do."""


@dataclass
class Run:
    """A run that has ended, and what it left in its folder."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self._outputs / "run" / "summary.json").read_text())

    @property
    def record(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self._outputs / "run" / "record.jsonl").read_text().splitlines()]

    @property
    def _outputs(self) -> Path:
        return self.folder / "outputs" / "R"

    def results(self, domain: str) -> Path:
        return self._outputs / f"{domain}.json"

    def events(self, domain: str, kind: str | None = None) -> list[ExecutionEvent]:
        lines = (self.folder / "logs" / f"eval_{domain}.log").read_text().splitlines()
        events = [event for line in lines if (event := parse_line(line)) is not None]
        assert len(events) == len(lines)
        return [event for event in events if kind is None or event.type == kind]


RunLocal = Callable[..., Run]
"""Runs `run_local.py` with flags."""
Spawn = Callable[..., "subprocess.Popen[str]"]
"""Starts `run_local.py` with flags."""
StandIn = Callable[..., str]
"""Starts the stand-in with flags; its base URL."""


def free_ports(count: int) -> int:
    """The first of so many ports that follow each other and are free now."""
    while True:
        start = random.randrange(20_000, 32_000 - count)  # below what Linux gives out by itself
        with ExitStack() as closing, suppress(OSError):
            for port in range(start, start + count):
                closing.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return start


def processes_of(notes: Path) -> list[int]:
    """The living processes of the stubs of vLLM that keep their notes there: servers and their children."""
    pids = [pid for file in notes.glob("*.pid") for pid in json.loads(file.read_text())]
    return [pid for pid in pids if lives(pid)]


def descendants(pid: int) -> set[int]:
    """The living processes below one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, newest = set[int](), {pid}
    while newest := {child for child, parent in parents.items() if parent in newest} - found:
        found |= newest
    return found


def lives(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], within_s: float = 60) -> None:
    """Return when the condition holds or the process has ended."""
    deadline = time.monotonic() + within_s
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)  # another process is waited for, and only its files can tell


@contextmanager
def served(*flags: str) -> Iterator[int]:
    """`tau2-enhanced serve` with these flags, on a free port."""
    command = [sys.executable, str(CHECKOUT / "tau2-enhanced"), "serve", "--port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    begun = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/v1, until \^C\n", process.stdout.readline())
    assert begun is not None
    yield int(begun[1])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def said(simulation: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Who said what in a recorded simulation, and what tools answered."""
    return [(m["role"], m["content"], m.get("tool_calls"), m.get("error")) for m in simulation["messages"]]
