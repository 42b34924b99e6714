"""^C and SIGTERM: the first lets running simulations end, the second stops at once. SIGUSR1 asks where they are.

Before there are simulations, the first ends the run.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from tau2_enhanced.logging import get_logger
from tau2_enhanced.runner.pool import Stop

_ENDING = (signal.SIGINT, signal.SIGTERM)
_TERM_LIMIT_S = 10.0

_logger = get_logger(__name__)


def dumping(dump: Callable[[], None]) -> AbstractContextManager[None]:
    """Inside the block, SIGUSR1 calls `dump`. Only the main thread can do so."""
    return _handled(lambda *_: dump(), signal.SIGUSR1)


def interruptible() -> AbstractContextManager[None]:
    """Inside the block, ^C and SIGTERM raise KeyboardInterrupt, once. Only the main thread can do so."""

    def interrupt(_: int, __: FrameType | None) -> None:
        # what is cleaned up now must not be interrupted too
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    return _handled(interrupt, *_ENDING)


def stopping(stop: Stop) -> AbstractContextManager[None]:
    """Inside the block, signals are turned into requests to `stop`. Only the main thread can do so."""

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

    return _handled(interrupt, *_ENDING)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], *signals: signal.Signals) -> Iterator[None]:
    """Inside the block the handler gets these signals; outside the main thread it gets none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
