from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tau2_enhanced.models.client import Reply, Request, Usage
from tau2_enhanced.models.failures import DeadlinePassed, LimitReached, ModelCallError, TaskTimeout, TransientFailure
from tau2_enhanced.models.retry import Attempts, complete_with_retries
from tau2_enhanced.models.task_time import TaskTime, limited, task_time

if TYPE_CHECKING:
    from tests.models.conftest import StillClock

FAILED = TransientFailure("HTTP 500", error_type="http_500")
HELLO = Reply("Hello", (), Usage(), {})


class Taking:
    """A client whose answers take so many seconds, cut by the deadline of each call."""

    call_type = "taking"

    def __init__(self, clock: StillClock, *answers: tuple[float, Reply | ModelCallError]) -> None:
        self._clock = clock
        self._answers = list(answers)
        self.timeouts: list[float] = []

    def check(self, model: str) -> None:
        pass

    def complete(self, request: Request) -> Reply:
        seconds, answer = self._answers.pop(0)
        self.timeouts.append(request.timeout_s)
        self._clock.now_ms += min(seconds, request.timeout_s) * 1000
        if seconds > request.timeout_s:
            raise DeadlinePassed("late")
        if isinstance(answer, ModelCallError):
            raise answer
        return answer

    def close(self) -> None:
        pass


def ask(client: Taking, clock: StillClock) -> Reply:
    def sleep(seconds: float) -> None:
        clock.now_ms += seconds * 1000

    request = Request("m", [], timeout_s=10.0)
    return complete_with_retries(client, request, Attempts(), retries=5, now_ms=clock.ms, sleep=sleep)


def limits(clock: StillClock, wall_s: float | None = None, working_s: float | None = None) -> TaskTime:
    return TaskTime(clock.ms, clock.ms(), wall_s, working_s)


def test_a_call_has_what_its_task_has_left(clock: StillClock) -> None:
    client = Taking(clock, (4, HELLO), (4, HELLO), (9, HELLO))
    with limited(limits(clock, wall_s=15)):
        ask(client, clock)
        ask(client, clock)
        with pytest.raises(TaskTimeout):
            ask(client, clock)
    assert client.timeouts == [10, 10, 7]


def test_a_calls_own_deadline_stays_its_own(clock: StillClock) -> None:
    with limited(limits(clock, wall_s=15, working_s=12)), pytest.raises(DeadlinePassed):
        ask(Taking(clock, (11, HELLO)), clock)


def test_too_much_work_is_the_models_failure(clock: StillClock) -> None:
    with limited(limits(clock, wall_s=15, working_s=5)), pytest.raises(LimitReached):
        ask(Taking(clock, (9, HELLO)), clock)


def test_failed_attempts_and_waits_are_no_work(clock: StillClock) -> None:
    with limited(limits(clock, working_s=5)):
        assert ask(Taking(clock, (4, FAILED), (4, FAILED), (4, HELLO)), clock) is HELLO
        assert 0.5 < task_time().left_s() <= 1


def test_a_wait_ends_with_its_task(clock: StillClock) -> None:
    asked_for = TransientFailure("HTTP 429", error_type="rate_limit", retry_after_s=8)
    with limited(limits(clock, wall_s=5)), pytest.raises(TaskTimeout):
        ask(Taking(clock, (1, asked_for)), clock)
    assert clock.now_ms == 5_000


def test_without_limits_time_is_endless(clock: StillClock) -> None:
    assert task_time().left_s() == float("inf")
    task_time().check()
    limits(clock).check()


@pytest.mark.parametrize(("limit", "failure"), [("wall_s", TaskTimeout), ("working_s", LimitReached)])
def test_a_limit_that_is_passed_says_what_that_means(
    clock: StillClock, limit: str, failure: type[ModelCallError]
) -> None:
    time = limits(clock, **{limit: 5.0})
    clock.now_ms = 4_999
    time.check()
    clock.now_ms = 5_000
    with pytest.raises(failure):
        time.check()
