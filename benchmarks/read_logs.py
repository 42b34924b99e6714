#!/usr/bin/env python3
"""How fast logs are read, beside the document's pipelines of grep and awk: `python benchmarks/read_logs.py [MB …]`.

A log of each size is made from the schema; the ways take turns, and the fastest of several rounds counts.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tau2_enhanced.analysis.series import duration_series
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    LLMCallEvent,
    StepCompleteEvent,
    ToolCallEvent,
    UserSimEvent,
    parse_line,
    to_line,
)

ROUNDS = 3
SIMULATIONS = 200
LARGEST_READ_SINGLY_MB = 30
PIPELINE = (
    'grep "type={kind}" {log} | grep -oP "duration_ms=\\d+\\.\\d+" | cut -d= -f2 | awk \'{{s+=$1}} END {{print s/NR}}\''
)


def make_log(path: Path, megabytes: float) -> None:
    """A log as runs write it: a model call, a tool call and a step in turn, now and then the user."""
    source = random.Random(1)
    block: list[str] = []
    for number in range(SIMULATIONS):
        common = {
            "timestamp": datetime(2026, 1, 1, 12),
            "thread": f"worker-{number % 10}",
            "run": "20260101-120000",
            "sim": f"{source.getrandbits(48):012x}",
            "domain": "retail",
            "task": str(number % 114),
            "trial": number // 114,
        }
        for step in range(10):
            ms = source.expovariate(1 / 900)
            calls: list[ExecutionEvent] = [
                (UserSimEvent if step % 4 == 0 else LLMCallEvent)(
                    **common, step=step, model="gpt-4.1", call_type="openai", duration_ms=ms, input_tokens=4000,
                    output_tokens=60, cost_usd=0.0081, attempts=1, retry_wait_ms=0.0, start_ms=step * 1000.0,
                ),
                ToolCallEvent(
                    **common, step=step, function="get_order_details", duration_ms=ms / 5000, error=False,
                    requestor="assistant", tool_call_id=f"call_{step}", args_size=24, result_size=691, start_ms=9.0,
                ),
                StepCompleteEvent(
                    **common, step=step, total_duration_ms=ms, from_role="agent", to_role="env", start_ms=7.0
                ),
            ]  # fmt: skip
            block += [to_line(event) + "\n" for event in calls]
    text = "".join(block).encode()
    with path.open("wb") as file:
        for _ in range(max(1, round(megabytes * 1e6 / len(text)))):
            file.write(text)


def pipelines(log: Path) -> None:
    for kind in ("llm_call", "tool_call"):
        subprocess.run(["bash", "-c", PIPELINE.format(kind=kind, log=log)], check=True, capture_output=True)


def line_by_line(log: Path) -> None:
    with log.open() as file:
        for line in file:
            parse_line(line)


def fastest(way: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        way()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    sizes = [float(text) for text in sys.argv[1:]] or [1.0, 30.0, 300.0]
    table = Table(title=f"seconds, best of {ROUNDS}", title_justify="left")
    for name in ("MB", "grep | awk", "table", "× grep", "table + statistics", "parse_line", "× grep"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            log = Path(folder) / "eval_retail.log"
            make_log(log, size)
            grep, read = fastest(lambda log=log: pipelines(log)), fastest(lambda log=log: read_table([log]))
            whole = fastest(lambda log=log: duration_series(read_table([log])))
            singly = fastest(lambda log=log: line_by_line(log)) if size <= LARGEST_READ_SINGLY_MB else None
            cells = [
                f"{log.stat().st_size / 1e6:.0f}",
                f"{grep:.3f}",
                f"{read:.3f}",
                f"{read / grep:.1f}",
                f"{whole:.3f}",
            ]
            cells += ["–", "–"] if singly is None else [f"{singly:.2f}", f"{singly / grep:.0f}"]
            table.add_row(*cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
