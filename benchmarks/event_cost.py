#!/usr/bin/env python3
"""What recording one event costs, beside other ways to log: `python benchmarks/event_cost.py`.

Each way records the same event from 1 and from 8 threads: microseconds per event at the caller, until the
last event is in the file, and the ratio to ours. The ways take turns, and the fastest of several rounds counts.
The others get the event's finished line, as their users would format it themselves; structlog formats its own.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog
from loguru import logger as loguru_logger
from processes import show
from rich.table import Table

from tau2_enhanced.logging import configure_logging, current_context, emit, get_logger, task_context
from tau2_enhanced.logging.events import ToolCallEvent, to_line

EVENTS = 8000
ROUNDS = 5


class Cost(NamedTuple):
    """Microseconds per event."""

    at_caller: float
    until_written: float


def event() -> ToolCallEvent:
    return ToolCallEvent(function="get_order_details", duration_ms=0.114, error=False, args_size=24, result_size=691)


def measure(record: Callable[[], None], finish: Callable[[], None], threads: int) -> Cost:
    each = EVENTS // threads

    def work() -> None:
        with task_context(run="r", sim="s", domain="retail", task="12", trial=0, step=3):
            for _ in range(each):
                record()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    called = time.perf_counter()
    finish()
    written = time.perf_counter()
    return Cost((called - started) / EVENTS * 1e6, (written - started) / EVENTS * 1e6)


def ours(folder: Path, threads: int, level: str) -> Cost:
    with configure_logging(["retail"], run_id="r", log_dir=folder, level=level) as session:
        return measure(lambda: emit(event()), session.flush, threads)


def ours_and_another(folder: Path, threads: int) -> Cost:
    other = logging.NullHandler()
    with configure_logging(["retail"], run_id="r", log_dir=folder) as session:
        logging.getLogger().addHandler(other)
        try:
            return measure(lambda: emit(event()), session.flush, threads)
        finally:
            logging.getLogger().removeHandler(other)


def ours_switched_off(folder: Path, threads: int) -> Cost:
    logger = get_logger("benchmark")
    with configure_logging(["retail"], run_id="r", log_dir=folder, level="INFO") as session:
        return measure(lambda: logger.profile("nobody reads this"), session.flush, threads)


def ours_made_before(folder: Path, threads: int) -> Cost:
    made = event()
    with configure_logging(["retail"], run_id="r", log_dir=folder, level="INFO") as session:
        return measure(lambda: emit(made), session.flush, threads)


def file_handler(folder: Path, threads: int) -> Cost:
    handler = logging.FileHandler(folder / "file.log")
    return _with_handler(handler, threads, handler.flush)


def queue_handler(folder: Path, threads: int) -> Cost:
    target = logging.FileHandler(folder / "queue.log")
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(lines, target)  # type: ignore[arg-type]  # it only needs get and put
    listener.start()
    return _with_handler(logging.handlers.QueueHandler(lines), threads, listener.stop)  # type: ignore[arg-type]  # as above


def with_structlog(folder: Path, threads: int) -> Cost:
    with (folder / "structlog.log").open("w") as file:
        logger = structlog.wrap_logger(
            structlog.WriteLogger(file),
            [structlog.processors.TimeStamper(fmt="iso"), structlog.processors.LogfmtRenderer()],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=True,
        ).bind()

        def record() -> None:
            context = current_context()
            logger.info(
                "tool_call", run=context.run, sim=context.sim, domain=context.domain, task=context.task,
                trial=context.trial, step=context.step, thread=threading.current_thread().name,
                function="get_order_details", duration_ms=0.114, error=False, args_size=24, result_size=691,
            )  # fmt: skip

        return measure(record, file.flush, threads)


def with_loguru(folder: Path, threads: int, enqueue: bool) -> Cost:
    loguru_logger.remove()
    handler = loguru_logger.add(folder / "loguru.log", format="{message}", enqueue=enqueue)

    def finish() -> None:
        loguru_logger.complete()

    try:
        return measure(lambda: loguru_logger.info(finished_line()), finish, threads)
    finally:
        loguru_logger.remove(handler)


def finished_line() -> str:
    made = event()
    made.stamp(current_context())
    return to_line(made)


def _with_handler(handler: logging.Handler, threads: int, finish: Callable[[], None]) -> Cost:
    logger = logging.getLogger("benchmark.plain")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)

    try:
        return measure(lambda: logger.info(finished_line()), finish, threads)
    finally:
        logger.removeHandler(handler)
        handler.close()


WAYS: dict[str, Callable[[Path, int], Cost]] = {
    "ours, PROFILE": lambda folder, threads: ours(folder, threads, "PROFILE"),
    "ours, PROFILE, heard by another handler too": ours_and_another,
    "ours, DEBUG": lambda folder, threads: ours(folder, threads, "DEBUG"),
    "ours, off: logger.profile(text)": ours_switched_off,
    "ours, off: emit(event)": ours_made_before,
    "ours, off: the event made, and emit": lambda folder, threads: ours(folder, threads, "INFO"),
    "logging.FileHandler": file_handler,
    "logging.QueueHandler": queue_handler,
    "structlog, logfmt": with_structlog,
    "loguru": lambda folder, threads: with_loguru(folder, threads, enqueue=False),
    "loguru, enqueue": lambda folder, threads: with_loguru(folder, threads, enqueue=True),
}


def main() -> None:
    table = Table(title=f"µs per event, best of {ROUNDS} rounds of {EVENTS} events")
    table.add_column("way")
    for threads in (1, 8):
        for name in ("at the caller", "until written", "caller, × ours"):
            table.add_column(f"{name}, {threads} thr.", justify="right")
    best: dict[tuple[str, int], Cost] = {}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            for threads in (1, 8):
                with tempfile.TemporaryDirectory() as folder:
                    cost = way(Path(folder), threads)
                best[name, threads] = min(best.get((name, threads), cost), cost)
    for name in WAYS:
        cells = []
        for threads in (1, 8):
            cost, base = best[name, threads], best["ours, PROFILE", threads]
            cells += [f"{cost.at_caller:.2f}", f"{cost.until_written:.2f}", f"{cost.at_caller / base.at_caller:.2f}"]
        table.add_row(name, *cells)
    show(table)


if __name__ == "__main__":
    main()
