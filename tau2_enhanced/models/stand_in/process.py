"""Starting the stand-in beside the runner, and ending it with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from tau2_enhanced.errors import Tau2EnhancedError
from tau2_enhanced.models.stand_in.gold import Play, write_plays


class StandInProcess:
    """The stand-in in a process of its own, on a free loopback port.

    The process starts at once, so that it loads while the runner does; `serve` gives it its plays.
    """

    def __init__(self, *flags: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tau2_enhanced.models.stand_in.server", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # ^C in the terminal is for the runner, which lets running tasks end
            start_new_session=True,
        )

    def serve(self, plays: Mapping[tuple[str, str], Play]) -> str:
        """Give it the plays; the base URL at which it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(write_plays(plays) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Tau2EnhancedError("the stand-in did not start") from None
        port = self._process.stdout.readline().strip()
        if not port:
            raise Tau2EnhancedError("the stand-in did not start")
        return f"http://127.0.0.1:{port}/v1"

    def close(self) -> None:
        """End it: its standard input closes, and if that is not enough, by force."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> StandInProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
