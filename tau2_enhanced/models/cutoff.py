"""Running simulations that are given up: from one moment on they ask nothing more, and no answer is counted."""

from __future__ import annotations

import threading


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

    def __enter__(self) -> None:
        """Count inside the block, before that moment alone. Raises GivenUp after it."""
        self._lock.acquire()
        if self._reached:
            self._lock.release()
            raise GivenUp

    def __exit__(self, *_: object) -> None:
        self._lock.release()
