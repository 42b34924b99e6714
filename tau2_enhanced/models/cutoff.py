"""Running simulations that are given up: from one moment on they ask nothing more, and no answer is counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class GivenUp(BaseException):
    """Ends a simulation that was given up. None of the failures that get an outcome, so nobody takes it for one."""

    error_type = "given_up"


class Cutoff:
    """The moment at which all simulations of a run are given up. Used from many threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reached = False

    def reach(self) -> None:
        """Give them up: what has been counted by now stays as it is."""
        with self._lock:
            self._reached = True

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count inside the block, before that moment alone. Raises GivenUp."""
        with self._lock:
            if self._reached:
                raise GivenUp
            yield
