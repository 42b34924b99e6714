from __future__ import annotations

import io
import logging
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from rich.console import Console

from tau2_enhanced.logging import Clock, TaskContext
from tau2_enhanced.logging.server_samples import ServerSample
from tau2_enhanced.models.adaptive import AdaptiveLimit, new_ticket
from tau2_enhanced.models.failures import TransientFailure
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.spread import Server
from tau2_enhanced.runner.display import (
    PlainDisplay,
    RichDisplay,
    describe,
    describe_limit,
    describe_servers,
    make_display,
)
from tau2_enhanced.runner.jobs import Job, Outcome, Status
from tau2_enhanced.runner.tally import Tally

JOBS = [Job(domain, str(number), 0, 0) for domain in ("retail", "mock") for number in range(10)]


def outcome(job: Job, **fields: Any) -> Outcome:
    known: dict[str, Any] = {
        "sim": "s",
        "status": Status.VERDICT,
        "reward": 1.0,
        "termination_reason": "user_stop",
        "error_type": None,
        "error": None,
        "duration_ms": 1500.0,
        "ended_ms": 0.0,
        "steps": 1,
        "used": {"agent": {"cost_usd": 0.5}},
    }
    return Outcome(domain=job.domain, task=job.task, trial=job.trial, seed=0, **{**known, **fields})


def running(number: int) -> TaskContext:
    context = TaskContext(domain="retail", task=f"t{number}", trial=0, step=number, clock=Clock(offset_ms=1e6))
    context.last_event_ms = 1e6 - 1000.0 * number
    return context


def test_plain_has_a_line_for_each_end() -> None:
    stream = io.StringIO()
    tally, display = Tally.of(JOBS, []), PlainDisplay(stream)
    display.start(tally, {})
    tally.add(outcome(JOBS[0]))
    display.ended(outcome(JOBS[0]))
    display.close()
    assert stream.getvalue() == "[ 1/20] retail 0 #0: reward 1 (user_stop), 1.50 s, $0.5000\n"


def test_a_simulation_before_its_first_step_is_starting_in_every_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tau2_enhanced.runner.display._STATUS_EVERY_S", 0.01)
    begun = {"7": TaskContext(domain="retail", task="7", trial=1, clock=Clock())}
    plain, rich = io.StringIO(), io.StringIO()
    console = Console(file=rich, force_terminal=True, color_system=None, width=80, height=20)
    displays = RichDisplay(console), PlainDisplay(plain)
    for display in displays:
        display.start(Tally.of(JOBS, []), begun)
    deadline = time.monotonic() + 20
    while not plain.getvalue() and time.monotonic() < deadline:
        time.sleep(0.005)  # another thread prints
    for display in displays:
        display.close()
    assert "1 running, oldest: retail 7 #1 starting, working\n" in plain.getvalue()
    assert "retail 7  #1  starting  " in rich.getvalue()


def test_what_has_no_verdict_says_why() -> None:
    fields: dict[str, Any] = {"reward": None, "error_type": "http_500", "termination_reason": "agent_error", "used": {}}
    broken = outcome(JOBS[0], status=Status.NO_VERDICT, **fields)
    assert describe(broken) == "retail 0 #0: no verdict: http_500, 1.50 s, $0.00"
    overflow = outcome(JOBS[0], reward=0.0, error_type="context_overflow", termination_reason="agent_error")
    assert "reward 0 (context_overflow)" in describe(overflow)


def test_rich_shows_bars_and_the_oldest_simulation_first() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=20)
    tally = Tally.of(JOBS, [outcome(JOBS[0], reward=0.0)])
    tally.add(outcome(JOBS[10]))
    display = RichDisplay(console)
    display.start(tally, {str(number): running(number) for number in range(30)})
    display.close()
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    for expected in ("2/20", "1/10", "pass 50.0 %", "pass 100.0 %", "$1.00", "eta"):
        assert expected in shown
    assert shown.index("retail t29") < shown.index("retail t28")
    assert "more running" in shown


