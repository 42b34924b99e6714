"""How long this process did not run: stopped by a signal or a debugger, or starved.

What a clock says passed in such a time is nobody's doing: no deadline of a call and no working time may count it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LONGEST_GAP_S = 3.0
"""Between two looks. Whoever watches looks twice a second, so a longer gap is one of the process."""


class Pauses:
    """Knows a pause by a look that comes too late. Every thread looks before it judges a time."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._last_s: float | None = None
        self._total_s = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside the block somebody looks twice a second; outside of it nothing is known."""
        self._last_s = self._now_s()
        try:
            yield
        finally:
            self._last_s = None

    def total_s(self) -> float:
        """All pauses so far, the one that has just ended included."""
        with self._lock:
            if self._last_s is not None:
                now_s = self._now_s()
                if now_s - self._last_s > _LONGEST_GAP_S:
                    self._total_s += now_s - self._last_s
                self._last_s = now_s
            return self._total_s


PAUSES = Pauses()
"""Those of this process."""
