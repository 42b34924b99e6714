from __future__ import annotations

import gzip
import json
import os
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from support import CHECKOUT, RunLocal

from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.analysis.executions.reading import read_executions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import ExecutionLogger
from tau2_enhanced.logging.events import ToolCallEvent, ToolExecutionEvent, to_json

RECORDED = Path(os.environ.get("RECORDED_RUN", CHECKOUT.parent / "shared" / "data"))
"""Where a run that the earlier tool recorded lies, if it is there."""


def call(name: str = "lookup", **fields: object) -> str:
    given: dict[str, object] = {"tool_name": name, "success": True, "execution_time": 0.001, "sim": "s", **fields}
    return to_json(ToolExecutionEvent(**given)) + "\n"  # type: ignore[arg-type]  # fields by name


@pytest.mark.skipif(not RECORDED.is_dir(), reason="needs the recorded run (RECORDED_RUN)")
def test_the_recorded_run_has_79_live_calls_and_8_errors() -> None:
    (path,) = RECORDED.glob("*_enhanced_logs.json")
    found = read_executions(path)
    assert found.calls.height == 79
    assert int((~found.calls["success"]).sum()) == 8
    assert found.calls["simulation"].n_unique() == 18
    assert found.set_aside == (79, 54, 2)
    assert found.state_changes.height == 4
    assert [note.partition(":")[0] for note in found.notes] == [
        "133 of 212 tool calls are the evaluator's and not counted",
        "of 2 tool calls only the time says whether a simulation or the evaluator made them",
    ]


@pytest.mark.skipif(not RECORDED.is_dir(), reason="needs the recorded run (RECORDED_RUN)")
def test_the_recorded_run_has_the_calls_of_its_results() -> None:
    (path,) = RECORDED.glob("*_enhanced_logs.json")
    (results,) = (other for other in RECORDED.glob("*.json") if other != path)
    told = [
        [
            (call["name"], call["arguments"])
            for message in simulation["messages"]
            for call in message.get("tool_calls") or ()
        ]
        for simulation in json.loads(results.read_text())["simulations"]
    ]
    calls = read_executions(path).calls
    found = [
        [(name, json.loads(text)) for name, text in part.select("tool_name", "tool_args").rows()]
        for part in calls.partition_by("simulation")
    ]
    assert sorted(map(repr, found)) == sorted(map(repr, filter(None, told)))


@pytest.mark.skipif(not RECORDED.is_dir(), reason="needs the recorded run (RECORDED_RUN)")
def test_with_its_results_nothing_of_the_recorded_run_is_assumed() -> None:
    found = read_executions(RECORDED)
    assert (found.calls.height, found.set_aside) == (79, (79, 54, 0))
    (results,) = found.results
    assert {(task, trial): count for task, trial, count in found.calls.group_by("task", "trial").len().iter_rows()} == {
        (simulation.task, simulation.trial): len(simulation.calls)
        for simulation in results.simulations
        if simulation.calls
    }
    outcomes = LogAnalyzer(found).get_outcome_analysis()
    assert (outcomes["with_verdict"], outcomes["pass_rate"]["value"]) == (20, 0.6)


def test_an_audited_file_and_one_cut_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with ExecutionLogger(path) as logger:
        for number in range(3):
            logger.log_tool_execution("lookup", True, 0.25, {"id": str(number)}, "found", sim="s", task="1")
    found = read_executions(path)
    assert found.calls.height == 3
    assert not {"seq", "digest"} & set(found.calls.columns)
    assert found.calls["duration_ms"].to_list() == [250.0] * 3
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        ended = whole[:cut].splitlines(keepends=True)
        sound = sum(line.endswith(b"\n") and b'"tool_execution"' in line for line in ended)
        assert read_executions(path).calls.height == sound


def test_exported_documents_are_read(tmp_path: Path) -> None:
    with ExecutionLogger() as logger:
        logger.log_tool_execution("lookup", False, 0.25, error=ValueError("not there"))
        logger.export(tmp_path / "logs.json")
    calls = read_executions(tmp_path / "logs.json").calls
    assert calls.select("tool_name", "success", "error", "error_type").rows() == [
        ("lookup", False, "not there", "ValueError")
    ]


