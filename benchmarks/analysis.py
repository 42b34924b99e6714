#!/usr/bin/env python3
"""How fast logs are analysed, beside the document's pipelines of grep and awk: `python benchmarks/analysis.py [MB …]`.

For each size a log of one long run is made. Its table is read, its numbers are told (`tables`: --no-figures) and
everything is drawn (`all`), each in a process of its own: seconds and the process's peak memory. The time of the
table is without the process's start, the others are with it. The ways take turns, and the best of several rounds
counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from made_log import write_log
from rich.console import Console
from rich.table import Table

from tau2_enhanced.logging.events import parse_line

ROUNDS = 3
LARGEST_READ_SINGLY_MB = 50
ANALYSER = Path(__file__).parent.parent / "analyze_timing_from_tau2_log.py"
PIPELINE = (
    'grep "type={kind}" {log} | grep -oP "duration_ms=\\d+\\.\\d+" | cut -d= -f2 | awk \'{{s+=$1}} END {{print s/NR}}\''
)
READ_TABLE = """
import sys, time
from pathlib import Path
from tau2_enhanced.analysis.sources import read_table
started = time.perf_counter()
table = read_table([Path(sys.argv[1])])
print(time.perf_counter() - started)
"""


class Cost(NamedTuple):
    seconds: float
    peak_mb: float = 0.0


def pipelines(log: Path) -> Cost:
    started = time.perf_counter()
    for kind in ("llm_call", "tool_call"):
        subprocess.run(["bash", "-c", PIPELINE.format(kind=kind, log=log)], check=True, capture_output=True)
    return Cost(time.perf_counter() - started)


def line_by_line(log: Path) -> Cost:
    started = time.perf_counter()
    with log.open() as file:
        for line in file:
            parse_line(line)
    return Cost(time.perf_counter() - started)


def table(log: Path) -> Cost:
    cost, output = in_a_process("-c", READ_TABLE, str(log))
    return cost._replace(seconds=float(output))


def tables(log: Path) -> Cost:
    return in_a_process(str(ANALYSER), "--log_file", str(log), "--output_dir", str(log.parent), "--no-figures")[0]


def everything(log: Path) -> Cost:
    return in_a_process(str(ANALYSER), "--log_file", str(log), "--output_dir", str(log.parent))[0]


def in_a_process(*arguments: str) -> tuple[Cost, str]:
    """What a Python process takes, its start included, and what it prints."""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments[0]} ended with {process.returncode}")
    return Cost(time.perf_counter() - started, used.ru_maxrss / 1024), output


def best(ways: dict[str, Callable[[Path], Cost]], log: Path) -> dict[str, Cost]:
    rounds = [{name: way(log) for name, way in ways.items()} for _ in range(ROUNDS)]
    return {name: Cost(*map(min, zip(*(costs[name] for costs in rounds), strict=True))) for name in ways}


def row(log: Path, events: int) -> list[str]:
    megabytes = log.stat().st_size / 1e6
    ways = {"grep": pipelines, "table": table, "tables": tables, "all": everything}
    if megabytes <= LARGEST_READ_SINGLY_MB:
        ways["parse_line"] = line_by_line
    costs = best(ways, log)
    grep = costs["grep"].seconds
    return [
        f"{megabytes:.0f}",
        f"{events:,}",
        f"{grep:.3f}",
        f"{costs['parse_line'].seconds / grep:.1f}" if "parse_line" in costs else "–",
        f"{costs['table'].seconds / grep:.1f}",
        f"{costs['table'].seconds:.3f}",
        f"{megabytes / costs['table'].seconds:.0f}",
        *(
            f"{number:.{digits}f}"
            for name in ("table", "tables", "all")
            for number, digits in _shown(name, costs[name])
        ),
    ]


def _shown(name: str, cost: Cost) -> list[tuple[float, int]]:
    return [(cost.peak_mb, 0)] if name == "table" else [(cost.seconds, 2), (cost.peak_mb, 0)]


def main() -> None:
    sizes = [float(text) for text in sys.argv[1:]] or [1.0, 30.0, 300.0]
    shown = Table(title=f"seconds, best of {ROUNDS}; peak memory in MB", title_justify="left")
    names = (
        *("MB", "events", "grep | awk", "parse_line ÷ grep", "table ÷ grep"),
        *("table", "MB/s", "peak", "tables", "peak", "all", "peak"),
    )
    for name in names:
        shown.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            log = Path(folder) / "eval_retail.log"
            shown.add_row(*row(log, write_log(log, size)))
    Console(width=130).print(shown)


if __name__ == "__main__":
    main()
