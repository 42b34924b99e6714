"""Deadlines that hold: whatever a call does on the network ends when its time is over.

A limit for each read ends a hang but not an answer that trickles in. So every single step on the network
(connecting, TLS, a write, a read) is given no more than what its call has left. Only the resolution of a host's
name can't be interrupted; it has the system's own limit.
"""

from __future__ import annotations

import math
import time

import httpx2


class Deadline:
    """The end of a call's time."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def left_s(self, at_most: float = math.inf) -> float:
        """What a step may take. Raises httpx2.TimeoutException when the call's time is over."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise httpx2.TimeoutException("the call's time is over")
        return min(left, at_most)
