"""Runs whose agent may let experts take its turn, on real tasks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from support import Run, RunLocal, StandIn

from tau2_enhanced.logging import Clock
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    ModelCallEvent,
    RunStartEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    UserSimEvent,
)
from tau2_enhanced.models.client import Client, Reply, Request
from tau2_enhanced.models.experts import Experts
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import FREE, PriceBook
from tau2_enhanced.models.resolve import GOLD, ModelSpec
from tau2_enhanced.models.stand_in.plays import play_of
from tau2_enhanced.models.stand_in.process import StandInProcess
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.jobs import Job
from tau2_enhanced.runner.simulate import simulate

WITH_EXPERTS = ("--domains", "mock", "retail", "--num-tasks", "4", "--experts", "wise=gold", "sly=gold")
CALLS = (LLMCallEvent, ExpertCallEvent, UserSimEvent, ToolCallEvent)


def tool_calls(run: Run) -> dict[tuple[str, str], list[Any]]:
    """What the environment was asked to do, by domain and task."""
    return {
        (line["domain"], line["task"]): [
            (call["name"], call["arguments"])
            for message in line["simulation"]["messages"]
            for call in message.get("tool_calls") or ()
        ]
        for line in run.record
    }


def test_experts_change_neither_calls_nor_rewards(run_local: RunLocal) -> None:
    plain = run_local("--domains", "mock", "retail", "--num-tasks", "4", "--run-id", "R")
    expected = tool_calls(plain), {(line["domain"], line["task"]): line["reward"] for line in plain.record}
    (plain.folder / "outputs" / "R").rename(plain.folder / "outputs" / "plain")
    run = run_local(*WITH_EXPERTS)
    assert run.code == 0
    assert (tool_calls(run), {(line["domain"], line["task"]): line["reward"] for line in run.record}) == expected
    assert {event.expert for event in run.events("retail", "expert_call") if isinstance(event, ExpertCallEvent)} == {
        "wise",
        "sly",
    }
    for file in (run.results("mock"), run.results("retail"), run.folder / "outputs" / "R" / "run" / "record.jsonl"):
        assert "call_expert" not in file.read_text()


def test_results_say_that_the_scaffold_is_a_custom_one(run_local: RunLocal) -> None:
    from tau2.data_model.simulation import Results

    run = run_local(*WITH_EXPERTS)
    info = Results.load(run.results("mock")).info.agent_info
    assert (info.implementation, info.llm) == ("llm_agent+experts", "gold")
    assert info.llm_args["experts"] == ["wise=gold", "sly=gold"]
    assert run.summary["custom_scaffold"] == ["experts"]
    assert run.summary["experts"] == {"wise": "gold", "sly": "gold"}
    assert run.summary["played_by_gold"] == ["agent", "user", "expert wise", "expert sly"]
    assert "custom scaffold" in run.out
    configuration = json.loads((run.folder / "outputs" / "R" / "run" / "config.json").read_text())
    assert configuration["deciding"]["experts"] == ["wise=gold", "sly=gold"]
    (start,) = run.events("mock", "run_start")
    assert isinstance(start, RunStartEvent)
    assert start.experts == "wise=gold, sly=gold"


def test_experts_that_are_not_offered_are_never_asked(run_local: RunLocal) -> None:
    run = run_local(*WITH_EXPERTS, "--no-use-model-tool")
    assert run.code == 0
    assert run.events("mock", "expert_call") == []
    assert run.summary["custom_scaffold"] == []
    assert '"implementation": "llm_agent"' in run.results("mock").read_text()


def test_an_expert_that_is_not_offered_may_have_a_price(run_local: RunLocal) -> None:
    flags = ("--domains", "mock", "--experts", "odd=vllm/m@http://127.0.0.1:9/v1", "--price", "m=1/2", "--dry-run")
    assert run_local(*flags, "--no-use-model-tool").code == 0


def test_experts_have_an_account_of_their_own(run_local: RunLocal) -> None:
    run = run_local(*WITH_EXPERTS, "--price", "gold=1/10")
    asked = [event for domain in ("mock", "retail") for event in run.events(domain, "expert_call")]
    spent = sum(event.cost_usd or 0.0 for event in asked if isinstance(event, ExpertCallEvent))
    assert spent > 0
    by_role = run.summary["cost_usd_by_role"]
    assert by_role["expert"] == pytest.approx(spent)
    assert run.summary["cost_usd"] == pytest.approx(sum(by_role.values()))
    assert run.summary["spent_usd"] == pytest.approx(run.summary["cost_usd"])
    assert sum(line["used"]["expert"]["calls"] for line in run.record if "expert" in line["used"]) == len(asked)
    ends = {event.task: event for event in run.events("retail", "task_complete")}
    for line in run.record:
        agents = line["used"]["agent"]["cost_usd"] + line["used"].get("expert", {"cost_usd": 0.0})["cost_usd"]
        assert line["simulation"]["agent_cost"] == pytest.approx(agents)
        if line["domain"] == "retail":
            end = ends[line["task"]]
            assert isinstance(end, TaskCompleteEvent)
            assert end.expert_cost_usd == pytest.approx(line["used"]["expert"]["cost_usd"])


def test_a_model_without_a_price_is_named_once_and_costs_blank(run_local: RunLocal, stand_in: StandIn) -> None:
    url = stand_in()
    models = ("--agent-model", "vllm/gold", "--agent-base-url", url, "--user-model", "gold")
    run = run_local("--domains", "mock", "--num-tasks", "3", *models, "--experts", f"wise=vllm/gold@{url}")
    assert run.code == 0
    assert run.err.count("no price is known for vllm/gold: its cost is left blank; give --price vllm/gold=IN/OUT") == 1
    assert run.summary["cost_usd"] is None
    assert all("cost_usd" not in str(event) for event in run.events("mock", "llm_call"))


def test_max_cost_counts_experts_and_needs_their_price(run_local: RunLocal) -> None:
    flags = ("--domains", "mock", "--experts", "odd=vllm/m@http://127.0.0.1:9/v1")
    refused = run_local(*flags, "--max-cost", "1")
    assert refused.code == 2
    assert "--max-cost needs the price of vllm/m" in refused.err
    run = run_local(*WITH_EXPERTS, "--price", "gold/gold=1/10", "--max-cost", "0.00001", "--max-concurrency", "1")
    assert len(run.record) == 1
    assert run.summary["stopped"] == "--max-cost 1e-05 USD is reached"


@pytest.mark.parametrize(
    ("experts", "problem"),
    [
        (["wise"], "expected NAME=MODEL"),
        (["wise=gold", "wise=gold"], "two of the name wise"),
        (["wise=replay:x.json"], "a recording can't be an expert"),
        (["wise=strange"], "--experts 'strange' is no model this runner knows"),
        (["wise=vllm/m"], "--experts NAME=vllm/m@http"),
        (["wise=vllm/m@http://127.0.0.1:9/v1"], "can't be reached"),
        (["wise=gpt-5"], "gpt-5 needs a key"),
    ],
)
def test_an_expert_that_can_not_be_had_is_the_users_mistake(
    run_local: RunLocal, experts: list[str], problem: str
) -> None:
    run = run_local("--domains", "mock", "--experts", *experts)
    assert run.code == 2
    assert problem in run.err
    assert not (run.folder / "outputs").exists()


def test_a_resumed_run_has_the_same_experts(run_local: RunLocal) -> None:
    flags = ("--domains", "mock", "--num-tasks", "1")
    run_local(*flags, "--experts", "wise=gold")
    assert run_local("--resume", "R", "--num-tasks", "2").summary["experts"] == {"wise": "gold"}
    other = run_local("--resume", "R", "--experts", "sly=gold")
    assert other.code == 2
    assert "experts: ['wise=gold'] then, ['sly=gold'] now" in other.err
    assert run_local("--resume", "R", "--no-use-model-tool").code == 2


def test_a_run_of_an_earlier_version_had_no_experts(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "1")
    path = run.folder / "outputs" / "R" / "run" / "config.json"
    configuration = json.loads(path.read_text())
    for kept in (configuration["options"], configuration["deciding"]):
        del kept["experts"], kept["use_model_tool"], kept["context_limit"], kept["context_strategy"]
    path.write_text(json.dumps(configuration))
    assert run_local("--resume", "R", "--num-tasks", "2").code == 0


class CountingClock(Clock):
    """Time passes only while a model is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0.0

    def ms(self) -> float:
        return self.now_ms


