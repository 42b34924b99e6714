"""How many calls a server is given at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging import Clock, task_context
from tau2_enhanced.models.adaptive import AdaptiveLimit, Patience, new_ticket
from tau2_enhanced.models.client import Reply, Request, Usage
from tau2_enhanced.models.failures import ContextOverflow, ServerBusy, TaskTimeout, TransientFailure
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.retry import Attempts, complete_with_retries
from tau2_enhanced.models.task_time import TaskTime, limited

if TYPE_CHECKING:
    from tests.models.conftest import ScriptedServer, StillClock

ASKED = Request("m", [{"role": "user", "content": "Hi"}])


def refusal(retry_after_s: float | None = None, kind: str = "rate_limit") -> TransientFailure:
    return TransientFailure("too many", error_type=kind, retry_after_s=retry_after_s)


def attempt(limit: AdaptiveLimit, failure: Exception | None = None) -> None:
    """One attempt by itself, whose failure is not raised."""
    with suppress(TransientFailure, ContextOverflow), limit.turn(new_ticket()):
        if failure is not None:
            raise failure


def together(limit: AdaptiveLimit, failures: list[Exception | None]) -> None:
    """Attempts that are all under way before the first of them ends."""
    begun = threading.Barrier(len(failures))
    order = [threading.Event() for _ in range(len(failures) + 1)]
    order[0].set()

    def make(number: int) -> None:
        with suppress(TransientFailure), limit.turn(new_ticket()):
            begun.wait(10)
            order[number].wait(10)
            order[number + 1].set()
            if (failure := failures[number]) is not None:
                raise failure

    with ThreadPoolExecutor(len(failures)) as pool:
        list(pool.map(make, range(len(failures))))


class Time:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_refusals_of_calls_that_were_under_way_together_halve_the_limit_once() -> None:
    limit = AdaptiveLimit("host", 8)
    together(limit, [None, None, None, refusal(), refusal(), refusal(), refusal(), refusal()])
    assert 2 <= limit.limit <= 4
    assert limit.refused == 5
    assert limit.reduced


@pytest.mark.parametrize("kind", ["http_503", "http_529"])
def test_a_server_that_is_overloaded_is_called_less(kind: str) -> None:
    limit = AdaptiveLimit("host", 8)
    together(limit, [refusal(kind=kind)] * 8)
    assert limit.limit == 4


@pytest.mark.parametrize(
    "failure", [TransientFailure("no", error_type="http_500"), ContextOverflow("no")], ids=["500", "overflow"]
)
def test_other_failures_say_nothing_of_the_limit(failure: Exception) -> None:
    limit = AdaptiveLimit("host", 8)
    attempt(limit, failure)
    assert (limit.limit, limit.refused, limit.reduced) == (8, 0, False)


def test_the_limit_rises_by_one_each_round_and_slowly_next_to_what_was_refused() -> None:
    limit = AdaptiveLimit("host", 8)
    together(limit, [refusal()] * 8)
    heights = []
    for _ in range(5 + 6 + 10 * 7):
        attempt(limit)
        heights.append(limit.limit)
    # 4 answers at 4, 5 at 5, 6 at 6, and ten rounds at 7, next to the 8 that were refused
    assert heights == [4] * 3 + [5] * 5 + [6] * 6 + [7] * 67


def test_what_was_refused_a_minute_ago_is_forgotten() -> None:
    now = Time()
    limit = AdaptiveLimit("host", 4, now)
    together(limit, [refusal()] * 4)
    now.now_s += 60
    for _ in range(2 + 3):
        attempt(limit)
    assert (limit.limit, limit.reduced) == (4, False)


@settings(deadline=None)
@given(
    most=st.integers(1, 20),
    outcomes=st.lists(st.sampled_from([None, refusal(), TransientFailure("no", error_type="http_500")]), max_size=200),
)
def test_the_limit_stays_between_one_and_all_and_always_comes_back(
    most: int, outcomes: list[TransientFailure | None]
) -> None:
    limit = AdaptiveLimit("host", most)
    for outcome in outcomes:
        before = limit.limit
        attempt(limit, outcome)
        assert 1 <= limit.limit <= most
        if outcome is None:
            assert limit.limit - before in (0, 1)
        elif outcome.for_load:
            assert limit.limit <= max(1, before // 2)
        else:
            assert limit.limit == before
    for _ in range(10 * most * most):
        attempt(limit)
    assert limit.limit == most


def test_nobody_calls_a_server_that_wants_to_be_left_alone() -> None:
    limit = AdaptiveLimit("host", 4)
    before = time.monotonic()
    attempt(limit, refusal(retry_after_s=0.1))
    assert limit.reduced
    with limit.turn(new_ticket()) as waited:
        assert waited
        assert time.monotonic() >= before + 0.1


def test_a_call_does_not_wait_for_a_server_that_says_it_will_refuse_for_longer() -> None:
    now = Time()
    limit = AdaptiveLimit("host", 4, now)
    attempt(limit, refusal(retry_after_s=86_400))
    with pytest.raises(ServerBusy, match="host refuses all calls, for 86400 s more"):
        limit.turn(new_ticket(), Patience(refused_s=600)).__enter__()
    now.now_s += 86_400
    with limit.turn(new_ticket(), Patience(refused_s=600)) as waited:
        assert not waited


class Holder:
    """Has the only turn of a server that refuses more, in a thread of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.limit = AdaptiveLimit("host", 2)
        together(self.limit, [refusal()] * 2)
        self.release, self._entered = threading.Event(), threading.Event()
        pool.submit(self._hold)
        self._entered.wait(10)

    def _hold(self) -> None:
        with self.limit.turn(new_ticket()):
            self._entered.set()
            self.release.wait(10)