def test_on_80_columns_no_figure_is_cut_or_wrapped_and_alike_tasks_can_be_told_apart() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80, height=20)
    of_telecom = [Job("telecom", str(number), 0, 0) for number in range(10)]
    tally = Tally.of([*JOBS, *of_telecom], [])
    for number in range(7):
        tally.add(outcome(JOBS[number], used={"agent": {"cost_usd": 0.0301}}))
    simulations = {str(number): running(number) for number in range(4)}
    for number, context in enumerate(simulations.values()):
        persona = "Easy" if number < 2 else "Hard"
        context.domain, context.trial = "telecom", number % 2
        context.task = f"[mobile_data_issue]airplane_mode_on|bad_network_preference|bad_vpn[PERSONA:{persona}]"
        context.waiting_for = "agent /models/a-checkpoint"
    display = RichDisplay(console)
    display.start(tally, simulations)
    display.close()
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    for expected in ("7/10  $0.2107  pass 100.0 %", "pass –", "eta ", "Easy]  #0  step 0 ", "Easy]  #1  step 1 "):
        assert expected in shown
    assert "Hard]  #1  step 3  3.0 s  waits " in shown


def test_a_busy_server_is_shown_while_it_is_given_fewer_calls() -> None:
    busy, free = AdaptiveLimit("host:8000", 8), AdaptiveLimit("other", 8)
    with suppress(TransientFailure), busy.turn(new_ticket()):
        raise TransientFailure("too many", error_type="rate_limit", retry_after_s=75.0)
    assert describe_limit(busy) == "host:8000 is busy: 1 of 8 calls at once, none for 1:15 as it asks, 1 refused so far"
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=20)
    display = RichDisplay(console)
    display.start(Tally.of(JOBS, []), {}, [busy, free])
    display.close()
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    assert "host:8000 is busy" in shown
    assert "other" not in shown


def test_without_a_terminal_the_display_is_plain() -> None:
    assert isinstance(make_display(None, io.StringIO()), PlainDisplay)


def server(name: str, **said: Any) -> Server:
    sample = ServerSample(datetime(2026, 3, 14), "R", 0.0, name, **said) if said else None
    client = OpenAIClient("vllm", f"http://{name}/v1", "EMPTY")
    return Server(name, "", client, AdaptiveLimit(name, 1), lambda: True, simulations=2, sample=sample)


def test_servers_have_lines_whose_figures_stand_below_each_other() -> None:
    busy = server(
        "h:1900", running=12.0, waiting=3.0, kv_cache_usage=0.456, preemptions=7.0, generation_tokens_per_s=310
    )
    calm = server("h:19001", running=1.0, waiting=0.0, kv_cache_usage=0.02, generation_tokens_per_s=9)
    calm.simulations = 1
    assert describe_servers([busy, calm]) == [
        "h:1900   2 tasks  12 running  3 waiting  7 preempted  KV 46 %  310 tok/s",
        "h:19001   1 task   1 running  0 waiting                KV 2 %    9 tok/s",
    ]
    busy.out = "does not answer"
    assert describe_servers([busy, calm])[0] == "h:1900   2 tasks  taken out: does not answer"
    assert describe_servers([server("h:1901"), calm])[0] == "h:1901   2 tasks"
    assert describe_servers([server("h:1900")]) == describe_servers([]) == []


def test_the_lines_of_servers_fit_a_terminal_of_80_columns() -> None:
    said = {"kv_cache_usage": 0.25, "prefix_cache_hit_rate": 0.75, "generation_tokens_per_s": 40}
    (line,) = describe_servers([server("127.0.0.1:1900", running=2.0, waiting=0.0, **said)])
    assert line.endswith("prefix 75 %  40 tok/s")
    assert len(line) <= 80


def test_servers_are_shown_above_the_tasks_where_they_say_something() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=20)
    display = RichDisplay(console)
    display.start(Tally.of(JOBS, []), {"1": running(1)}, servers=[server("h:1900", running=1.0), server("h:1901")])
    display.close()
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    assert shown.index("h:1900  2 tasks  1 running") < shown.index("h:1901  2 tasks") < shown.index("retail t1")
    silent = Console(file=io.StringIO(), force_terminal=True, width=120, height=20)
    display = RichDisplay(silent)
    display.start(Tally.of(JOBS, []), {}, servers=[server("h:1900")])
    display.close()
    assert "h:1900" not in silent.file.getvalue()  # type: ignore[attr-defined]  # as above


def test_a_stack_is_for_the_log_and_its_first_line_for_the_screen() -> None:
    record = logging.LogRecord("t", logging.WARNING, "f", 1, "", None, None)
    for make in (PlainDisplay, lambda stream: RichDisplay(Console(file=stream))):
        stream = io.StringIO()
        make(stream).record(record, "[WARNING] stalled\n    a\n    stack")
        make(stream).record(record, "[WARNING] another")
        assert stream.getvalue() == "[WARNING] stalled (more in the log)\n[WARNING] another\n"
