"""Where simulations run: a pool of threads. Another way to execute need only be an `Executor`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import NamedTuple, Protocol

from tau2_enhanced.errors import Tau2EnhancedError
from tau2_enhanced.logging import get_logger
from tau2_enhanced.runner.jobs import Job, JobKey, Outcome

_logger = get_logger(__name__)
_POLL_S = 0.1


@dataclass
class Stop:
    """How a run is asked to end before its plan does. Set from signal handlers and from any thread."""

    reason: str = ""
    """Why no new simulation is begun; empty while all is well."""
    interrupts: int = 0
    """How often the user asked, by ^C or SIGTERM."""
    at_once: threading.Event = field(default_factory=threading.Event)
    """Running simulations are given up too."""

    def request(self, reason: str) -> None:
        """Begin no new simulation. The first reason stays."""
        self.reason = self.reason or reason


def _started(workers: Sequence[threading.Thread]) -> int:
    """Start as many as the system allows; how many. Raises Tau2EnhancedError where it allows none."""
    for number, worker in enumerate(workers):
        try:
            worker.start()
        except RuntimeError as error:
            if not number:
                raise Tau2EnhancedError(f"no simulation can be run: {error}") from None
            _logger.error("%d simulations run at once, not %d: %s", number, len(workers), error)
            return number
    return len(workers)


class Executor(Protocol):
    """Runs jobs and hands their outcomes back as they come."""

    given_up: Sequence[Job]
    """Those that were running when `stop` ended the last `execute` at once: no outcome of theirs is handed back."""

    def execute(self, jobs: Sequence[Job], work: Callable[[Job], Outcome], stop: Stop) -> Iterator[Sequence[Outcome]]:
        """Outcomes in the order in which they end, each time all that have ended since, one at least.

        Ends early when `stop` says so.
        """


class _Ended(NamedTuple):
    outcome: Outcome
    dealt_with: threading.Event


_Result = _Ended | BaseException | None
"""What a worker hands in: an outcome, what broke it, or None when it ends."""
_Results = Queue[_Result]


class ThreadPool:
    """`size` worker threads, named worker-1 …; they never outlive the process."""

    def __init__(self, size: int, *, in_step: bool = False) -> None:
        """`in_step`: a worker begins no job before its last one's outcome was dealt with, which may ask for a stop."""
        self._size = size
        self._in_step = in_step
        self.given_up: Sequence[Job] = ()

    def execute(self, jobs: Sequence[Job], work: Callable[[Job], Outcome], stop: Stop) -> Iterator[Sequence[Outcome]]:
        waiting = iter(jobs)
        running: dict[JobKey, Job] = {}
        handing = threading.Lock()
        """Held where a job is taken and where its outcome is handed in, so that it can't be given up meanwhile."""
        # not a SimpleQueue: its `get`, when a signal comes just before its timeout, waits without one
        ended: _Results = Queue()

        def run() -> None:
            try:
                while True:
                    with handing:
                        job = None if stop.reason else next(waiting, None)
                        if job is None:
                            break
                        running[job.key] = job
                    one = _Ended(work(job), threading.Event())
                    with handing:
                        if running.pop(job.key, None) is None:
                            break
                        ended.put(one)
                    while self._in_step and not stop.reason and not one.dealt_with.wait(_POLL_S):
                        pass
            except BaseException as error:  # the caller is to see what broke a worker, whatever it is
                ended.put(error)
            finally:
                ended.put(None)

        workers = [
            threading.Thread(target=run, name=f"worker-{number}", daemon=True)
            for number in range(1, min(self._size, len(jobs)) + 1)
        ]
        at_work = _started(workers)
        while at_work and not stop.at_once.is_set():
            results = _next_of(ended, timeout_s=_POLL_S)
            at_work -= results.count(None)
            yield from _handed_out(results)
        with handing:
            self.given_up = list(running.values())
            running.clear()
        # what ended in the moment of stopping is finished too
        yield from _handed_out(_next_of(ended, timeout_s=0))


def _next_of(queue: _Results, timeout_s: float) -> list[_Result]:
    """All that is in the queue; where that is nothing, what comes next within the time."""
    results: list[_Result] = []
    with suppress(Empty):
        results.append(queue.get(timeout=timeout_s))
        while True:
            results.append(queue.get_nowait())
    return results


def _handed_out(results: Sequence[_Result]) -> Iterator[Sequence[Outcome]]:
    """The outcomes among them; then raises what broke a worker."""
    ended = [result for result in results if isinstance(result, _Ended)]
    if ended:
        yield [one.outcome for one in ended]
    for one in ended:
        one.dealt_with.set()
    for result in results:
        if isinstance(result, BaseException):
            raise result
