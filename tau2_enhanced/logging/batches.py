"""A thread that does what others only ask for: they pay for one enqueue, and it takes what gathers together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")

_MOST = 500
"""Items of a batch."""
_PAUSE_S = 0.02
"""How long items gather: waking the thread and flushing a file costs more than writing ten lines."""


class _Mark(threading.Event):
    """Set when all that was put before it is written."""


class BatchThread(Generic[Item]):
    """Hands what is put, from any thread, to `write` in batches, in its order, in a thread of that name."""

    def __init__(self, name: str, write: Callable[[Sequence[Item]], None]) -> None:
        """`write` raises nothing."""
        self._write = write
        self._queue: SimpleQueue[Item | _Mark | None] = SimpleQueue()
        self.put: Callable[[Item], None] = self._queue.put
        self._hurry = threading.Event()
        self._written = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float) -> None:
        """Return when everything put before is written, at most after `timeout_s` seconds."""
        if self._thread.is_alive():
            mark = _Mark()
            self._queue.put(mark)
            self._hurry.set()
            mark.wait(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Have written what is left, and end; whether it did. Given up when a batch takes longer than `timeout_s`."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._hurry.set()
        written = -1
        # as long as it goes on, however much there is, nothing of it is to be lost
        while self._thread.is_alive() and written != self._written:
            written = self._written
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        running = True
        while running:
            taken = [self._queue.get()]
            with suppress(Empty):
                while len(taken) < _MOST:
                    taken.append(self._queue.get_nowait())
            running = None not in taken
            self._write([item for item in taken if item is not None and not isinstance(item, _Mark)])
            self._written += 1
            for item in taken:
                if isinstance(item, _Mark):
                    item.set()
            if running and len(taken) < _MOST:
                self._hurry.wait(_PAUSE_S)
                self._hurry.clear()
