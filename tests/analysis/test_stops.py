from __future__ import annotations

from typing import Any

import pytest

from tau2_enhanced.analysis.concurrency import concurrency, numbers
from tau2_enhanced.analysis.figures.concurrency import draw
from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.stops import Stop, stops
from tau2_enhanced.analysis.summary import summarise
from tau2_enhanced.analysis.table import Choice, EventTable, to_table
from tau2_enhanced.analysis.timeline import timeline
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    LLMCallEvent,
    RunCompleteEvent,
    RunStartEvent,
    TaskCompleteEvent,
    TaskStartEvent,
)


def table(*events: ExecutionEvent) -> EventTable:
    lines = Lines()
    read_events(events, lines)
    return to_table(lines)


def ran(sim: str, domain: str, thread: str, start_ms: float, end_ms: float) -> list[ExecutionEvent]:
    of: dict[str, Any] = {"run": "r", "sim": sim, "task": sim, "trial": 0, "domain": domain, "thread": thread}
    call = LLMCallEvent(**of, start_ms=start_ms, duration_ms=end_ms - start_ms)
    return [call, TaskCompleteEvent(**of, start_ms=start_ms, duration_ms=end_ms - start_ms, reward=1.0)]


@pytest.fixture
def resumed() -> EventTable:
    """A run that was killed at 500 ms, went on at 10,000, ended at 10,400, and went on at 20,000 with one more task."""
    return table(
        RunStartEvent(run="r", start_ms=1.0, resumed=False),
        *ran("a", "mock", "w1", 100.0, 400.0),
        TaskStartEvent(run="r", sim="b0", task="b", trial=0, domain="retail", thread="w2", start_ms=200.0),
        LLMCallEvent(
            run="r", sim="b0", task="b", trial=0, domain="retail", thread="w2", start_ms=200.0, duration_ms=300.0
        ),
        RunStartEvent(run="r", start_ms=10_000.0, resumed=True),
        *ran("b", "retail", "w1", 10_050.0, 10_350.0),
        # a part is timed from a little before it says so
        RunCompleteEvent(run="r", start_ms=9_990.0, duration_ms=410.0, finished=2),
        RunStartEvent(run="r", start_ms=20_000.0, resumed=True),
        *ran("c", "mock", "w1", 20_000.0, 20_200.0),
        RunCompleteEvent(run="r", start_ms=19_990.0, duration_ms=230.0, finished=3),
    )


def test_a_stop_lasts_from_the_last_event_to_the_resume(resumed: EventTable) -> None:
    expected = {"r": [Stop(500.0, 10_000.0), Stop(10_400.0, 20_000.0)]}
    assert stops(resumed) == expected
    # when the runner ran does not depend on what is looked at
    assert stops(resumed.chosen(Choice(domain=["mock"]))) == expected
    assert stops(table(RunStartEvent(run="r", start_ms=1.0, resumed=False), *ran("a", "mock", "w", 2.0, 3.0))) == {}
    assert stops(EventTable()) == {}


def test_the_critical_path_is_without_them(resumed: EventTable) -> None:
    path = summarise(resumed)["critical_path"]
    # of 20,100 ms from a's start to c's end 9,500 and 9,600 are stops; c, b and a took 200, 300 and 300 of the rest
    assert path["stopped_ms"] == 19_100.0
    assert path["total_ms"] == 1000.0
    assert (path["model_ms"], path["idle_ms"]) == (800.0, 200.0)


def test_what_ran_at_once_is_without_them(resumed: EventTable) -> None:
    found = numbers(timeline(resumed))
    assert found is not None
    assert (found["stopped_ms"], found["bin_ms"]) == pytest.approx((19_100.0, 20_100.0 / 60))
    # a 300 ms, b0 300, b 300 and c 200, of the 1,000 ms in which the runner ran
    assert found["simulations"]["mean"] == pytest.approx(1.1)
    assert found["model_calls"]["mean"] == pytest.approx(1.1)
    levels = concurrency(timeline(resumed))
    assert levels is not None
    drawn = draw(levels, "run r")
    titles = [axes.get_title() for axes in drawn.axes]
    assert titles[0] == "simulations running: 1.1 on average, 2 at most"
    captions = " ".join(text.get_text() for text in drawn.texts)
    assert "averages without 19.1 s in which no runner ran" in " ".join(captions.split())


def test_a_choice_is_without_them(resumed: EventTable) -> None:
    mock = resumed.chosen(Choice(domain=["mock"]))
    found = numbers(timeline(mock, simulations(mock)))
    assert found is not None
    assert found["simulations"]["mean"] == pytest.approx(0.5)
