"""Room for as many open files and connections as a run needs."""

from __future__ import annotations

import resource

from tau2_enhanced.errors import UserMistake

_BESIDE = 64
"""Logs, the record, modules that are being imported, whatever a library opens."""


def make_room(concurrency: int, servers: int) -> None:
    """Raise this process's own limit to what so many simulations at once need. Raises UserMistake where it may not."""
    needed = _BESIDE + concurrency * servers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    except (OSError, ValueError):  # macOS has a limit below the one that it tells
        allowed = soft
    if allowed < needed:
        raise UserMistake(
            f"{concurrency} simulations at once need {needed} open files, and this process may have {allowed}: "
            "lower --max-concurrency, or raise the limit (ulimit -n)"
        )
