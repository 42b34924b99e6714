"""The Chrome-trace export: what stands in it, that its slices nest, and what becomes of odd logs."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import RunLocal

from tau2_enhanced.analysis.inputs import find_logs
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.analysis.table import EventTable
from tau2_enhanced.analysis.trace import write_trace
from tau2_enhanced.analysis.trace.nesting import ROUNDING_US, nest
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    RunCompleteEvent,
    RunStartEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
    UserSimEvent,
    to_dict,
    to_line,
)

MOMENT = datetime(2026, 3, 14, 9, 26, 53, 589000)
TIMED = ("llm_call", "expert_call", "user_sim", "evaluator", "tool_call", "step_complete", "task_complete")
Event = dict[str, Any]


@dataclass
class CacheHitEvent(ExecutionEvent, registered=False):
    key: str | None = None


def of(**changed: Any) -> dict[str, Any]:
    return {
        "timestamp": MOMENT,
        "thread": "worker-1",
        "run": "R",
        "sim": "s12",
        "domain": "retail",
        "task": "12",
        "trial": 0,
    } | changed


def table_of(*events: ExecutionEvent) -> EventTable:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "eval.log"
        log.write_text("".join(to_line(event) + "\n" for event in events), encoding="utf-8")
        table = read_table([log])
    assert table.broken == 0
    return table


def trace_of(table: EventTable) -> list[Event]:
    with tempfile.TemporaryDirectory() as folder:
        count = write_trace(table, Path(folder) / "trace.json")
        assert [path.name for path in Path(folder).iterdir()] == ["trace.json"]
        trace = json.loads((Path(folder) / "trace.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert len(trace["traceEvents"]) == count
    return trace["traceEvents"]


def phase(trace: list[Event], *phases: str) -> list[Event]:
    return [event for event in trace if event["ph"] in phases]


def process_names(trace: list[Event]) -> dict[int, str]:
    return {event["pid"]: event["args"]["name"] for event in trace if event["name"] == "process_name"}


def us(milliseconds: float) -> int:
    return round(milliseconds * 1000)


def assert_nests(trace: list[Event]) -> None:
    """Of each two slices of a thread, one holds the other or they are apart; who holds stands first."""
    threads: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in phase(trace, "X"):
        assert event["dur"] >= 0
        threads[event["pid"], event["tid"]].append(event)
    for slices in threads.values():
        assert [event["ts"] for event in slices] == sorted(event["ts"] for event in slices)
        ends: list[int] = []
        for event in slices:
            while ends and ends[-1] <= event["ts"]:
                ends.pop()
            end = event["ts"] + event["dur"]
            assert not ends or end <= ends[-1], event
            ends.append(end)


def assert_async_ends_match(trace: list[Event]) -> None:
    begun, ended = ({event["id"]: event for event in phase(trace, ph)} for ph in "be")
    assert begun.keys() == ended.keys()
    assert len(begun) == len(phase(trace, "b")) == len(phase(trace, "e"))
    for number, event in begun.items():
        assert (event["name"], event["cat"], event["pid"]) == tuple(
            ended[number][key] for key in ("name", "cat", "pid")
        )
        assert ended[number]["ts"] >= event["ts"]


def times(trace: list[Event], cat: str) -> Counter[tuple[int, int]]:
    """Start and end in µs of every slice of a category, in its thread or beside it."""
    ends = {event["id"]: event["ts"] for event in phase(trace, "e")}
    found = [event for event in phase(trace, "X", "b") if event["cat"] == cat]
    return Counter((e["ts"], e["ts"] + e["dur"] if e["ph"] == "X" else ends[e["id"]]) for e in found)


def exact_times(events: list[Any]) -> Counter[tuple[int, int]]:
    took = [e.total_duration_ms if isinstance(e, StepCompleteEvent) else e.duration_ms for e in events]
    return Counter((us(e.start_ms), us(e.start_ms) + us(ms)) for e, ms in zip(events, took, strict=True))


def counter(trace: list[Event], name: str) -> dict[int, list[tuple[int, float]]]:
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for event in phase(trace, "C"):
        if event["name"] == name:
            (value,) = event["args"].values()
            found[event["pid"]].append((event["ts"], value))
    return found


def test_a_small_run_by_hand() -> None:
    turn = of(step=3)
    trace = trace_of(
        table_of(
            TaskStartEvent(**of(start_ms=1.0), seed=7),
            LLMCallEvent(
                **turn, start_ms=3.5, duration_ms=2.25, model="m", attempts=2, retry_wait_ms=1.0, cost_usd=0.25
            ),
            ToolCallEvent(**turn, start_ms=5.751, duration_ms=0.114, function="get_order", error=False),
            StepCompleteEvent(**turn, start_ms=2.0, total_duration_ms=4.0, from_role="agent", to_role="env"),
            TaskCompleteEvent(**turn, start_ms=1.0, duration_ms=8.0, reward=1.0),
        )
    )
    at = {"pid": 1, "tid": 2}
    moment = {"timestamp": "2026-03-14 09:26:53.589"}
    common = moment | {key: value for key, value in turn.items() if key != "timestamp"}
    expected = [
        {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": "retail"}},
        {"name": "process_sort_index", "ph": "M", "pid": 1, "args": {"sort_index": 1}},
        {"name": "thread_name", "ph": "M", **at, "args": {"name": "worker-1"}},
        {"name": "thread_sort_index", "ph": "M", **at, "args": {"sort_index": 2}},
        {
            "name": "retail 12 #0", "cat": "task_complete", "ph": "X", "ts": 1000, "dur": 8000, **at,
            "args": {**common, "start_ms": 1.0, "duration_ms": 8.0, "reward": 1.0, "seed": 7},
        },
        {
            "name": "step 3 agent → env", "cat": "step_complete", "ph": "X", "ts": 2000, "dur": 4000, **at,
            "args": {**common, "start_ms": 2.0, "total_duration_ms": 4.0, "from_role": "agent", "to_role": "env"},
        },
        {
            "name": "retry wait", "cat": "retry_wait", "ph": "X", "ts": 2500, "dur": 1000, **at,
            "args": {"run": "R", "sim": "s12", "domain": "retail", "task": "12", "trial": 0, "step": 3,
                     "model": "m", "attempts": 2, "retry_wait_ms": 1.0},
        },
        {
            "name": "m", "cat": "llm_call", "ph": "X", "ts": 3500, "dur": 2250, **at,
            "args": {**common, "start_ms": 3.5, "duration_ms": 2.25, "model": "m", "attempts": 2,
                     "retry_wait_ms": 1.0, "cost_usd": 0.25},
        },
        {
            "name": "get_order", "cat": "tool_call", "ph": "X", "ts": 5751, "dur": 114, **at,
            "args": {**common, "start_ms": 5.751, "duration_ms": 0.114, "function": "get_order", "error": False,
                     "call_type": "local_function"},
        },
        {"name": "model calls in flight", "ph": "C", "ts": 3500, "pid": 1, "args": {"calls": 1}},
        {"name": "model calls in flight", "ph": "C", "ts": 5750, "pid": 1, "args": {"calls": 0}},
        {"name": "simulations running", "ph": "C", "ts": 1000, "pid": 1, "args": {"simulations": 1}},
        {"name": "simulations running", "ph": "C", "ts": 9000, "pid": 1, "args": {"simulations": 0}},
        {"name": "cost", "ph": "C", "ts": 5750, "pid": 1, "args": {"USD": 0.25}},
    ]  # fmt: skip
    assert trace == expected


def test_a_real_run_is_there_to_the_microsecond(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "retail", "--num-tasks", "4", "--max-concurrency", "3")
    table = read_table(find_logs(["logs"]))
    trace = trace_of(table)
    assert_nests(trace)
    assert not phase(trace, "b", "e")
    pids = {name: pid for pid, name in process_names(trace).items()}
    assert set(pids) == {"run", "mock", "retail"}
    for domain in ("mock", "retail"):
        here = [event for event in trace if event["pid"] == pids[domain]]
        for kind in TIMED:
            events = run.events(domain, kind)
            shown = [event for event in phase(here, "X") if event["cat"] == kind]
            assert len(shown) == len(events)
            for event in shown:
                if clipped := event["args"].pop("clipped_us", 0):
                    assert clipped <= ROUNDING_US
                    continue
                length = event["args"].get("duration_ms", event["args"].get("total_duration_ms"))
                assert (event["ts"], event["dur"]) == (us(event["args"]["start_ms"]), us(length))
            given = [{k: v for k, v in to_dict(e).items() if k not in ("type", "level", "timestamp")} for e in events]
            seen = [{k: v for k, v in e["args"].items() if k not in ("timestamp", "seed")} for e in shown]
            assert sorted(map(by_key, seen)) == sorted(map(by_key, given))
        assert all("seed" in event["args"] for event in phase(here, "X") if event["cat"] == "task_complete")
        assert {name(event) for event in here if event["name"] == "thread_name"} <= {f"worker-{n}" for n in (1, 2, 3)}
        for counted in ("model calls in flight", "simulations running"):
            values = counter(here, counted)[pids[domain]]
            assert values[-1][1] == 0
            assert 0 <= min(value for _, value in values) < max(value for _, value in values) <= 3
    # the logs of both domains hold these
    assert [event["cat"] for event in trace if event["pid"] == pids["run"] and event["ph"] in "Xi"] == [
        "run_complete",
        "run_start",
    ]


def name(metadata: Event) -> str:
    return str(metadata["args"]["name"])


def by_key(fields: Event) -> str:
    return json.dumps(fields, sort_keys=True)


def test_the_cost_counter_ends_at_the_total_of_each_domain() -> None:
    costs = [0.1, 0.2, 0.3, None, 1e-7]
    calls = [
        (UserSimEvent if n % 2 else EvaluatorEvent)(**of(start_ms=n * 10.0, domain=domain), duration_ms=5.0, cost_usd=c)
        for domain in ("airline", "retail")
        for n, c in enumerate(costs)
    ]
    by_process = counter(trace_of(table_of(*calls)), "cost")
    assert len(by_process) == 2
    for values in by_process.values():
        assert values[-1] == (45000, 0.6000001)
        assert [value for _, value in values] == sorted(value for _, value in values)


def test_calls_in_flight_are_counted_over_all_workers() -> None:
    calls = [
        LLMCallEvent(**of(thread=f"worker-{n}", sim=f"s{n}", start_ms=start), duration_ms=10.0)
        for n, start in enumerate((0.0, 5.0, 10.0, 12.0))
    ]
    (values,) = counter(trace_of(table_of(*calls)), "model calls in flight").values()
    assert values == [(0, 1), (5000, 2), (12000, 3), (15000, 2), (20000, 1), (22000, 0)]


def test_a_killed_attempt_lasts_until_its_last_event() -> None:
    killed, second = of(sim="killed"), of(sim="second")
    trace = trace_of(
        table_of(
            TaskStartEvent(**killed, start_ms=10.0, seed=1),
            LLMCallEvent(**killed, start_ms=20.0, duration_ms=30.5, model="m"),
            TaskStartEvent(**of(sim="barely", thread="worker-2"), start_ms=60.0),
            TaskStartEvent(**second, start_ms=100.0, seed=1),
            LLMCallEvent(**second, start_ms=110.0, duration_ms=1.0, model="m"),
            TaskCompleteEvent(**second, start_ms=100.0, duration_ms=50.0),
        )
    )
    assert_nests(trace)
    tasks = {event["args"]["sim"]: event for event in phase(trace, "X") if event["name"] == "retail 12 #0"}
    assert {sim: (event["ts"], event["dur"]) for sim, event in tasks.items()} == {
        "killed": (10000, 40500),
        "barely": (60000, 0),
        "second": (100000, 50000),
    }
    unfinished = {sim: event["args"].get("unfinished") for sim, event in tasks.items()}
    assert unfinished == {"killed": True, "barely": True, "second": None}
    assert {tasks[sim]["cat"] for sim in ("killed", "barely")} == {"task_start"}
    (running,) = counter(trace, "simulations running").values()
    assert running[-1][1] == 0


def test_each_run_has_processes_of_its_own() -> None:
    calls = [
        LLMCallEvent(**of(run=run, domain=domain, start_ms=5.0), duration_ms=10.0)
        for run in ("A", "B")
        for domain in ("airline", "retail")
    ]
    trace = trace_of(table_of(*calls, RunCompleteEvent(timestamp=MOMENT, run="B", start_ms=0.0, duration_ms=20.0)))
    assert list(process_names(trace).values()) == ["A / airline", "A / retail", "B / run", "B / airline", "B / retail"]
    assert len({event["tid"] for event in phase(trace, "X")}) == 5
    assert times(trace, "llm_call") == {(5000, 15000): 4}


def test_workers_stand_in_the_order_of_their_numbers() -> None:
    calls = [ToolCallEvent(**of(thread=f"worker-{n}", start_ms=1.0), duration_ms=1.0) for n in (10, 2, 1)]
    trace = trace_of(table_of(*calls))
    order = {event["tid"]: event["args"]["sort_index"] for event in trace if event["name"] == "thread_sort_index"}
    named = {event["tid"]: event["args"]["name"] for event in trace if event["name"] == "thread_name"}
    assert [named[tid] for tid in sorted(named, key=order.__getitem__)] == ["worker-1", "worker-2", "worker-10"]


def test_a_log_written_by_hand_begins_at_its_earliest_event() -> None:
    seconds = [timedelta(seconds=n) for n in (2, 3)]
    trace = trace_of(
        table_of(
            LLMCallEvent(timestamp=MOMENT + seconds[0], model="m", duration_ms=500.0, retry_wait_ms=250.0),
            ToolCallEvent(timestamp=MOMENT + seconds[1], function="f", duration_ms=0.5),
            ToolCallEvent(timestamp=MOMENT + seconds[1], function="f", duration_ms=0.5),
        )
    )
    assert_nests(trace)
    assert times(trace, "retry_wait") == {(0, 250_000): 1}
    assert times(trace, "llm_call") == {(250_000, 750_000): 1}
    assert times(trace, "tool_call") == {(1_749_500, 1_750_000): 2}
    assert process_names(trace) == {1: "run"}


def test_an_event_without_start_joins_those_that_have_one() -> None:
    trace = trace_of(
        table_of(
            LLMCallEvent(**of(start_ms=100.0), duration_ms=50.0),
            ToolCallEvent(**of(timestamp=MOMENT + timedelta(milliseconds=30)), duration_ms=10.0),
        )
    )
    assert times(trace, "tool_call") == {(170_000, 180_000): 1}


def test_what_has_no_duration_is_an_instant_and_foreign_fields_stay() -> None:
    hit = CacheHitEvent(**of(start_ms=4.0), key='say "hi"\tto\\ü', extra={"pid": "9", "ts": "1", "name": "x"})
    slow = CacheHitEvent(**of(start_ms=5.0), extra={"duration_ms": "2.5", "^run$": "any"})
    (instant,), (span,) = (phase(trace_of(table_of(hit, slow)), ph) for ph in "iX")
    assert (instant["ts"], instant["cat"], instant["s"], "dur" in instant) == (4000, "cache_hit", "t", False)
    assert instant["args"]["key"] == 'say "hi"\tto\\ü'
    assert (instant["args"]["pid"], instant["args"]["ts"], instant["args"]["name"]) == ("9", "1", "x")
    assert (span["ts"], span["dur"], span["name"]) == (5000, 2500, "cache hit")
    assert span["args"]["^run$"] == "any"


def test_calls_that_really_overlap_stand_beside_their_thread() -> None:
    trace = trace_of(
        table_of(
            LLMCallEvent(**of(start_ms=0.0), duration_ms=10.0, model="first"),
            LLMCallEvent(**of(start_ms=5.0), duration_ms=10.0, model="second"),
        )
    )
    assert_nests(trace)
    assert_async_ends_match(trace)
    assert [event["name"] for event in phase(trace, "X")] == ["first"]
    assert [(e["name"], e["ts"], e.get("args", {}).get("model")) for e in phase(trace, "b", "e")] == [
        ("second", 5000, "second"),
        ("second", 15000, None),
    ]


def test_rounding_is_clipped_and_said() -> None:
    trace = trace_of(
        table_of(
            StepCompleteEvent(**of(start_ms=1.0, step=0), total_duration_ms=3.0, from_role="agent"),
            LLMCallEvent(**of(start_ms=0.999, step=0), duration_ms=2.0, model="early"),
            ToolCallEvent(**of(start_ms=3.0, step=0), duration_ms=1.001, function="late"),
        )
    )
    assert_nests(trace)
    found = {event["name"]: (event["ts"], event["dur"], event["args"].get("clipped_us")) for event in phase(trace, "X")}
    assert found == {"step 0 agent": (1000, 3000, None), "early": (1000, 1999, 1), "late": (3000, 1000, 1)}


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([(0, 10, 1), (2, 11, 2)], [(0, 10), (2, 10)]),
        ([(0, 10, 2), (9, 20, 2)], [(0, 9), (9, 20)]),
        ([(0, 5, 2), (1, 9, 1)], [(1, 5), (1, 9)]),
        ([(0, 5, 3), (0, 4, 4), (1, 9, 1)], [(1, 5), (1, 4), (1, 9)]),
        ([(0, 10, 1), (2, 13, 2)], [(0, 10), None]),
        ([(0, 10, 2), (5, 12, 2)], [(0, 10), None]),
        ([(0, 10, 3), (5, 12, 2)], [None, (5, 12)]),
        ([(0, 10, 1), (1, 10, 2), (2, 9, 3), (5, 15, 1)], [(0, 10), (1, 10), (2, 9), None]),
        ([(0, 10, 2), (1, 12, 3), (6, 20, 1)], [None, None, (6, 20)]),
        ([(0, 10, 1), (2, 12, 3), (9, 30, 3)], [(0, 9), (2, 9), (9, 30)]),
        ([(0, 10, 1), (10, 20, 1), (10, 10, 2)], [(0, 10), (10, 20), (10, 10)]),
    ],
)
def test_how_slices_are_made_to_nest(
    slices: list[tuple[int, int, int]], expected: list[tuple[int, int] | None]
) -> None:
    starts, ends = [start for start, _, _ in slices], [end for _, end, _ in slices]
    outside = nest([1] * len(slices), [rank for _, _, rank in slices], starts, ends)
    assert [None if out else (s, e) for out, s, e in zip(outside, starts, ends, strict=True)] == expected


MS = st.integers(0, 40).map(lambda n: n / 1000) | st.integers(0, 10**6).map(lambda n: n / 1000)
KINDS = st.sampled_from(
    [LLMCallEvent, ExpertCallEvent, UserSimEvent, EvaluatorEvent, ToolCallEvent, StepCompleteEvent, TaskCompleteEvent]
)


@st.composite
def arbitrary(draw: st.DrawFn) -> ExecutionEvent:
    kind = draw(KINDS)
    duration = {"total_duration_ms" if kind is StepCompleteEvent else "duration_ms": draw(MS)}
    where = {
        "run": draw(st.sampled_from(["A", "B"])),
        "domain": draw(st.sampled_from(["airline", None])),
        "thread": draw(st.sampled_from(["worker-1", None])),
        "sim": draw(st.sampled_from(["s1", "s2"])),
    }
    return kind(timestamp=MOMENT, start_ms=draw(MS), **duration, **where, task="1")


@settings(max_examples=150, deadline=None)
@given(st.lists(arbitrary(), min_size=1, max_size=30), st.booleans())
def test_whatever_overlaps_the_slices_nest(events: list[ExecutionEvent], started: bool) -> None:
    starts = [TaskStartEvent(timestamp=MOMENT, start_ms=1.0, run="A", sim=sim, task="1") for sim in ("s1", "s9")]
    trace = trace_of(table_of(*events, *(starts if started else [])))
    assert_nests(trace)
    assert_async_ends_match(trace)
    for kind in TIMED:
        theirs = [event for event in events if event.type == kind]
        shown = [event for event in phase(trace, "X", "b") if event["cat"] == kind]
        assert len(shown) == len(theirs)
        if not any("clipped_us" in event["args"] for event in shown):
            assert times(trace, kind) == exact_times(theirs)
        for event in shown:
            assert abs(event["ts"] - us(event["args"]["start_ms"])) <= ROUNDING_US
            assert event["args"].get("clipped_us", 0) <= 3 * ROUNDING_US
    for counted in ("model calls in flight", "simulations running"):
        assert all(values[-1][1] == 0 for values in counter(trace, counted).values())


def test_nonsense_numbers_and_no_events_still_make_a_trace() -> None:
    assert trace_of(EventTable()) == []
    only_run = RunStartEvent(timestamp=MOMENT, run="R", start_ms=1.0)
    assert [event["cat"] for event in trace_of(table_of(only_run)) if "cat" in event] == ["run_start"]
    huge = LLMCallEvent(**of(start_ms=1e300), duration_ms=1e300, retry_wait_ms=1e300, cost_usd=1e300)
    trace = trace_of(table_of(huge, ToolCallEvent(**of(start_ms=1.0), duration_ms=1.0)))
    assert_nests(trace)
    assert all(math.isfinite(event["ts"]) for event in trace if "ts" in event)


def test_more_events_than_one_part_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        kind(**of(thread=f"worker-{n % 3}", sim=f"s{n % 7}", start_ms=n / 10), duration_ms=0.35, cost_usd=0.5)
        for n in range(60)
        for kind in (LLMCallEvent, UserSimEvent)
    ]
    whole = trace_of(table_of(*events))
    monkeypatch.setattr("tau2_enhanced.analysis.trace.file._EVENTS_PER_PART", 7)
    assert trace_of(table_of(*events)) == whole


def test_a_folder_that_cant_be_written_is_one_line(tmp_path: Path) -> None:
    table = table_of(ToolCallEvent(**of(start_ms=1.0), duration_ms=1.0))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    for path, named in ((tmp_path / "file" / "trace.json", tmp_path / "file"), (tmp_path / "taken",) * 2):
        with pytest.raises(UserMistake) as mistake:
            write_trace(table, path)
        assert str(mistake.value).startswith(f"{named} can't be written: ")
        assert "\n" not in str(mistake.value)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "file",
        "taken",
        "taken/inside",
    ]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failure_half_way_leaves_the_earlier_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.json"
    path.write_text("earlier")

    def fail(spans: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tau2_enhanced.analysis.trace.file.counters", fail)
    with pytest.raises(UserMistake, match=r"can't be written: No space left on device$"):
        write_trace(table_of(ToolCallEvent(**of(start_ms=1.0), duration_ms=1.0)), path)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("trace.json", "earlier")]
