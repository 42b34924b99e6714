"""^C and SIGTERM: the first lets running simulations end, the second stops at once. SIGUSR1 asks where they are.

Before there are simulations, the first ends the run.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tau2_enhanced.logging import get_logger
from tau2_enhanced.runner.pool import Stop

_TERM_LIMIT_S = 10.0

_logger = get_logger(__name__)


@contextmanager
def dumping(dump: Callable[[], None]) -> Iterator[None]:
    """Inside the block, SIGUSR1 calls `dump`. Only the main thread can do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGUSR1, lambda *_: dump())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside the block, ^C and SIGTERM raise KeyboardInterrupt, once. Only the main thread can do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt(_: int, __: FrameType | None) -> None:
        # what is cleaned up now must not be interrupted too
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Inside the block, signals are turned into requests to `stop`. Only the main thread can do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        stop.interrupts += 1
        if stop.interrupts > 1 and number == signal.SIGINT:
            stop.at_once.set()
            return
        stop.request("interrupted")
        if number == signal.SIGTERM:
            _logger.warning("terminated: running simulations have %.0f s to finish", _TERM_LIMIT_S)
            timer = threading.Timer(_TERM_LIMIT_S, stop.at_once.set)
            timer.daemon = True
            timer.start()
        else:
            _logger.warning("interrupted: waiting for running simulations to finish, ^C again stops at once")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
