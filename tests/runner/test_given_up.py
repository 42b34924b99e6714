"""Simulations that are given up while they run: what they used is not lost, and none is counted twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tau2_enhanced.logging import Clock
from tau2_enhanced.logging.events import ExecutionEvent, ModelCallEvent, TaskCompleteEvent
from tau2_enhanced.models.client import Client, Reply, Request
from tau2_enhanced.models.cutoff import GivenUp
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import Price, PriceBook
from tau2_enhanced.models.resolve import GOLD, ModelSpec
from tau2_enhanced.models.stand_in.plays import play_of
from tau2_enhanced.models.stand_in.process import StandInProcess
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.jobs import Job, Outcome, Status
from tau2_enhanced.runner.simulate import give_up, simulate

JOB = Job("mock", "create_task_1", 0, seed=1)


class Held:
    """Whoever comes here after the first `lets_pass` waits until it is let go."""

    def __init__(self, lets_pass: int) -> None:
        self._left = lets_pass
        self.waits, self.goes_on = threading.Event(), threading.Event()

    def hold(self) -> None:
        """Come here."""
        self._left -= 1
        if self._left < 0:
            self.waits.set()
            assert self.goes_on.wait(30)


class HeldClient:
    """A client whose answers arrive when they are let go."""

    def __init__(self, client: Client, held: Held) -> None:
        self._client = client
        self._held = held
        self.call_type = client.call_type

    def complete(self, request: Request) -> Reply:
        reply = self._client.complete(request)
        self._held.hold()
        return reply

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def bench(registry: Any) -> Iterator[Callable[[Held], Bench]]:
    """A bench on mock's tasks, played by gold at a price, whose answers are held."""
    with ExitStack() as closing:

        def make(held: Held) -> Bench:
            tasks = {("mock", task.id): task for task in registry.get_tasks_loader("mock")(None)}
            url = closing.enter_context(StandInProcess()).serve({key: play_of(task) for key, task in tasks.items()})
            client = HeldClient(OpenAIClient("gold", url, "gold"), held)
            closing.callback(client.close)
            spec, book = ModelSpec(GOLD, GOLD, GOLD), PriceBook({GOLD: Price(2.0, 8.0)})
            participants = {role: Participant(role, spec, client, book, retries=0) for role in ("agent", "user")}
            return Bench("R", registry, tasks, participants, max_steps=50, max_errors=10, clock=Clock())

        yield make


def given_up(made: Bench, held: Held) -> list[Outcome]:
    """What the simulation comes to that is given up while it is held; it is then let go, and has ended."""

    def work() -> None:
        with suppress(GivenUp):
            simulate(JOB, made)

    worker = threading.Thread(target=work)
    worker.start()
    assert held.waits.wait(30)
    outcomes = give_up([JOB, Job("mock", "not_begun", 0, seed=1)], made)
    held.goes_on.set()
    worker.join(30)
    assert not worker.is_alive()
    return outcomes


def test_what_it_used_until_then_is_kept_and_what_comes_later_is_nowhere(
    bench: Callable[[Held], Bench], events: list[ExecutionEvent]
) -> None:
    held = Held(3)
    [outcome] = given_up(bench(held), held)
    assert (outcome.status, outcome.error_type, outcome.reward) == (Status.NO_VERDICT, "given_up", None)
    assert len(outcome.simulation["messages"]) >= 3
    calls = [event for event in events if isinstance(event, ModelCallEvent)]
    assert sum(used["calls"] for used in outcome.used.values()) == len(calls) == 3
    assert outcome.known_cost_usd == pytest.approx(sum(call.cost_usd or 0.0 for call in calls))
    assert outcome.known_cost_usd > 0
    [end] = [event for event in events if isinstance(event, TaskCompleteEvent)]
    assert (end.sim, end.error_type, end.cost_usd) == (outcome.sim, "given_up", pytest.approx(outcome.cost_usd()))


def test_one_that_ended_in_that_moment_keeps_its_verdict(
    bench: Callable[[Held], Bench], events: list[ExecutionEvent]
) -> None:
    made = bench(Held(100))
    outcome = simulate(JOB, made)
    assert outcome.reward == 1.0
    # a worker has not handed it in yet
    assert give_up([JOB], made) == [outcome]
    assert [event.type for event in events].count("task_complete") == 1


def test_of_a_whole_conversation_the_evaluation_alone_is_given_up(
    bench: Callable[[Held], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tau2.data_model.simulation import RewardInfo

    held = Held(0)
    monkeypatch.setattr("tau2_enhanced.runner.attempt.evaluate", lambda *_: held.hold() or RewardInfo(reward=1.0))
    [outcome] = given_up(bench(Held(100)), held)
    assert (outcome.status, outcome.termination_reason) == (Status.UNJUDGED, "user_stop")
    assert outcome.known_cost_usd > 0
