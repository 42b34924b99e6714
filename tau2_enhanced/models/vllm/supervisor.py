"""Starts servers and ends them with the runner, however that ends.

Run as a process of its own (`tau2_enhanced.models.vllm.processes`), with the standard library alone. Its standard
input is a pipe from the runner: one line of JSON says what to start, and its end, which comes with the runner's own,
even by `kill -9`, says that everything has to go. Each server is a process group of its own, which is ended as a
whole; what has left its group is found as an orphan, which Linux hands to this process.

On standard output stands a line of JSON for each server that starts (`port`, `pid`) or ends (`port`, `code`).
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

_LOOKS_EVERY_S = 0.1
GRACE_S = 3.0
"""Between asking the servers to end and killing them."""
_KILLED_WITHIN_S = 1.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class _Server:
    """One server, from its start to its end."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.port: int = plan["port"]
        with open(plan["log"], "ab") as log:
            self._process = subprocess.Popen(
                plan["arguments"],
                env={**os.environ, **plan["environment"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if _LIBC else None,
            )
        self.pid = self._process.pid
        self.ended = False

    def poll(self) -> int | None:
        """The exit code, once; what the server leaves behind in its group is killed."""
        if self.ended or (code := self._process.poll()) is None:
            return None
        self.ended = True
        self.signal(signal.SIGKILL)
        return code

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    @property
    def has_processes(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def _die_with_parent() -> None:
    """Between fork and exec: be killed should the supervisor itself be killed."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Ending(Exception):
    """The runner has gone, or someone ends the supervisor."""


def main() -> None:
    """Start what standard input says, and end it all when standard input ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    servers: list[_Server] = []
    try:
        _supervise(json.loads(sys.stdin.readline() or "[]"), servers)
    except (_Ending, BrokenPipeError):
        pass
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        end(servers)


def _supervise(plans: list[dict[str, Any]], servers: list[_Server]) -> None:
    began = time.monotonic()
    while True:
        while plans and time.monotonic() - began >= plans[0]["delay_s"]:
            plan = plans.pop(0)
            try:
                servers.append(_Server(plan))
                _say(port=plan["port"], pid=servers[-1].pid)
            except OSError as error:
                _say(port=plan["port"], error=f"{error.filename}: {error.strerror}")
        for server in servers:
            if (code := server.poll()) is not None:
                _say(port=server.port, code=code)
        if select.select([sys.stdin], [], [], _LOOKS_EVERY_S)[0] and not os.read(sys.stdin.fileno(), 1):
            raise _Ending


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ending


def _say(**told: Any) -> None:
    # nothing may stay in a buffer: at the end there may be nobody to write it to
    os.write(sys.stdout.fileno(), (json.dumps(told) + "\n").encode())


def end(servers: Iterable[_Server]) -> None:
    """Ask all servers to end, and kill what has not ended after the grace, children of children included."""
    servers = list(servers)
    for server in servers:
        server.signal(signal.SIGTERM)
    until = time.monotonic() + GRACE_S
    while any(server.has_processes for server in servers) and time.monotonic() < until:
        _reap()
        time.sleep(_LOOKS_EVERY_S / 2)
    for server in servers:
        server.signal(signal.SIGKILL)
    until = time.monotonic() + _KILLED_WITHIN_S
    while (left := _descendants()) and time.monotonic() < until:
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(_LOOKS_EVERY_S / 10)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _descendants() -> set[int]:
    """All living processes below this one; those that Linux knows of."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # the name, in brackets, may hold anything
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    found, newest = set[int](), {os.getpid()}
    while newest := {pid for pid, parent in parents.items() if parent in newest} - found:
        found |= newest
    return found


if __name__ == "__main__":
    main()
