from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.models.client import Reply, Request, Usage
from tau2_enhanced.models.failures import (
    AuthenticationFailed,
    ContextOverflow,
    DeadlinePassed,
    ModelCallError,
    RequestRefused,
    TransientFailure,
)
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.retry import Attempts, backoff_s, complete_with_retries

if TYPE_CHECKING:
    from tests.models.conftest import Handler, Recorded, Response, Scripted, ScriptedServer, StillClock

ASKED = Request("m", [{"role": "user", "content": "Hi"}])


class FailingClient:
    """A client of its own kind, which the protocol allows: it fails as told, then answers."""

    call_type = "own"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked = 0

    def check(self, model: str) -> None:
        pass

    def complete(self, request: Request) -> Reply:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return Reply("done", (), Usage(), {})

    def close(self) -> None:
        pass


def taking(clock: StillClock, ms: float, response: Response) -> Scripted:
    """A response for which the server takes so long."""

    def respond(_: Handler, __: Recorded) -> Response:
        clock.now_ms += ms
        return response

    return respond


def sleeper(clock: StillClock, waits: list[float]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.now_ms += seconds * 1000

    return sleep


def test_an_answer_at_once_is_one_attempt_without_waiting(
    server: ScriptedServer, connect: Callable[..., OpenAIClient], clock: StillClock
) -> None:
    clock.now_ms = 1000.0
    server.answers(taking(clock, 30, server.text("yes")))
    attempts, waits = Attempts(), list[float]()
    reply = complete_with_retries(
        connect(server.url), ASKED, attempts, retries=3, now_ms=clock.ms, sleep=sleeper(clock, waits)
    )
    assert reply.content == "yes"
    assert (attempts.count, attempts.start_ms, attempts.duration_ms, attempts.retry_wait_ms) == (1, 1000.0, 30.0, 0.0)
    assert waits == []


def test_times_tell_the_last_attempt_from_what_came_before(
    server: ScriptedServer, connect: Callable[..., OpenAIClient], clock: StillClock
) -> None:
    server.answers(
        taking(clock, 100, server.error(500, "no")),
        taking(clock, 200, server.error(429, "slow down")),
        taking(clock, 40, server.text("yes")),
    )
    attempts, waits = Attempts(), list[float]()
    reply = complete_with_retries(
        connect(server.url), ASKED, attempts, retries=3, now_ms=clock.ms, sleep=sleeper(clock, waits)
    )
    assert reply.content == "yes"
    assert (attempts.count, len(waits), len(server.requests)) == (3, 2, 3)
    assert attempts.duration_ms == pytest.approx(40)
    assert attempts.retry_wait_ms == pytest.approx(100 + 200 + sum(waits) * 1000)
    assert attempts.start_ms == pytest.approx(clock.now_ms - 40)


def test_the_last_failure_is_raised_when_no_attempt_is_left(
    server: ScriptedServer, connect: Callable[..., OpenAIClient], clock: StillClock
) -> None:
    server.answers(*(taking(clock, 10, server.error(500, f"failure {number}")) for number in range(1, 5)))
    attempts, waits = Attempts(), list[float]()
    with pytest.raises(TransientFailure, match="failure 4"):
        complete_with_retries(
            connect(server.url), ASKED, attempts, retries=3, now_ms=clock.ms, sleep=sleeper(clock, waits)
        )
    assert (attempts.count, len(waits), len(server.requests)) == (4, 3, 4)
    assert attempts.duration_ms == pytest.approx(10)
    assert attempts.retry_wait_ms == pytest.approx(30 + sum(waits) * 1000)


def test_without_retries_there_is_one_attempt() -> None:
    client, attempts = FailingClient(TransientFailure("no", error_type="http_500")), Attempts()
    with pytest.raises(TransientFailure):
        complete_with_retries(client, ASKED, attempts, retries=0, now_ms=lambda: 0.0, sleep=lambda _: None)
    assert (client.asked, attempts.count) == (1, 1)


def test_the_server_is_left_alone_for_as_long_as_it_asks(
    server: ScriptedServer, connect: Callable[..., OpenAIClient], clock: StillClock
) -> None:
    server.answers(
        server.error(429, "wait", {"Retry-After": "20"}),
        server.error(503, "wait", {"retry-after-ms": "90000"}),
        server.text(),
    )
    waits: list[float] = []
    complete_with_retries(
        connect(server.url), ASKED, Attempts(), retries=3, now_ms=clock.ms, sleep=sleeper(clock, waits)
    )
    first, second = waits
    assert 20 <= first <= 21
    assert 90 <= second <= 91


RATE_LIMIT = TransientFailure("slow down", error_type="rate_limit")
BUSY = TransientFailure("busy", error_type="http_503", retry_after_s=1.0)


OVERLOADED = TransientFailure("overloaded", error_type="http_529")


@pytest.mark.parametrize("failure", [RATE_LIMIT, BUSY, OVERLOADED], ids=["429", "503 with Retry-After", "529"])
def test_waits_that_help_are_no_retries(failure: TransientFailure, clock: StillClock) -> None:
    client, attempts = FailingClient(*[failure] * 9), Attempts()
    reply = complete_with_retries(client, ASKED, attempts, retries=0, now_ms=clock.ms, sleep=sleeper(clock, []))
    assert (reply.content, attempts.count) == ("done", 10)


def test_a_server_that_is_busy_without_end_is_a_failure() -> None:
    busy = TransientFailure("busy", error_type="http_503")
    client, attempts = FailingClient(*[busy] * 9), Attempts()
    with pytest.raises(TransientFailure):
        complete_with_retries(client, ASKED, attempts, retries=2, now_ms=lambda: 0.0, sleep=lambda _: None)
    assert attempts.count == 3


def test_rate_limits_are_waited_for_until_the_calls_time_is_over(clock: StillClock) -> None:
    client, attempts, waits = FailingClient(*[RATE_LIMIT] * 999), Attempts(), list[float]()
    clock.now_ms = 5_000_000.0
    with pytest.raises(TransientFailure, match="slow down"):
        complete_with_retries(
            client, replace(ASKED, timeout_s=120.0), attempts, retries=3, now_ms=clock.ms, sleep=sleeper(clock, waits)
        )
    assert 60 <= sum(waits) <= 120
    assert attempts.count == len(waits) + 1


def test_a_server_that_wants_to_be_left_alone_for_longer_than_the_call_has_is_not_waited_for(clock: StillClock) -> None:
    client, waits = FailingClient(TransientFailure("no", error_type="rate_limit", retry_after_s=601.0)), list[float]()
    with pytest.raises(TransientFailure):
        complete_with_retries(client, ASKED, Attempts(), retries=3, now_ms=clock.ms, sleep=sleeper(clock, waits))
    assert waits == []


def test_nor_is_one_that_is_down_for_so_long() -> None:
    client = FailingClient(TransientFailure("down", error_type="http_500", retry_after_s=601.0))
    with pytest.raises(TransientFailure):
        complete_with_retries(client, ASKED, Attempts(), retries=3, now_ms=lambda: 0.0, sleep=lambda _: None)
    assert client.asked == 1


def test_rate_limits_between_other_failures_do_not_use_up_the_retries(clock: StillClock) -> None:
    lost = TransientFailure("lost", error_type="connection")
    client = FailingClient(lost, RATE_LIMIT, lost, RATE_LIMIT, RATE_LIMIT)
    attempts = Attempts()
    complete_with_retries(client, ASKED, attempts, retries=2, now_ms=clock.ms, sleep=sleeper(clock, []))
    assert attempts.count == 6


def test_a_server_that_is_away_is_waited_for_and_looked_at_often(clock: StillClock) -> None:
    away = TransientFailure("no connection", error_type="unreachable")
    client, attempts, waits = FailingClient(*[away] * 30), Attempts(), list[float]()
    request = replace(ASKED, timeout_s=600.0)
    complete_with_retries(client, request, attempts, retries=0, now_ms=clock.ms, sleep=sleeper(clock, waits))
    assert attempts.count == 31
    assert max(waits) == 10.0


@pytest.mark.parametrize(
    "failure",
    [
        AuthenticationFailed("no"),
        RequestRefused("no"),
        ContextOverflow("no"),
        DeadlinePassed("no"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_will_not_change_is_not_tried_again(failure: ModelCallError) -> None:
    client, attempts, waits = FailingClient(failure), Attempts(), list[float]()
    with pytest.raises(ModelCallError) as caught:
        complete_with_retries(client, ASKED, attempts, retries=3, now_ms=lambda: 0.0, sleep=waits.append)
    assert caught.value is failure
    assert (client.asked, attempts.count, waits) == (1, 1, [])


def test_a_call_that_took_too_long_says_how_long_it_may_take() -> None:
    late = DeadlinePassed()
    late.happened_at("host:8000")
    with pytest.raises(DeadlinePassed) as caught:
        complete_with_retries(
            FailingClient(late), replace(ASKED, timeout_s=2.5), Attempts(), retries=3, now_ms=lambda: 0.0
        )
    assert str(caught.value) == "host:8000: no answer within the call's time limit of 2.5 s (--llm-timeout)"


def test_a_refusal_after_a_transient_failure_ends_the_attempts() -> None:
    client = FailingClient(TransientFailure("busy", error_type="http_503"), AuthenticationFailed("expired"))
    attempts = Attempts()
    with pytest.raises(AuthenticationFailed):
        complete_with_retries(client, ASKED, attempts, retries=3, now_ms=lambda: 0.0, sleep=lambda _: None)
    assert attempts.count == 2


@given(failures=st.integers(1, 100))
def test_the_wait_doubles_with_jitter_up_to_a_minute(failures: int) -> None:
    full = min(60.0, 0.5 * 2 ** (failures - 1))
    assert full / 2 <= backoff_s(failures, None) <= full
    assert full / 2 <= backoff_s(failures, 0.0) <= full


@given(failures=st.integers(1, 100), asked_s=st.floats(0, 3600, exclude_min=True))
def test_the_wait_is_never_shorter_than_asked_and_little_longer(failures: int, asked_s: float) -> None:
    assert asked_s <= backoff_s(failures, asked_s) <= asked_s + min(1.0, 0.1 + asked_s * 0.1) + 1e-9


@pytest.mark.parametrize("asked_s", [None, 0.0, 30.0])
def test_callers_do_not_return_all_at_once(asked_s: float | None) -> None:
    assert len({backoff_s(3, asked_s) for _ in range(50)}) > 40
