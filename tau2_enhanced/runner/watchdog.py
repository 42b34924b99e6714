"""Watches what runs: heartbeats and stalled simulations in the log, and a status file for whoever asks.

What begins is known, not only what ended: each simulation's context says what it waits for and since when.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace

from tau2_enhanced.logging import TaskContext, emit, get_logger, task_context
from tau2_enhanced.logging.events import HeartbeatEvent
from tau2_enhanced.models.pauses import PAUSES
from tau2_enhanced.runner.pool import Stop
from tau2_enhanced.runner.status import RunStatus, TaskStatus, write_status
from tau2_enhanced.runner.tally import Tally

_LOOKS_EVERY_S = 0.5
_WRITES_EVERY_S = 2.0

_logger = get_logger(__name__)


class Watchdog:
    """A thread that looks at the running simulations while they run. It touches none of them."""

    def __init__(
        self,
        status: RunStatus,
        running: Mapping[str, TaskContext],
        tally: Tally,
        stop: Stop,
        *,
        heartbeat_s: float,
        stall_after_s: float,
    ) -> None:
        self._status = status
        self._running = running
        self._tally = tally
        self._stop = stop
        self._heartbeat_s = heartbeat_s
        self._stall_after_s = stall_after_s
        self._paused_s = PAUSES.total_s()
        self._closed = threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._beaten = self._written = time.monotonic()
        self._stalled: dict[str, float] = {}
        """By simulation, the last event after which it was called stalled."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block; the status file then tells how it ended."""
        self._write()
        with PAUSES.watched():
            self._thread.start()
            try:
                yield
            finally:
                self._closed.set()
                self._thread.join()
                self._write(ended=True)

    def dump(self) -> None:
        """Let every running simulation's state and stack be written into the log. Safe in a signal handler."""
        self._asked.set()

    def beat(self) -> None:
        """Write a heartbeat of every running simulation now."""
        _beat(list(self._running.values()))

    def _watch(self) -> None:
        while not self._closed.wait(_LOOKS_EVERY_S):
            try:
                self._look()
            except Exception:  # whatever is wrong with one look, the next ones are needed
                _logger.exception("error in the watchdog")

    def _look(self) -> None:
        now = time.monotonic()
        contexts = list(self._running.values())
        if self._asked.is_set():
            self._asked.clear()
            _dump(contexts)
        self._look_for_pauses(contexts)
        self._look_for_stalls(contexts)
        if now - self._beaten >= self._heartbeat_s:
            self._beaten = now
            _beat(contexts)
        if now - self._written >= _WRITES_EVERY_S:
            self._written = now
            self._write()

    def _look_for_pauses(self, contexts: Sequence[TaskContext]) -> None:
        paused_s, self._paused_s = PAUSES.total_s() - self._paused_s, PAUSES.total_s()
        if not paused_s:
            return
        _logger.warning(
            "this process was suspended for %.0f s; that time is not counted against any simulation", paused_s
        )
        for context in contexts:
            # a task is not stuck because everything was
            context.last_event_ms = min(context.clock.ms(), context.last_event_ms + paused_s * 1000)

    def _look_for_stalls(self, contexts: Sequence[TaskContext]) -> None:
        self._stalled = {sim: last for sim, last in self._stalled.items() if sim in self._running}
        for context in contexts:
            age_s = context.age_ms() / 1000
            sim, last = context.sim or "", context.last_event_ms
            if age_s >= self._stall_after_s and self._stalled.get(sim) != last:
                self._stalled[sim] = last
                _describe(context, f"stalled: no event for {age_s:.0f} s")

    def _write(self, *, ended: bool = False) -> None:
        done = self._tally.all
        # what still runs when the run has ended was given up
        tasks = [] if ended else [task_status(context) for context in list(self._running.values())]
        now = replace(
            self._status,
            written=time.time(),
            ended=ended,
            stopped=self._stop.reason,
            planned=done.planned,
            finished=done.ended,
            without_verdict=done.ended - done.verdicts,
            running=sorted(tasks, key=lambda task: -task.age_s),
        )
        # a full disk is the record's to report; here the next look may succeed
        with suppress(OSError):
            write_status(now)


def task_status(context: TaskContext) -> TaskStatus:
    """What a simulation is doing now."""
    waits_s = (context.clock.ms() - context.waiting_since_ms) / 1000 if context.waiting_for else 0.0
    return TaskStatus(
        domain=context.domain or "",
        task=context.task or "",
        trial=context.trial or 0,
        sim=context.sim or "",
        thread=context.thread,
        step=context.step,
        waiting_for=context.waiting_for,
        waiting_s=round(waits_s, 3),
        age_s=round(context.age_ms() / 1000, 3),
        running_s=round((context.clock.ms() - context.began_ms) / 1000, 3),
        last_error=context.last_error,
    )


def _beat(contexts: Sequence[TaskContext]) -> None:
    for context in contexts:
        now = task_status(context)
        with _beside(context):
            emit(
                HeartbeatEvent(
                    thread=context.thread,
                    age_ms=now.age_s * 1000,
                    running_ms=now.running_s * 1000,
                    waiting_for=now.waiting_for or None,
                    waiting_ms=now.waiting_s * 1000 if now.waiting_for else None,
                    last_error=now.last_error,
                )
            )


def _dump(contexts: Sequence[TaskContext]) -> None:
    _logger.warning("states of %d running simulations, as asked for", len(contexts))
    for context in contexts:
        _describe(context, f"no event for {context.age_ms() / 1000:.1f} s")


def _describe(context: TaskContext, what: str) -> None:
    """Log where a simulation is: what it waits for, and its thread's stack."""
    now = task_status(context)
    waits = f"waits {now.waiting_s:.1f} s for {now.waiting_for}" if now.waiting_for else "working"
    error = f", last error: {now.last_error}" if now.last_error else ""
    frame = sys._current_frames().get(context.thread_id or 0)
    stack = "".join(traceback.format_stack(frame)) if frame is not None else "its thread is gone\n"
    with _beside(context):
        _logger.warning("%s; %s%s; %s\n%s", what, context.thread, error, waits, stack.rstrip())


def _beside(context: TaskContext) -> AbstractContextManager[TaskContext]:
    """A context of the same simulation, so that what is said of it is no sign of life."""
    return task_context(replace(context))