@pytest.mark.parametrize(
    ("patience", "why"),
    [
        (Patience(refused_s=0.05), "host refuses all calls, longer"),
        (Patience(whole_s=0.05), "host had no turn for this"),
    ],
)
def test_a_wait_for_a_turn_ends_with_the_callers_patience(patience: Patience, why: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        holder = Holder(pool)
        other = pool.submit(attempt, holder.limit)
        with pytest.raises(ServerBusy, match=why):
            holder.limit.turn(new_ticket(), patience).__enter__()
        holder.release.set()
        # the one that gave up stands in nobody's way
        other.result(10)
    assert holder.limit._waiting == []


def test_a_server_that_answers_others_is_waited_for() -> None:
    limit, patience = AdaptiveLimit("host", 2), Patience(refused_s=0.3)
    together(limit, [refusal()] * 2)

    def call(_: int) -> None:
        with limit.turn(new_ticket(), patience):
            time.sleep(0.1)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(call, range(6)))


def test_a_call_that_had_no_turn_has_waited_and_nothing_else(clock: StillClock) -> None:
    attempts = Attempts()
    with ThreadPoolExecutor(1) as pool:
        holder = Holder(pool)

        def passes_time() -> float:
            clock.now_ms += 40
            return clock.now_ms

        clock.now_ms = 5000.0
        try:
            with limited(TaskTime(passes_time, clock.now_ms, wall_s=0.06)), pytest.raises(TaskTimeout):
                complete_with_retries(NeverAsked(), ASKED, attempts, retries=0, now_ms=passes_time, limit=holder.limit)
        finally:
            holder.release.set()
    assert (attempts.count, attempts.duration_ms) == (0, 0.0)
    assert attempts.first_start_ms > 5000
    assert attempts.start_ms == clock.now_ms


class NeverAsked:
    call_type = "own"

    def check(self, model: str) -> None: ...

    def close(self) -> None: ...

    def complete(self, request: Request) -> Reply:
        raise AssertionError("there was no turn")


def test_who_has_waited_longest_is_next() -> None:
    limit = AdaptiveLimit("host", 1)
    tickets = [new_ticket() for _ in range(4)]
    order: list[int] = []
    entered = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with limit.turn(tickets[0]):
            entered.set()
            release.wait(10)

    def wait(ticket: int) -> None:
        with limit.turn(ticket):
            order.append(ticket)

    with ThreadPoolExecutor(4) as pool:
        pool.submit(hold)
        entered.wait(10)
        for ticket in (tickets[3], tickets[1], tickets[2]):
            pool.submit(wait, ticket)
        while len(limit._waiting) < 3:
            time.sleep(0.001)  # other threads are waited for, and only the queue can tell
        release.set()
    assert order == tickets[1:]


def test_a_wait_for_a_turn_is_no_latency_and_is_known_while_it_lasts(clock: StillClock) -> None:
    class Client:
        call_type = "own"

        def check(self, model: str) -> None: ...

        def close(self) -> None: ...

        def complete(self, request: Request) -> Reply:
            clock.now_ms += 30
            return Reply("done", (), Usage(), {})

    limit, entered, release = AdaptiveLimit("host", 1), threading.Event(), threading.Event()
    seen: list[str] = []

    def hold(context_waits: Callable[[], str]) -> None:
        with limit.turn(new_ticket()):
            entered.set()
            while not context_waits():
                time.sleep(0.001)  # another thread is waited for, and only its context can tell
            seen.append(context_waits())
            clock.now_ms += 400

    attempts = Attempts()
    with task_context(clock=Clock()) as context, ThreadPoolExecutor(1) as pool:
        pool.submit(hold, lambda: context.waiting_for)
        entered.wait(10)
        release.set()
        complete_with_retries(Client(), ASKED, attempts, retries=0, now_ms=clock.ms, limit=limit)
    assert seen == ["a turn at host"]
    assert (attempts.count, attempts.duration_ms, attempts.retry_wait_ms) == (1, 30.0, 400.0)


def test_a_rate_limited_server_pauses_every_call_to_it(
    server: ScriptedServer, connect: Callable[..., OpenAIClient]
) -> None:
    server.answers(server.error(429, "wait", {"retry-after-ms": "100"}), server.text(), server.text())
    limit, client, arrived = AdaptiveLimit("host", 2), connect(server.url), time.monotonic()

    def call(_: int) -> float:
        complete_with_retries(client, ASKED, Attempts(), retries=0, now_ms=Clock().ms, limit=limit)
        return time.monotonic()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(call, 1)
        while limit.refused == 0:
            time.sleep(0.001)  # the server's answer is waited for, and only the limit can tell
        second = pool.submit(call, 2)
        assert min(first.result(), second.result()) >= arrived + 0.1


def test_a_turn_ends_whatever_fails_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a broken logger")

    limit = AdaptiveLimit("server", 1)
    with monkeypatch.context() as patched:
        patched.setattr(limit, "_rise", fail)
        with pytest.raises(RuntimeError, match="a broken logger"), limit.turn(new_ticket()):
            pass
    with limit.turn(new_ticket()) as waited:
        assert not waited
