"""Servers that the runner starts, waits for and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.ports import check_port
from tau2_enhanced.models.vllm import supervisor
from tau2_enhanced.models.vllm.commands import ServerCommand
from tau2_enhanced.models.vllm.probe import Health, Probe

_ASKS_EVERY_S = 0.25
_SAYS_EVERY_S = 30.0
_LAST_LINES = 15
_LONGEST_LINE = 120
_LAST_BYTES = 16_384
_SUPERVISOR_ENDS_WITHIN_S = 6.0
_NO_TEXT = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""What would move a terminal's cursor or change its colours."""


class ServerProcesses:
    """The servers of a run, beneath a supervisor that ends them when this process ends, whatever ends it."""

    def __init__(
        self,
        commands: Sequence[ServerCommand],
        log_dir: Path,
        *,
        stagger_delay_s: float = 0.0,
    ) -> None:
        """Start them, each `stagger_delay_s` after the one before. Raises UserMistake for a port that is taken."""
        for command in commands:
            # a server that runs there already would be taken for the one that is started
            check_port(command.port, "--start-port")
        self.commands = commands
        self._log_dir = log_dir
        self._delay_s = stagger_delay_s
        self._on_end: Callable[[int, str], None] | None = None
        self._pids: dict[int, int] = {}
        self._ended: dict[int, str] = {}
        self._closing = False
        self._told = threading.Condition()
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", supervisor.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # what ends the runner's group must not end this one before it has done its work
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="vllm servers", daemon=True)
        self._listener.start()
        self._tell(commands)

    def log(self, port: int) -> Path:
        """Where a server's output goes."""
        return self._log_dir / f"vllm_port_{port}.log"

    def wait(self, timeout_s: float, say: Callable[[str], None], *, says_every_s: float = _SAYS_EVERY_S) -> None:
        """Return when all servers answer. Raises UserMistake where one ends or does not.

        `say` is told of each that answers, and meanwhile how far the others are.
        """
        began, waiting = time.monotonic(), {command.port: Probe(command.base_url) for command in self.commands}
        said = began
        try:
            while waiting:
                for port, probe in list(waiting.items()):
                    if probe.health() is Health.WELL and port not in self._ended:
                        say(f"port {port} answers after {time.monotonic() - began:.1f} s")
                        waiting.pop(port).close()
                with self._told:
                    if not self._ended and waiting:
                        self._told.wait(_ASKS_EVERY_S)
                    for port, how in self._ended.items():
                        raise UserMistake(self._failure(port, f"{how} before all servers answered", say))
                if waiting and time.monotonic() - said >= says_every_s:
                    said = time.monotonic()
                    for port in waiting:
                        last = "".join(self.last_lines(port)[-1:])[:_LONGEST_LINE]
                        say(f"port {port} does not answer yet after {said - began:.0f} s: {last or 'no output'}")
                if waiting and time.monotonic() - began > timeout_s:
                    port = next(iter(waiting))
                    raise UserMistake(self._failure(port, f"did not answer within {timeout_s:g} s", say))
        finally:
            for probe in waiting.values():
                probe.close()

    def tell(self, on_end: Callable[[int, str], None]) -> None:
        """Let `on_end` be told, from another thread, of each that ends by itself: its port and how it ended."""
        with self._told:
            self._on_end = on_end
            missed = list(self._ended.items())
        for ended in missed:
            on_end(*ended)

    def _failure(self, port: int, what: str, say: Callable[[str], None]) -> str:
        for line in self.last_lines(port):
            say(f"{port}: {line}")
        return f"the server on port {port} {what}; its output: {self.log(port)}"

    def last_lines(self, port: int) -> list[str]:
        """The end of a server's output, without secrets and without colours and the like."""
        try:
            with self.log(port).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = deque(file.read().decode("utf-8", "replace").splitlines(), _LAST_LINES)
        except OSError:
            return []
        plain = (_NO_TEXT.sub("", line).rstrip() for line in lines)
        return [scrub(line) for line in plain if line]

    @property
    def all_ended(self) -> bool:
        return len(self._ended) == len(self.commands)

    def _tell(self, commands: Sequence[ServerCommand]) -> None:
        plan = [
            {
                "port": command.port,
                "arguments": command.arguments,
                "environment": command.environment,
                "log": str(self.log(command.port)),
                "delay_s": number * self._delay_s,
            }
            for number, command in enumerate(commands)
        ]
        assert self._supervisor.stdin is not None
        with suppress(BrokenPipeError):
            self._supervisor.stdin.write(json.dumps(plan) + "\n")
            self._supervisor.stdin.flush()

    def _listen(self) -> None:
        assert self._supervisor.stdout is not None
        for line in self._supervisor.stdout:
            self._heed(json.loads(line))
        if not self._closing:
            self._kill_all()
            for command in self.commands:
                self._heed({"port": command.port, "error": "its supervisor was killed"})

    def _heed(self, told: dict[str, Any]) -> None:
        port = told["port"]
        with self._told:
            if "pid" in told:
                self._pids[port] = told["pid"]
                return
            if port in self._ended or self._closing:
                return
            self._ended[port] = f"ended ({told.get('error') or _exit(told['code'])})"
            self._pids.pop(port, None)
            on_end = self._on_end
            self._told.notify_all()
        if on_end is not None:
            on_end(port, self._ended[port])

    def _kill_all(self) -> None:
        """Without the supervisor nobody else would."""
        for pid in self._pids.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def close(self) -> None:
        """End the servers; return when none is left."""
        with self._told:
            self._closing = True
        assert self._supervisor.stdin is not None
        with suppress(BrokenPipeError):
            self._supervisor.stdin.close()
        try:
            self._supervisor.wait(_SUPERVISOR_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
            self._kill_all()
        self._listener.join()
        assert self._supervisor.stdout is not None
        self._supervisor.stdout.close()

    def __enter__(self) -> ServerProcesses:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _exit(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.strsignal(-code) or f"signal {-code}"
