"""Something of its own for each thread, made when the thread first asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerThread(Generic[T]):
    """What `make` makes, once in each thread; `close` gives all of it to `closing`.

    HTTP clients are kept this way. Threads that share one wait for each other: it looks through its connections
    under a lock, and each look at a socket lets another thread run while the lock is held.
    """

    def __init__(self, make: Callable[[], T], closing: Callable[[T], object] = lambda _: None) -> None:
        self._make = make
        self._closing = closing
        self._local = threading.local()
        self._made: list[T] = []

    def mine(self) -> T:
        """This thread's own."""
        try:
            own: T = self._local.own
        except AttributeError:
            own = self._local.own = self._make()
            self._made.append(own)
        return own

    def close(self) -> None:
        while self._made:
            self._closing(self._made.pop())
