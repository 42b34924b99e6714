"""A run of any size that nobody ran: all kinds of calls, verdicts, failures and waits, the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
    UserSimEvent,
)

BEGAN = datetime(2026, 3, 14, 9, 26)
TOOLS = ("get_user_details", "get_order_details", "modify_pending_order_items", "calculate", "transfer_to_human_agents")
MODELS = ("openai/gpt-4.1", "vllm/Qwen/Qwen3-32B")
DOMAINS = ("airline", "retail", "telecom")


def made_table(simulations: int, *, workers: int = 10, least_calls: int = 15, most_calls: int = 40) -> EventTable:
    """The table of a run of that many simulations."""
    lines = Lines()
    read_events(made_events(simulations, workers, least_calls, most_calls), lines)
    return to_table(lines)


def made_events(simulations: int, workers: int, least_calls: int, most_calls: int) -> Iterator[ExecutionEvent]:
    dice = random.Random(4)
    free_ms = [5.0 * worker for worker in range(workers)]
    for number in range(simulations):
        worker = min(range(workers), key=free_ms.__getitem__)
        simulation = _Simulation(dice, number, worker, free_ms[worker])
        yield from simulation.events(dice.randint(least_calls, most_calls))
        free_ms[worker] = simulation.now_ms + dice.uniform(1, 900)


class _Simulation:
    def __init__(self, dice: random.Random, number: int, worker: int, start_ms: float) -> None:
        self._dice = dice
        self._common: dict[str, Any] = {
            "run": "20260314-092600-made",
            "sim": f"{number:012x}",
            "domain": DOMAINS[number % 3],
            "task": str(number // 3) if number % 3 < 2 else f"[mobile_data_issue]airplane_mode_on|bad_vpn[{number}]",
            "trial": 0,
            "thread": f"worker-{worker + 1}",
        }
        self._model = MODELS[number % 2]
        self._start_ms = start_ms
        self.now_ms = start_ms
        self._cost = 0.0

    def events(self, calls: int) -> Iterator[ExecutionEvent]:
        yield TaskStartEvent(**self._at(0), seed=7)
        for step in range(calls):
            yield self._call(step, calls)
        reward = self._dice.choices((1.0, 0.0, None), (60, 30, 10))[0]
        if reward is not None:
            yield self._answered(EvaluatorEvent, calls, "openai/gpt-4.1", 1500)
        yield TaskCompleteEvent(
            **self._common,
            timestamp=self._when(self.now_ms),
            start_ms=self._start_ms,
            duration_ms=self.now_ms - self._start_ms,
            reward=reward,
            termination_reason="user_stop" if reward is not None else "infrastructure_error",
            error_type=None if reward is not None else "timeout",
            steps=calls,
            cost_usd=self._cost,
        )

    def _call(self, step: int, calls: int) -> ExecutionEvent:
        kind = self._dice.choices(("agent", "tool", "user", "expert"), (40, 35, 22, 3))[0]
        if kind == "tool":
            return self._tool(step)
        if kind == "user":
            return self._answered(UserSimEvent, step, "openai/gpt-4.1", 1200)
        if kind == "expert":
            return self._answered(ExpertCallEvent, step, "openai/o4-mini", 5000)
        return self._answered(LLMCallEvent, step, self._model, 2500)

    def _tool(self, step: int) -> ExecutionEvent:
        took_ms = self._dice.uniform(0.05, 0.9) if self._dice.random() < 0.8 else self._dice.uniform(50, 400)
        failed = self._dice.random() < 0.06
        return ToolCallEvent(
            **self._at(took_ms),
            step=step,
            function=self._dice.choice(TOOLS),
            duration_ms=took_ms,
            error=failed,
            error_type="ValueError" if failed else None,
            requestor="assistant",
        )

    def _answered(self, cls: Any, step: int, model: str, mean_ms: float) -> ExecutionEvent:
        took_ms = self._dice.lognormvariate(0, 0.6) * mean_ms
        attempts = self._dice.choices((1, 2, 3), (94, 4, 2))[0]
        wait_ms = (attempts - 1) * self._dice.uniform(800, 2500)
        self.now_ms += wait_ms
        cost = self._dice.uniform(0.0005, 0.02)
        self._cost += cost
        return cls(
            **self._at(took_ms),
            step=step,
            model=model,
            call_type="openai",
            duration_ms=took_ms,
            ttft_ms=took_ms / 4,
            decode_ms=took_ms * 3 / 4,
            input_tokens=self._dice.randint(500, 12000),
            cached_tokens=self._dice.randint(0, 400),
            output_tokens=self._dice.randint(10, 400),
            cost_usd=round(cost, 6),
            attempts=attempts,
            retry_wait_ms=wait_ms,
            error_type="http_500" if attempts == 3 and self._dice.random() < 0.4 else None,
        )

    def _at(self, took_ms: float) -> dict[str, Any]:
        begin = self.now_ms
        self.now_ms += took_ms + self._dice.uniform(0.2, 30)
        return self._common | {"start_ms": begin, "timestamp": self._when(begin + took_ms)}

    def _when(self, ms: float) -> datetime:
        return BEGAN + timedelta(milliseconds=ms)
