#!/usr/bin/env python3
"""What `LogAnalyzer` costs: `python benchmarks/log_analyzer.py [EVENTS …]`.

For each number an audited file is made, of executions of tools and changes of state, twenty events a simulation.
It is read and all analyses are made, in a process of its own: seconds of CPU time and peak memory, best of three
rounds, and the share of the slowest analyses.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tau2_enhanced.logging import ExecutionLogger

ROUNDS = 3
SHOWN = 3
PER_SIMULATION = 20
LOOKUPS = ("get_user_details", "get_reservation_details", "search_direct_flight", "calculate")
MEASURED = """
import json, resource, sys, time
from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.analysis.analyzer import ANALYSES
found, started = {}, time.process_time()
analyzer = LogAnalyzer(sys.argv[1])
analyzer.executions.calls
found["read"] = time.process_time() - started
for name, analysis in ANALYSES.items():
    started = time.process_time()
    analysis(analyzer.executions)
    found[name] = time.process_time() - started
found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(found))
"""


def write_events(path: Path, count: int) -> None:
    chance = random.Random(1)
    began = datetime(2026, 1, 1)
    with ExecutionLogger(path, auto_flush=False) as logger:
        for number in range(count):
            simulation, step = divmod(number, PER_SIMULATION)
            place: dict[str, Any] = {
                "sim": f"sim {simulation}",
                "task": str(simulation % 50),
                "trial": simulation // 50,
                "domain": "airline",
                "step": step,
                "timestamp": began + timedelta(seconds=1.5 * number),
            }
            if step % 9 == 8:
                logger.log_state_change("book_reservation", {"seats": {"1": number}}, {"seats": {}}, **place)
            else:
                log_call(logger, chance, number, place)


def log_call(logger: ExecutionLogger, chance: random.Random, number: int, place: dict[str, Any]) -> None:
    tool, arguments = chance.choice(LOOKUPS), {"id": f"R{chance.randrange(500)}"}
    error = None if chance.random() > 0.08 else ValueError(f"Reservation R{number} not found")
    took = chance.lognormvariate(-9, 1)
    logger.log_tool_execution(tool, error is None, took, arguments, {"seats": number}, error=error, **place)


def measure(path: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", MEASURED, str(path)], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def cpu_seconds(found: dict[str, float]) -> float:
    return sum(found.values()) - found["peak_mb"]


def main() -> None:
    table = Table("events", "MB", "read s", "all analyses s", "slowest", "peak MB", title="LogAnalyzer, CPU time")
    for count in [int(text) for text in sys.argv[1:]] or [1_000, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.jsonl"
            write_events(path, count)
            best = min((measure(path) for _ in range(ROUNDS)), key=cpu_seconds)
            size_mb = path.stat().st_size / 1e6
        read_s, peak_mb = best.pop("read"), best.pop("peak_mb")
        slowest = sorted(best, key=lambda name: -best[name])[:SHOWN]
        named = ", ".join(f"{name} {best[name]:.2f}" for name in slowest)
        total = sum(best.values())
        table.add_row(f"{count:,}", f"{size_mb:.1f}", f"{read_s:.2f}", f"{total:.2f}", named, f"{peak_mb:.0f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