def test_evaluators_calls_are_set_aside_and_said(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(call(phase="live") + call(phase="replay") + call(phase="gold") + call())
    found = read_executions(path)
    assert (found.calls.height, found.set_aside) == (2, (1, 1, 0))
    assert found.notes == ["2 of 4 tool calls are the evaluator's and not counted: 1 call replayed, 1 gold action"]


def test_log_lines_stand_in_where_there_are_no_events(tmp_path: Path, run_local: RunLocal) -> None:
    run = run_local("--domains", "mock")
    found = read_executions(run.folder / "logs")
    told = run.events("mock", "tool_call")
    assert 0 < found.calls.height == len(told)
    assert sorted(found.calls["tool_name"]) == sorted(event.function or "" for event in told)  # type: ignore[attr-defined]
    assert found.calls["simulation"].null_count() == 0


def test_a_simulation_that_has_events_is_not_counted_from_its_log_too(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    logged = "".join(
        to_json(ToolCallEvent(sim=sim, function="lookup", duration_ms=1.0, error=False)) + "\n" for sim in ("s", "t")
    )
    path.write_text(call() + logged)
    assert sorted(read_executions(path).calls["simulation"]) == ["s", "t"]


def test_results_alone_tell_their_calls_with_arguments(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock")
    found = read_executions(run.results("mock"))
    logged = {event.tool_call_id: event for event in run.events("mock", "tool_call")}  # type: ignore[attr-defined]
    assert found.calls.height == len(logged)
    for call in found.calls.iter_rows(named=True):
        assert call["tool_name"] == logged[call["tool_call_id"]].function  # type: ignore[attr-defined]
        assert call["args_count"] == len(json.loads(call["tool_args"])) > 0
        assert (call["success"], call["result_truncated"]) == (True, False)
    assert found.notes == [
        "times of calls are those between the messages of results files",
        "results files do not say what calls changed, so one that comes again after others is not examined for repeats",
    ]


def test_calls_whose_ids_come_again_keep_their_own_arguments_and_answers(tmp_path: Path) -> None:
    """Two messages number their calls from 0, and the second call of the first message is never answered."""
    second = 0

    def said(role: str, **fields: object) -> dict[str, object]:
        nonlocal second
        second += 1
        return {"role": role, "content": None, "timestamp": f"2026-03-14T09:26:{second:02}", **fields}

    def asked(*calls: tuple[str, dict[str, str]]) -> dict[str, object]:
        numbered = [{"id": f"call_{n}", "name": name, "arguments": given} for n, (name, given) in enumerate(calls)]
        return said("assistant", usage={"prompt_tokens": 1, "completion_tokens": 1}, tool_calls=numbered)

    messages = [
        asked(("find", {"id": "1"}), ("count", {})),
        said("tool", id="call_0", content="Error: nobody", error=True),
        asked(("find", {"id": "22"}), ("book", {"seat": "3"})),
        said("tool", id="call_0", content="Ann"),
        said("tool", id="call_1", content="booked"),
    ]
    simulation = {
        "task_id": "7",
        "start_time": "2026-03-14T09:26:00",
        "duration": 5.0,
        "termination_reason": "user_stop",
        "messages": messages,
    }
    info = {"environment_info": {"domain_name": "retail"}, "agent_info": {}, "user_info": {}, "num_trials": 1}
    (tmp_path / "results.json").write_text(json.dumps({"info": info, "tasks": [], "simulations": [simulation]}))
    calls = read_executions(tmp_path / "results.json").calls
    assert calls.select("tool_name", "tool_args", "error", "result_preview", "duration_ms").rows() == [
        ("find", '{"id":"1"}', "nobody", None, 1000.0),
        ("find", '{"id":"22"}', None, "Ann", 1000.0),
        ("book", '{"seat":"3"}', None, "booked", 1000.0),
    ]


def test_a_folder_means_its_events_and_the_documents_beside_them(tmp_path: Path) -> None:
    (tmp_path / "run" / "events").mkdir(parents=True)
    (tmp_path / "run" / "events" / "a.jsonl").write_text(call(sim="a"))
    with gzip.open(tmp_path / "run" / "events" / "b.jsonl.gz", "wt") as packed:
        packed.write(call(sim="b"))
    (tmp_path / "run" / "record.jsonl").write_text('{"not": "an event"}\n')
    assert sorted(read_executions(tmp_path).calls["simulation"]) == ["a", "b"]


def test_calls_are_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    ended = [datetime(2026, 1, 1, 0, 0, second) for second in (9, 5, 7)]
    took = [8.0, 1.0, 4.0]
    path.write_text("".join(call(timestamp=at, execution_time=s) for at, s in zip(ended, took, strict=True)))
    assert read_executions(path).calls["execution_time"].to_list() == [8.0, 4.0, 1.0]


def test_a_simulations_own_clock_tells_the_order_of_calls_better_than_the_time_of_day(tmp_path: Path) -> None:
    """All of `s` within a millisecond but the last, before which the time of day was set back by a second.

    `t` is of the same run, resumed an hour later: its clock went on from where that of `s` had stopped.
    """
    path = tmp_path / "events.jsonl"
    at, back, resumed = (datetime(2026, 1, 1, hour, 0, second, 5000) for hour, second in ((9, 1), (9, 0), (10, 0)))
    made = [
        ("first", "s", at, 100.1, 0.000_05),
        ("second", "s", at, 100.2, 0.000_3),
        ("third", "s", at, 100.6, 0.000_1),
        ("last", "s", back, 101.0, 0.000_2),
        ("resumed", "t", resumed, 102.0, 0.001),
    ]
    written = [
        call(name, run="r", sim=sim, timestamp=end, start_ms=ms, execution_time=s) for name, sim, end, ms, s in made
    ]
    path.write_text("".join(written))
    found = read_executions(path)
    assert found.calls["tool_name"].to_list() == [name for name, *_ in made]
    # the earliest that the clock may have begun: `last` ended at 0.005 s, after 101.2 ms
    assert found.calls["began"].to_list() == [
        *(datetime(2026, 1, 1, 9, 0, 0, us) for us in (3900, 4000, 4400, 4800)),
        datetime(2026, 1, 1, 10, 0, 0, 4000),
    ]
    # 0.05, 0.1 and 0.3 ms from an end to a beginning
    assert LogAnalyzer(path).get_temporal_analysis()["between_calls_s"]["total_s"] == pytest.approx(0.000_45)


def test_two_processes_may_share_a_task_but_no_simulations_id(tmp_path: Path) -> None:
    """Without an id a clock may have begun again, so the time of day tells the order."""
    path = tmp_path / "events.jsonl"
    ends = [datetime(2026, 1, 1, 9, 0, second) for second in (5, 6, 7)]
    made = zip(("first", "second", "again"), ends, (1000.0, 2000.0, 10.0), strict=True)
    path.write_text("".join(call(name, sim=None, task="1", timestamp=end, start_ms=ms) for name, end, ms in made))
    assert read_executions(path).calls["tool_name"].to_list() == ["first", "second", "again"]


@pytest.mark.parametrize("text", ["", '{"execution_events": [], "summary": {}}'])
def test_no_events_are_no_calls(tmp_path: Path, text: str) -> None:
    path = tmp_path / ("empty.json" if text else "empty.jsonl")
    path.write_text(text)
    found = read_executions(path)
    assert (found.calls.height, found.state_changes.height, found.notes) == (0, 0, [])
    assert found.calls.schema["execution_time"] == pl.Float64


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none.jsonl", '{"a": 1}\n'),
        ("none.json", '{"a": 1}'),
        ("none.json", "[]"),
        ("none.json", '{"execution_events": [1, {}]}'),
        ("none.json", "{"),
        ("none.txt", "words\n"),
        ("none.log", "words\n"),
    ],
)
def test_a_file_of_other_things_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserMistake, match=name):
        LogAnalyzer(tmp_path / name)


