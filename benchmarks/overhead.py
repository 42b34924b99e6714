#!/usr/bin/env python3
"""What logging and the display take from a run: `python benchmarks/overhead.py`.

Retail simulations against a stand-in that answers at once. First the CPU time of the threads that log, write and
show, by their own clocks, as shares of what the process takes from the first simulation's start to the last one's
end: reading the clocks is part of it, so these are a little more than the truth. Then how much slower simulations
are with it: within a run, some are with and some without, by turns of a few tenths of a second; and in a second run
the other way round, so that the same simulations are done both ways, and the machine's changes of speed meet both.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from processes import CHECKOUT, Watched, against, show, stand_in
from rich.table import Table

ACCOUNTED_ROUNDS, ALTERNATED_ROUNDS = 3, 8
TRIALS = 2
ALTERNATED_TRIALS = 6
CONCURRENCY = 10
WAYS = {
    "PROFILE": ("PROFILE", "none"),
    "PROFILE and the display on a terminal": ("PROFILE", "rich"),
    "DEBUG: every prompt and result": ("DEBUG", "none"),
}
ACCOUNTED = """
import json, sys, time
from collections import Counter
from rich.live import Live
import tau2_enhanced.logging as logging
from tau2_enhanced.logging import bridge, emitting
from tau2_enhanced.logging.writer import LogWriter

used, moments = Counter(), []

def timed(function, name):
    def call(*args, **kwargs):
        began = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            used[name] += time.thread_time() - began
            if name == "emit" and args[0].type in ("task_start", "task_complete"):
                moments.append(time.process_time())
    return call

logging.emit = emitting.emit = timed(emitting.emit, "emit")
bridge._forward = timed(bridge._forward, "messages of tau2")
LogWriter._write = timed(LogWriter._write, "log writer")
Live.refresh = timed(Live.refresh, "display")

from tau2_enhanced.runner.main import main

code = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump({"run": moments[-1] - moments[0], **used}, file)
sys.exit(code)
"""


ALTERNATED = """
import json, logging, sys, time
from rich.live import Live
import tau2_enhanced.logging
from tau2_enhanced.logging import emitting
from tau2_enhanced.runner.main import main

TURN = 38
emit, refresh = emitting.emit, Live.refresh
finished, turns = 0, []

def counting(event):
    global finished
    emit(event)
    if event.type == "task_complete":
        finished += 1
        if finished % TURN == 0:
            # with, without, without, with: what gets slower or faster in the course of a run meets both
            is_on = (finished // TURN % 4 in (0, 3)) == (sys.argv[2] == "with first")
            logging.disable(logging.NOTSET if is_on else logging.CRITICAL)
            turns.append((is_on, time.perf_counter(), time.process_time()))

tau2_enhanced.logging.emit = emitting.emit = counting
Live.refresh = lambda live: refresh(live) if turns and turns[-1][0] else None

code = main(sys.argv[3:])
with open(sys.argv[1], "w") as file:
    json.dump(turns, file)
sys.exit(code)
"""


def flags(level: str, display: str, url: str, trials: int = TRIALS) -> list[str]:
    of_plan = ["--domains", "retail", "--num-trials", str(trials), "--max-concurrency", str(CONCURRENCY)]
    of_output = ["--log-level", level, "--display", display, "--run-id", "R", "--console-level", "ERROR"]
    return [*of_plan, *of_output, *against(url)]


def run(code: str, arguments: list[str], told: Path, on_terminal: bool) -> Any:
    """What a run of that code tells."""
    command = [sys.executable, "-c", code, str(told), *arguments]
    Watched(command, told.parent, {"PYTHONPATH": str(CHECKOUT)}, on_terminal=on_terminal)
    return json.loads(told.read_text())


def accounted(url: str, folder: Path) -> dict[str, float]:
    """Shares of a run's CPU time, in per cent."""
    used = run(ACCOUNTED, flags("PROFILE", "rich", url), folder / "used.json", on_terminal=True)
    whole = used.pop("run")
    return {name: 100 * seconds / whole for name, seconds in {**used, "all": sum(used.values())}.items()}


def shares_table(url: str) -> Table:
    table = Table(
        title=f"% of a run's CPU time at PROFILE with the display, medians of {ACCOUNTED_ROUNDS} rounds (range)"
    )
    rounds = []
    for _ in range(ACCOUNTED_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(accounted(url, Path(folder)))
    for name in rounds[0]:
        table.add_column(name, justify="right")
    table.add_row(*(_with_range([shares[name] for shares in rounds]) for name in rounds[0]))
    return table


def slower(level: str, display: str, url: str) -> tuple[float, float]:
    """Per cent by which throughput is lower, and CPU time higher, with logging and display than without."""
    wall, cpu = {True: 0.0, False: 0.0}, {True: 0.0, False: 0.0}
    for order in ("with first", "without first"):
        with tempfile.TemporaryDirectory() as folder:
            given = [order, *flags(level, display, url, ALTERNATED_TRIALS)]
            turns = run(ALTERNATED, given, Path(folder) / "turns.json", display == "rich")
        for (is_on, *began), (_, *ended) in pairwise(turns):
            wall[is_on] += ended[0] - began[0]
            cpu[is_on] += ended[1] - began[1]
    return 100 * (1 - wall[False] / wall[True]), 100 * (cpu[True] / cpu[False] - 1)


def ways_table(url: str) -> Table:
    table = Table(
        title=f"with against without, {CONCURRENCY} at once, means of {ALTERNATED_ROUNDS} rounds (their standard error)"
    )
    for heading in ("way", "throughput, % less", "CPU time, % more"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, (level, display) in WAYS.items():
        rounds = [slower(level, display, url) for _ in range(ALTERNATED_ROUNDS)]
        table.add_row(name, *(_with_error(list(column)) for column in zip(*rounds, strict=True)))
    return table


def _with_error(shares: list[float]) -> str:
    return f"{mean(shares):.1f} (± {stdev(shares) / math.sqrt(len(shares)):.1f})"


def _with_range(shares: list[float]) -> str:
    return f"{median(shares):.1f} ({min(shares):.1f} to {max(shares):.1f})"


def main() -> None:
    with stand_in("--domains", "retail") as server:
        show(shares_table(server.url))
        show(ways_table(server.url))


if __name__ == "__main__":
    main()
