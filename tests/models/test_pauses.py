from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tau2_enhanced.models import retry
from tau2_enhanced.models.client import Reply, Request, Usage
from tau2_enhanced.models.failures import DeadlinePassed, LimitReached
from tau2_enhanced.models.pauses import Pauses
from tau2_enhanced.models.retry import Attempts, complete_with_retries
from tau2_enhanced.models.task_time import TaskTime, limited

if TYPE_CHECKING:
    from tests.models.conftest import StillClock


@pytest.fixture
def pauses(clock: StillClock) -> Pauses:
    return Pauses(lambda: clock.now_ms / 1000)


def test_a_look_that_comes_late_is_a_pause(clock: StillClock, pauses: Pauses) -> None:
    with pauses.watched():
        for gap_s in (0.5, 2.9, 60.0, 0.5):
            clock.now_ms += gap_s * 1000
            pauses.total_s()
        assert pauses.total_s() == 60.0
    clock.now_ms += 3_600_000
    assert pauses.total_s() == 60.0


def test_working_time_leaves_pauses_out_and_wall_time_does_not(clock: StillClock, pauses: Pauses) -> None:
    with pauses.watched():
        time = TaskTime(clock.ms, clock.now_ms, wall_s=100.0, working_s=10.0, pauses=pauses)
        clock.now_ms += 60_000
        assert (time.left_s(), time.wall_left_s()) == (10.0, 40.0)


class OnceLate:
    """A client whose first call is still under way when its time, and more, has passed."""

    call_type = "late"

    def __init__(self, clock: StillClock, late_ms: float) -> None:
        self._clock = clock
        self._late_ms = [late_ms]

    def check(self, model: str) -> None:
        pass

    def complete(self, request: Request) -> Reply:
        if self._late_ms:
            self._clock.now_ms += self._late_ms.pop()
            raise DeadlinePassed("late")
        return Reply("done", (), Usage(), {})

    def close(self) -> None:
        pass


def ask(clock: StillClock, late_ms: float) -> Reply:
    request = Request("m", [], timeout_s=2.0)
    return complete_with_retries(OnceLate(clock, late_ms), request, Attempts(), retries=0, now_ms=clock.ms)


def test_a_deadline_that_passed_in_a_pause_is_no_servers_fault(
    clock: StillClock, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PAUSES", pauses)
    with pauses.watched():
        assert ask(clock, 60_000).content == "done"
        with pytest.raises(DeadlinePassed):
            ask(clock, 2_100)
        time = TaskTime(clock.ms, clock.now_ms, working_s=1.0, pauses=pauses)
        with limited(time):
            assert ask(clock, 60_000).content == "done"
            clock.now_ms += 900
            time.check()
            clock.now_ms += 200
            with pytest.raises(LimitReached):
                time.check()
