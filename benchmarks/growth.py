#!/usr/bin/env python3
"""Whether a long run costs more for each simulation than a short one: `python benchmarks/growth.py [N …]`.

Mock simulations against a stand-in that answers at once: milliseconds of wall time and of CPU, and the memory that
each simulation adds to what the run before had taken.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from processes import RUN_LOCAL, Watched, against, show, stand_in
from rich.table import Table

SIZES = (100, 1_000, 10_000)
TASKS = 5
CONCURRENCY = 10


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or list(SIZES)
    table = Table(title=f"mock, {CONCURRENCY} at once, a model that answers at once")
    for heading in ("simulations", "wall ms each", "CPU ms each", "finishing s", "peak MB", "kB more for each"):
        table.add_column(heading, justify="right")
    earlier: tuple[int, float] | None = None
    with tempfile.TemporaryDirectory() as name, stand_in("--domains", "mock") as server:
        for size in sizes:
            folder = Path(name) / str(size)
            folder.mkdir()
            flags = ["--domains", "mock", "--num-tasks", str(TASKS), "--num-trials", str(size // TASKS)]
            flags += ["--max-concurrency", str(CONCURRENCY), "--run-id", "R", "--display", "none"]
            run = Watched([*RUN_LOCAL, *flags, *against(server.url)], folder)
            outputs = folder / "outputs" / "R"
            summary = json.loads((outputs / "run" / "summary.json").read_text())
            done = (outputs / "mock.json").stat().st_mtime
            last = (outputs / "run" / "record.jsonl").stat().st_mtime
            begin = last - summary["duration_ms"] / 1000
            count, peak_mb = summary["finished"], run.peak_mb()
            more = f"{(peak_mb - earlier[1]) * 1024 / (count - earlier[0]):.2f}" if earlier else ""
            table.add_row(
                f"{count:,}",
                f"{(last - begin) / count * 1000:.2f}",
                f"{run.cpu_s(begin, last) / count * 1000:.2f}",
                f"{done - last:.2f}",
                f"{peak_mb:.0f}",
                more,
            )
            earlier = count, peak_mb
    show(table)


if __name__ == "__main__":
    main()
