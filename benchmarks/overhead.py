#!/usr/bin/env python3
"""What logging and the display take from a run: `python benchmarks/overhead.py`.

Retail simulations against a stand-in that answers at once, from the first one's start until the last one's end. The
ways take turns; the best of several rounds counts, as other work on the machine only makes a round slower.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from processes import RUN_LOCAL, Watched, against, show, stand_in
from rich.table import Table

ROUNDS = 3
TRIALS = 2
CONCURRENCY = 10
WAYS = {
    "nothing logged, nothing shown": ("ERROR", "none"),
    "PROFILE": ("PROFILE", "none"),
    "PROFILE and the display on a terminal": ("PROFILE", "rich"),
    "DEBUG: every prompt and result": ("DEBUG", "none"),
}


class Cost(NamedTuple):
    """Milliseconds a simulation."""

    cpu: float
    wall: float


def measured(level: str, display: str, url: str, folder: Path) -> Cost:
    flags = ["--domains", "retail", "--num-trials", str(TRIALS), "--max-concurrency", str(CONCURRENCY)]
    flags += ["--log-level", level, "--display", display, "--run-id", "R", "--console-level", "ERROR"]
    run = Watched([*RUN_LOCAL, *flags, *against(url)], folder, on_terminal=display == "rich")
    own = folder / "outputs" / "R" / "run"
    summary = json.loads((own / "summary.json").read_text())
    end = (own / "record.jsonl").stat().st_mtime
    begin = end - summary["duration_ms"] / 1000
    return Cost(*(1000 * seconds / summary["finished"] for seconds in (run.cpu_s(begin, end), end - begin)))


def main() -> None:
    table = Table(title=f"ms a retail simulation, {CONCURRENCY} at once, best of {ROUNDS} rounds")
    for heading in ("way", "CPU ms", "wall ms", "CPU, %", "wall, %"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    rounds: dict[str, list[Cost]] = {name: [] for name in WAYS}
    with stand_in("--domains", "retail") as server:
        for _ in range(ROUNDS):
            for name, (level, display) in WAYS.items():
                with tempfile.TemporaryDirectory() as folder:
                    rounds[name].append(measured(level, display, server.url, Path(folder)))
    best = {name: Cost(min(c.cpu for c in costs), min(c.wall for c in costs)) for name, costs in rounds.items()}
    base = next(iter(best.values()))
    for name, (cpu, wall) in best.items():
        table.add_row(
            name,
            f"{cpu:.2f}",
            f"{wall:.2f}",
            f"{100 * (cpu / base.cpu - 1):+.1f}",
            f"{100 * (wall / base.wall - 1):+.1f}",
        )
    show(table)


if __name__ == "__main__":
    main()
