#!/usr/bin/env python3
"""What logging and the display take from a run: `python benchmarks/overhead.py`.

Retail simulations against a stand-in that answers at once. First the CPU time of the threads that log, write and
show, by their own clocks, as shares of what the process takes from the first simulation's start to the last one's
end: reading the clocks is part of it, so these are a little more than the truth. Then whole runs with and without.
Their ways take turns, in another order each round, and a way is compared with the first one of its own round; where
the machine's speed changes within seconds, only the medians of many rounds tell anything.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from processes import CHECKOUT, RUN_LOCAL, Watched, against, show, stand_in
from rich.table import Table

ROUNDS, ACCOUNTED_ROUNDS = 9, 3
TRIALS = 2
CONCURRENCY = 10
WAYS = {
    "nothing logged, nothing shown": ("ERROR", "none"),
    "PROFILE": ("PROFILE", "none"),
    "PROFILE and the display on a terminal": ("PROFILE", "rich"),
    "DEBUG: every prompt and result": ("DEBUG", "none"),
}
ACCOUNTED = """
import json, sys, time
from collections import Counter
from rich.live import Live
import tau2_enhanced.logging as logging
from tau2_enhanced.logging import bridge, config
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

logging.emit = config.emit = timed(config.emit, "emit")
bridge._forward = timed(bridge._forward, "messages of tau2")
LogWriter._write = timed(LogWriter._write, "log writer")
Live.refresh = timed(Live.refresh, "display")

from tau2_enhanced.runner.main import main

code = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump({"run": moments[-1] - moments[0], **used}, file)
sys.exit(code)
"""


class Cost(NamedTuple):
    """Milliseconds a simulation."""

    cpu: float
    wall: float


def flags(level: str, display: str, url: str) -> list[str]:
    of_plan = ["--domains", "retail", "--num-trials", str(TRIALS), "--max-concurrency", str(CONCURRENCY)]
    of_output = ["--log-level", level, "--display", display, "--run-id", "R", "--console-level", "ERROR"]
    return [*of_plan, *of_output, *against(url)]


def measured(level: str, display: str, url: str, folder: Path) -> Cost:
    run = Watched([*RUN_LOCAL, *flags(level, display, url)], folder, on_terminal=display == "rich")
    own = folder / "outputs" / "R" / "run"
    summary = json.loads((own / "summary.json").read_text())
    end = (own / "record.jsonl").stat().st_mtime
    begin = end - summary["duration_ms"] / 1000
    return Cost(*(1000 * seconds / summary["finished"] for seconds in (run.cpu_s(begin, end), end - begin)))


def accounted(url: str, folder: Path) -> dict[str, float]:
    """Shares of a run's CPU time, in per cent."""
    told = folder / "used.json"
    command = [sys.executable, "-c", ACCOUNTED, str(told), *flags("PROFILE", "rich", url)]
    Watched(command, folder, {"PYTHONPATH": str(CHECKOUT)}, on_terminal=True)
    used = json.loads(told.read_text())
    run = used.pop("run")
    return {name: 100 * seconds / run for name, seconds in {**used, "all": sum(used.values())}.items()}


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


def ways_table(url: str) -> Table:
    table = Table(title=f"ms a retail simulation, {CONCURRENCY} at once, medians of {ROUNDS} rounds (range)")
    for heading in ("way", "CPU ms", "wall ms", "CPU, % over the first", "wall, % over the first"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    rounds: dict[str, list[Cost]] = {name: [] for name in WAYS}
    for number in range(ROUNDS):
        ways = list(WAYS.items())
        for name, (level, display) in ways if number % 2 else reversed(ways):
            with tempfile.TemporaryDirectory() as folder:
                rounds[name].append(measured(level, display, url, Path(folder)))
    first = next(iter(rounds.values()))
    for name, costs in rounds.items():
        of_cpu = [100 * (cost.cpu / base.cpu - 1) for cost, base in zip(costs, first, strict=True)]
        of_wall = [100 * (cost.wall / base.wall - 1) for cost, base in zip(costs, first, strict=True)]
        table.add_row(
            name,
            f"{median(cost.cpu for cost in costs):.2f}",
            f"{median(cost.wall for cost in costs):.2f}",
            *("" if costs is first else _with_range(shares) for shares in (of_cpu, of_wall)),
        )
    return table


def _with_range(shares: list[float]) -> str:
    return f"{median(shares):.1f} ({min(shares):.1f} to {max(shares):.1f})"


def main() -> None:
    with stand_in("--domains", "retail") as server:
        show(shares_table(server.url))
        show(ways_table(server.url))


if __name__ == "__main__":
    main()