class Taking:
    """A client that takes so long, by the clock, for each answer."""

    def __init__(self, client: Client, clock: CountingClock, takes_ms: float) -> None:
        self.call_type = client.call_type
        self._client = client
        self._clock = clock
        self._takes_ms = takes_ms

    def check(self, model: str) -> None:
        self._client.check(model)

    def complete(self, request: Request) -> Reply:
        self._clock.now_ms += self._takes_ms
        return self._client.complete(request)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def bench(registry: Any) -> Iterator[Callable[[CountingClock], Bench]]:
    """A bench on two tasks whose gold agent asks a gold expert: 30 ms for the agent, 500 ms for the expert."""
    with ExitStack() as closing:

        def make(clock: CountingClock) -> Bench:
            tasks = {("mock", task.id): task for task in registry.get_tasks_loader("mock")(None)}
            plays = {key: replace(play_of(task), experts=("wise",)) for key, task in tasks.items()}
            url = closing.enter_context(StandInProcess()).serve(plays)
            client = OpenAIClient("gold", url, "gold")
            closing.callback(client.close)
            spec, book = ModelSpec(GOLD, GOLD, GOLD), PriceBook({"gold": FREE})

            def join(role: str, takes_ms: float, expert: str | None = None) -> Participant:
                return Participant(role, spec, Taking(client, clock, takes_ms), book, retries=0, expert=expert)

            return Bench(
                run="R",
                registry=registry,
                tasks=tasks,
                participants={"agent": join("agent", 30.0), "user": join("user", 7.0)},
                max_steps=50,
                max_errors=10,
                experts=Experts([join("expert", 500.0, "wise")], {"wise": FREE}),
                clock=clock,
            )

        yield make


