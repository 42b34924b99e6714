"""What of a step's time lies outside of its calls, in a run whose agent lets experts take turns.

    python benchmarks/step_times.py [--num-tasks 4] [--latency 0.2] [--max-concurrency 1]

Each answer of the stand-in takes `--latency` seconds. A step is a turn: the agent's own call, the expert's where
one took the turn, and the tool calls it made; what is left is the work of tau2 and of the runner between them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.logging.events import (
    ExpertCallEvent,
    LLMCallEvent,
    StepCompleteEvent,
    ToolCallEvent,
    UserSimEvent,
    parse_line,
)
from tau2_enhanced.models.stand_in.plays import play_of
from tau2_enhanced.models.stand_in.process import StandInProcess

RUNNER = Path(__file__).parent.parent / "run_local.py"
DOMAINS = ("mock", "retail", "airline", "telecom")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-tasks", default="4", help="of each domain")
    parser.add_argument("--latency", default="0.2", help="seconds that each answer takes")
    parser.add_argument("--max-concurrency", default="1")
    options = parser.parse_args()
    silence_loguru()
    registry = tau2_versions.load()
    plays = {
        (domain, task.id): replace(play_of(task), experts=("wise",))
        for domain in DOMAINS
        for task in registry.get_tasks_loader(domain)("base" if domain != "mock" else None)
    }
    with StandInProcess("--latency", options.latency) as stand_in, tempfile.TemporaryDirectory() as folder:
        url = stand_in.serve(plays)
        models = [
            word for role in ("agent", "user") for word in (f"--{role}-model", "vllm/gold", f"--{role}-base-url", url)
        ]
        limits = ["--num-tasks", options.num_tasks, "--max-concurrency", options.max_concurrency]
        subprocess.run(
            [sys.executable, RUNNER, "--domains", *DOMAINS, *models, *limits, "--experts", f"wise=vllm/gold@{url}"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _print(sorted(Path(folder, "logs").glob("eval_*.log")))


def _print(logs: list[Path]) -> None:
    inside: dict[tuple[str | None, int | None], float] = defaultdict(float)
    asked: set[tuple[str | None, int | None]] = set()
    steps: list[StepCompleteEvent] = []
    for log in logs:
        for line in log.read_text().splitlines():
            event = parse_line(line)
            if isinstance(event, LLMCallEvent | ExpertCallEvent | UserSimEvent | ToolCallEvent):
                inside[event.sim, event.step] += event.duration_ms or 0.0
            if isinstance(event, ExpertCallEvent):
                asked.add((event.sim, event.step))
            if isinstance(event, StepCompleteEvent):
                steps.append(event)
    left: dict[str, list[float]] = defaultdict(list)
    for step in steps:
        taker = "agent, with an expert" if (step.sim, step.step) in asked else step.from_role or ""
        rest = (step.total_duration_ms or 0.0) - inside[step.sim, step.step]
        left[f"{taker}, to {step.to_role}"].append(rest)
    print(f"{'ms of a step outside of its calls':40} {'steps':>6} {'median':>8} {'P95':>8} {'max':>8} {'< 1 ms':>8}")
    for name, rests in sorted(left.items()):
        p95 = statistics.quantiles(rests, n=20, method="inclusive")[-1] if len(rests) > 1 else rests[0]
        within = sum(rest < 1.0 for rest in rests)
        print(
            f"{name:40} {len(rests):6} {statistics.median(rests):8.3f} {p95:8.3f} {max(rests):8.3f}"
            f" {within:>4}/{len(rests)}"
        )


if __name__ == "__main__":
    main()
