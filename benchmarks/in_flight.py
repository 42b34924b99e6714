#!/usr/bin/env python3
"""200 simulations at once, with a model that takes a second: `python benchmarks/in_flight.py`.

The ideal is a second for each call of the longest simulation: all simulations are under way from the beginning, and
each waits for nothing but its model.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from processes import RUN_LOCAL, Watched, against, show, stand_in
from rich.table import Table

from tau2_enhanced.logging.events import parse_line

SIMULATIONS = 200
LATENCY_S = 1.0
PLANS = {"mock": (8, 25), "retail": (100, 2)}
"""By domain: tasks and trials, together so many simulations."""


def measured(domain: str, folder: Path) -> list[str]:
    folder.mkdir()
    tasks, trials = PLANS[domain]
    flags = ["--domains", domain, "--num-tasks", str(tasks), "--num-trials", str(trials), "--run-id", "R"]
    flags += ["--max-concurrency", str(SIMULATIONS), "--display", "none"]
    with stand_in("--domains", domain, "--latency", str(LATENCY_S)) as server:
        run = Watched([*RUN_LOCAL, *flags, *against(server.url)], folder)
    record = [json.loads(line) for line in (folder / "outputs" / "R" / "run" / "record.jsonl").open()]
    if any(outcome["status"] != "verdict" for outcome in record):
        raise RuntimeError(run.said[-1000:])
    calls = [sum(used["calls"] for used in outcome["used"].values()) for outcome in record]
    events = [event for line in (folder / "logs" / f"eval_{domain}.log").open() if (event := parse_line(line))]
    begin = min(event.start_ms or 0.0 for event in events if event.type == "task_start")
    wall_s = (max(outcome["ended_ms"] for outcome in record) - begin) / 1000
    ideal_s = max(calls) * LATENCY_S
    return [
        domain,
        str(len(record)),
        f"{sum(calls)}",
        f"{ideal_s:.1f}",
        f"{wall_s:.2f}",
        f"{100 * (wall_s / ideal_s - 1):.1f} %",
        f"{run.looks[-1].cpu_s:.1f}",
    ]


def main() -> None:
    table = Table(title=f"{SIMULATIONS} simulations at once, {LATENCY_S:g} s for each answer")
    for heading in ("domain", "simulations", "model calls", "ideal s", "wall s", "over the ideal", "CPU s"):
        table.add_column(heading, justify="left" if heading == "domain" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for domain in PLANS:
            table.add_row(*measured(domain, Path(folder) / domain))
    show(table)


if __name__ == "__main__":
    main()