def test_a_steps_time_is_that_of_its_calls_and_no_time_is_counted_twice(
    bench: Callable[[CountingClock], Bench], events: list[ExecutionEvent]
) -> None:
    clock = CountingClock()
    made = bench(clock)
    for task in ("create_task_1", "update_task_with_message_history"):
        assert simulate(Job("mock", task, 0, seed=1), made).reward == 1.0
    inside: dict[Any, dict[str, float]] = defaultdict(dict)
    for event in events:
        if isinstance(event, CALLS):
            parts = inside[event.sim, event.step]
            parts[event.type] = parts.get(event.type, 0.0) + (event.duration_ms or 0.0)
    steps = [event for event in events if isinstance(event, StepCompleteEvent)]
    assert {"llm_call", "expert_call"} in [parts.keys() - {"tool_call"} for parts in inside.values()]
    for step in steps:
        parts = inside[step.sim, step.step]
        assert step.total_duration_ms == pytest.approx(sum(parts.values()))
        assert step.framework_ms == pytest.approx(0.0)
        assert parts.get("expert_call", 500.0) == 500.0
        assert parts.get("llm_call", 30.0) == 30.0


@pytest.mark.parametrize("fails", [False, True])
def test_calls_waits_and_framework_make_up_the_step(run_local: RunLocal, stand_in: StandIn, fails: bool) -> None:
    """By the clock on the wall, however busy the machine is."""
    url = stand_in("--fail-every", "2")
    served = ("--agent-model", "vllm/gold", "--agent-base-url", url, "--user-model", "gold", "--domains", "mock")
    run = run_local(*served, "--task-ids", "create_task_1") if fails else run_local(*WITH_EXPERTS)
    inside: dict[Any, float] = defaultdict(float)
    waited = 0.0
    for event in run.events("mock"):
        if isinstance(event, CALLS):
            inside[event.sim, event.step] += event.duration_ms or 0.0
        if isinstance(event, ModelCallEvent):
            inside[event.sim, event.step] += event.retry_wait_ms or 0.0
            waited += event.retry_wait_ms or 0.0
    steps = [event for event in run.events("mock", "step_complete") if isinstance(event, StepCompleteEvent)]
    assert steps
    assert (waited > 0) == fails
    for step in steps:
        assert step.framework_ms is not None
        assert step.framework_ms > 0
        assert inside[step.sim, step.step] + step.framework_ms == pytest.approx(step.total_duration_ms, abs=0.02)
