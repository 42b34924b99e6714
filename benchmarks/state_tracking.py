#!/usr/bin/env python3
"""What it costs to know what each tool call changed, on every domain: `python benchmarks/state_tracking.py`.

The gold actions of all base tasks are played. CPU of the thread that plays them, per tool call: the tool by itself;
both looks at the databases, before and after the call (mean, and the slowest of a hundred); all that recording the
call costs its thread, the looks included. Of each call the fastest of several rounds counts. For comparison, one
snapshot the plain way: both databases serialised and hashed in full. The writer's own CPU, per call, is what events
and state differences take in the thread that writes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from processes import show
from rich.table import Table

from tau2_enhanced import tau2_versions
from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.environments.recorder import EnvironmentRecorder
from tau2_enhanced.logging import task_context
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.logging.event_stream import Log
from tau2_enhanced.logging.execution_logger import ExecutionLogger
from tau2_enhanced.logging.state_hash import state_hash

DOMAINS = ("mock", "retail", "airline", "telecom")
ROUNDS = 3
PLAIN_SNAPSHOTS = 5


class Collected:
    """A sink that keeps what it is given, to be written later."""

    def __init__(self) -> None:
        self.logs: list[Log] = []

    def flush(self) -> None:
        pass

    def put(self, log: Log, domain: str | None = None) -> None:
        self.logs.append(log)


def micros(work: Callable[[], object]) -> float:
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / 1000


def plays(registry: Any, domain: str, watch: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """Each tool call of the base tasks' gold actions, with the environment that it is for."""
    from tau2.data_model.message import ToolCall

    for task in registry.get_tasks_loader(domain)(*(["base"] if domain != "mock" else [])):
        environment = watch(registry.get_env_constructor(domain)())
        state = task.initial_state
        environment.set_state(
            state.initialization_data if state else None,
            state.initialization_actions if state else None,
            (state.message_history if state else None) or [],
        )
        for number, action in enumerate(task.evaluation_criteria.actions or []):
            yield (
                environment,
                ToolCall(id=str(number), name=action.name, arguments=action.arguments, requestor=action.requestor),
            )


def fastest(play: Callable[[], list[float]]) -> list[float]:
    """Of each call, the least that it took."""
    return [min(took) for took in zip(*(play() for _ in range(ROUNDS)), strict=True)]


def tools_alone(registry: Any, domain: str) -> list[float]:
    made = plays(registry, domain, lambda environment: environment)
    return [micros(lambda e=environment, c=call: e.get_response(c)) for environment, call in made]


def looks(registry: Any, domain: str) -> list[float]:
    """Of each call, the look before it and the one after."""
    took = []
    recorders: dict[int, EnvironmentRecorder] = {}
    for environment, call in plays(registry, domain, lambda environment: environment):
        if id(environment) not in recorders:
            recorders = {id(environment): EnvironmentRecorder(environment, Collected())}
        recorder = recorders[id(environment)]
        before = micros(recorder.look)
        environment.get_response(call)
        took.append(before + micros(recorder.look))
    return took


def recorded(registry: Any, domain: str, sink: Any) -> list[float]:
    with task_context(run="r", sim="s", domain=domain, task="t", trial=0, step=1):
        made = plays(registry, domain, lambda environment: LoggingEnvironment(environment, events=sink))
        return [micros(lambda e=environment, c=call: e.get_response(c)) for environment, call in made]


def plain_snapshot(registry: Any, domain: str) -> float:
    environment = registry.get_env_constructor(domain)()
    kits = [kit for kit in (environment.tools, environment.user_tools) if kit is not None]
    return statistics.median(
        micros(lambda: [state_hash(kit.db.model_dump(mode="json")) for kit in kits]) for _ in range(PLAIN_SNAPSHOTS)
    )


def writers(logs: Sequence[Log]) -> float:
    """Microseconds of CPU that it takes to log all of these into a file."""
    with tempfile.TemporaryDirectory() as folder:
        logger = ExecutionLogger(Path(folder) / "events.jsonl", auto_flush=False, max_events=0)
        took = micros(lambda: [log(logger) for log in logs])
        logger.close()
    return took


def main() -> None:
    silence_loguru()
    registry = tau2_versions.load()
    table = Table(title="per tool call, in µs of CPU", title_justify="left")
    for name in ("domain", "calls", "tool", "looks", "looks p99", "recording", "writer", "a full snapshot"):
        table.add_column(name, justify="left" if name == "domain" else "right")
    for domain in DOMAINS:
        tools_alone(registry, domain)  # what is loaded and learnt once is not counted
        tool = statistics.mean(fastest(lambda of=domain: tools_alone(registry, of)))
        looked = fastest(lambda of=domain: looks(registry, of))
        recording = statistics.mean(fastest(lambda of=domain: recorded(registry, of, Collected()))) - tool
        sink = Collected()
        recorded(registry, domain, sink)
        writers(sink.logs)
        row = [
            len(looked),
            tool,
            statistics.mean(looked),
            sorted(looked)[int(len(looked) * 0.99)],
            recording,
            writers(sink.logs) / len(looked),
            plain_snapshot(registry, domain),
        ]
        table.add_row(domain, *(f"{value:,.0f}" for value in row))
    show(table)


if __name__ == "__main__":
    main()
