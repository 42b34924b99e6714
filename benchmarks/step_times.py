"""What of a step's time lies outside of its calls, and how much of that is work, where experts take turns.

    python benchmarks/step_times.py [--num-tasks 6] [--latency 0.02]

Each answer of the stand-in takes `--latency` seconds. A step is a turn: the agent's own call, the expert's where
one took the turn, and the tool calls it made; `framework_ms` is the rest. The thread's CPU time in that rest is the
work of tau2 and of the runner; what is more by the clock on the wall is the wait for a core.
"""

from __future__ import annotations

import argparse
import statistics
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from logging import Handler, LogRecord, getLogger

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import PROFILE, Clock, current_context
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.logging.events import ExecutionEvent, ModelCallEvent, StepCompleteEvent, ToolCallEvent
from tau2_enhanced.models.experts import Experts
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import FREE, PriceBook
from tau2_enhanced.models.resolve import GOLD, ModelSpec
from tau2_enhanced.models.stand_in.plays import plays_of
from tau2_enhanced.models.stand_in.process import StandInProcess
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.jobs import Job
from tau2_enhanced.runner.simulate import simulate

DOMAINS = ("retail", "airline", "telecom")


class TwoClocks(Clock):
    """The clock on the wall, which remembers the thread's CPU time at each reading."""

    def __init__(self) -> None:
        super().__init__()
        self._readings: list[tuple[float, float]] = []

    def ms(self) -> float:
        now_ms = super().ms()
        self._readings.append((now_ms, time.thread_time() * 1000))
        return now_ms

    def cpu_between(self, start_ms: float | None, duration_ms: float | None) -> float:
        """CPU time between two readings."""
        begin = start_ms or 0.0
        return self._cpu_ms(begin + (duration_ms or 0.0)) - self._cpu_ms(begin)

    def _cpu_ms(self, at_ms: float) -> float:
        # events round times to microseconds
        return self._readings[bisect_left(self._readings, (at_ms - 0.0015, 0.0))][1]


class Collector(Handler):
    """Keeps the events of the simulations."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[ExecutionEvent] = []

    def emit(self, record: LogRecord) -> None:
        if isinstance(record.msg, ExecutionEvent):
            record.msg.stamp(current_context())
            self.events.append(record.msg)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-tasks", type=int, default=6, help="of each domain")
    parser.add_argument("--latency", default="0.02", help="seconds that each answer takes")
    options = parser.parse_args()
    silence_loguru()
    registry = tau2_versions.load()
    collector, logger, clock = Collector(), getLogger("tau2_enhanced.events"), TwoClocks()
    logger.addHandler(collector)
    logger.setLevel(PROFILE)
    logger.propagate = False
    tasks = {
        (domain, task.id): task
        for domain in DOMAINS
        for task in registry.get_tasks_loader(domain)("base")[: options.num_tasks]
    }
    plays = plays_of(tasks, experts=("wise",))
    with ExitStack() as closing:
        url = closing.enter_context(StandInProcess("--latency", options.latency)).serve(plays)
        client = OpenAIClient("gold", url, "gold")
        closing.callback(client.close)
        spec, prices = ModelSpec(GOLD, GOLD, GOLD), PriceBook({"gold": FREE})
        bench = Bench(
            run="R",
            registry=registry,
            tasks=tasks,
            participants={role: Participant(role, spec, client, prices) for role in ("agent", "user")},
            max_steps=200,
            max_errors=10,
            experts=Experts([Participant("expert", spec, client, prices, expert="wise")], {"wise": FREE}),
        )

        def play(clock: Clock) -> list[ExecutionEvent]:
            collector.events = []
            for domain, task in tasks:
                simulate(Job(domain, task, 0, seed=1), replace(bench, clock=clock))
            return collector.events

        play(Clock())  # the first simulations of a process import and fill caches
        wall = _framework_ms(play(Clock()))
        # in a round of their own: to read the CPU's clock takes time that counts as the framework's
        cpu = _cpu_ms(play(clock), clock)
    _print(wall, cpu)


def _framework_ms(events: list[ExecutionEvent]) -> dict[str, list[float]]:
    """By kind of step."""
    made: dict[str, list[float]] = defaultdict(list)
    for step, name in _steps(events):
        made[name].append(step.framework_ms or 0.0)
    return made


def _cpu_ms(events: list[ExecutionEvent], clock: TwoClocks) -> dict[str, list[float]]:
    """The thread's CPU time outside of calls, by kind of step."""
    inside: dict[tuple[str | None, int | None], float] = defaultdict(float)
    for event in events:
        if isinstance(event, ModelCallEvent | ToolCallEvent):
            inside[event.sim, event.step] += clock.cpu_between(event.start_ms, event.duration_ms)
    made: dict[str, list[float]] = defaultdict(list)
    for step, name in _steps(events):
        made[name].append(clock.cpu_between(step.start_ms, step.total_duration_ms) - inside[step.sim, step.step])
    return made


def _steps(events: list[ExecutionEvent]) -> Iterator[tuple[StepCompleteEvent, str]]:
    """The steps, and of which kind each is."""
    asked = {(event.sim, event.step) for event in events if event.type == "expert_call"}
    for event in events:
        if isinstance(event, StepCompleteEvent):
            taker = "agent, with an expert" if (event.sim, event.step) in asked else event.from_role
            yield event, f"{taker}, to {event.to_role}"


def _print(wall: Mapping[str, Sequence[float]], cpu: Mapping[str, Sequence[float]]) -> None:
    print(f"{'framework_ms':31} {'steps':>6} {'median':>8} {'max':>8} {'< 1 ms':>8} {'CPU: median':>12} {'max':>8}")
    for name in sorted(wall):
        within = f"{sum(rest < 1.0 for rest in wall[name])}/{len(wall[name])}"
        print(
            f"{name:31} {len(wall[name]):6} {statistics.median(wall[name]):8.3f} {max(wall[name]):8.3f} {within:>8}"
            f" {statistics.median(cpu[name]):12.3f} {max(cpu[name]):8.3f}"
        )


if __name__ == "__main__":
    main()