def test_events_that_can_not_be_read_are_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text(call().replace('"type"', '"type" x'))
    with pytest.raises(UserMistake, match=r"odd\.jsonl holds no events: Expecting ':'"):
        LogAnalyzer(tmp_path / "odd.jsonl")


@pytest.mark.parametrize("name", ["absent.json", "absent.jsonl", "absent/"])
def test_a_path_that_is_not_there_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserMistake, match="absent"):
        LogAnalyzer(str(tmp_path / name))


def test_what_else_is_in_a_folder_is_passed_over_and_said(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    with pytest.raises(UserMistake, match="neither events nor results"):
        LogAnalyzer(tmp_path)
    (tmp_path / "events.jsonl").write_text(call())
    found = LogAnalyzer([tmp_path, tmp_path / ".." / tmp_path.name / "events.jsonl"])
    assert found.executions.calls.height == 1
    assert [note.partition(":")[0] for note in found.notes] == ["passed over"]


def test_a_folder_without_events_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="no logs there"):
        LogAnalyzer(tmp_path)
    with pytest.raises(UserMistake, match="no path"):
        LogAnalyzer([])


def test_broken_lines_are_said(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(call() + '{"type": "tool_execution", "success": "perhaps"}\n')
    (note,) = LogAnalyzer(path).notes
    assert note.startswith("1 line could not be read and are not counted")


def test_a_frame_for_pandas(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(call("first") + call("second", success=False))
    frame = LogAnalyzer(path).to_frame()
    assert list(frame["tool_name"]) == ["first", "second"]
    assert list(frame["success"]) == [True, False]
