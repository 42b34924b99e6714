#!/usr/bin/env python3
"""From the launch to the first question to a model, beside `tau2 run`: `python benchmarks/start_up.py`.

Ours as it is started without any flags for models, so its own stand-in starts too. Of `tau2 run` the start of the
first simulation counts, which comes a little before its first question.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from datetime import datetime
from pathlib import Path

from processes import RUN_LOCAL, Watched, show, stand_in
from rich.table import Table
from simulations import TAU2, answered_by

from tau2_enhanced.logging.events import ModelCallEvent, parse_line

ROUNDS = 3
DOMAINS = ("retail", "airline")


def ours(domain: str, folder: Path) -> float:
    run = Watched([*RUN_LOCAL, "--domains", domain, "--num-tasks", "1", "--display", "none"], folder)
    events = [parse_line(line) for line in (folder / "logs" / f"eval_{domain}.log").open()]
    asked = [
        event.timestamp.timestamp() - (event.duration_ms or 0.0) / 1000
        for event in events
        if isinstance(event, ModelCallEvent) and event.timestamp is not None
    ]
    return min(asked) - run.started


def theirs(domain: str, url: str, folder: Path) -> float:
    flags = ["--domain", domain, "--num-tasks", "1", "--agent-llm", "openai/gold", "--user-llm", "openai/gold"]
    run = Watched([TAU2, "run", *flags, "--save-to", str(folder / "R")], folder, answered_by(url))
    simulations = json.loads((folder / "R.json").read_text())["simulations"]
    return min(datetime.fromisoformat(one["start_time"]).timestamp() for one in simulations) - run.started


def main() -> None:
    table = Table(title=f"seconds from the launch to the first question, median of {ROUNDS} rounds (fastest)")
    for heading in ("domain", "ours", "tau2 run", "ratio"):
        table.add_column(heading, justify="left" if heading == "domain" else "right")
    with stand_in("--domains", *DOMAINS) as server:
        for domain in DOMAINS:
            seconds: tuple[list[float], list[float]] = [], []
            for _ in range(ROUNDS):
                with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
                    seconds[0].append(ours(domain, Path(one)))
                    seconds[1].append(theirs(domain, server.url, Path(other)))
            middle = [statistics.median(values) for values in seconds]
            cells = [f"{value:.1f} ({min(values):.1f})" for value, values in zip(middle, seconds, strict=True)]
            table.add_row(domain, *cells, f"{middle[1] / middle[0]:.1f}")
    show(table)


if __name__ == "__main__":
    main()
