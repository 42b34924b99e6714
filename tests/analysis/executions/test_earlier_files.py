from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from earlier_tool import Call, document
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.reading import read_executions
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.tool_executions import with_tool_calls
from tau2_enhanced.analysis.wall_time import slowest_simulations, where_time_went

PAUSED = [Call("find", 0, {"id": "1"}), Call("book", 4, {"id": "1"}, changed=True)]
REPLAYED = [Call("find", 6, {"id": "1"}), Call("book", 6.2, {"id": "1"}, changed=True)]
GOLD = [Call("find", 6.6, {"id": "1"}), Call("cancel", 6.8, {"id": "1"}, changed=True)]


def read(tmp_path: Path, made: dict[str, Any]) -> Executions:
    path = tmp_path / "logs.json"
    path.write_text(json.dumps(made))
    return read_executions(path)


def phases(found: Executions) -> list[str]:
    return found.table.of("tool_execution")["phase"].to_list()


@pytest.mark.parametrize("snapshots", [True, False])
def test_a_simulation_its_replay_and_its_gold_actions(tmp_path: Path, snapshots: bool) -> None:
    found = read(tmp_path, document(PAUSED, REPLAYED, GOLD, snapshots=snapshots))
    assert phases(found) == ["live"] * 2 + ["replay"] * 2 + ["gold"] * 2
    assert found.calls["tool_name"].to_list() == ["find", "book"]
    assert found.state_changes.height == 1
    assert found.set_aside == (2, 2, 0)


def test_gold_actions_that_are_the_simulations(tmp_path: Path) -> None:
    again = [call._replace(at=call.at + 0.6) for call in REPLAYED]
    assert phases(read(tmp_path, document(PAUSED, REPLAYED, again))) == ["live"] * 2 + ["replay"] * 2 + ["gold"] * 2


def test_two_trials_alike(tmp_path: Path) -> None:
    """The second simulation is no replay of the first, nor are the gold actions replays of each other."""
    later = [[call._replace(at=call.at + 20) for call in made] for made in (PAUSED, REPLAYED, GOLD)]
    found = read(tmp_path, document(PAUSED, REPLAYED, GOLD, *later))
    assert phases(found) == (["live"] * 2 + ["replay"] * 2 + ["gold"] * 2) * 2
    assert found.calls["simulation"].n_unique() == 2


def test_one_call_that_comes_again_soon_is_a_simulations(tmp_path: Path) -> None:
    one, again = [Call("find", 10, {"id": "7"})], [Call("find", 12, {"id": "7"})]
    found = read(tmp_path, document(one, again))
    assert (phases(found), found.set_aside.assumed) == (["live", "replay"], 0)


def test_one_call_that_never_comes_again_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, document(PAUSED, REPLAYED, [Call("find", 40, {"id": "7"})]))
    assert phases(found)[-1] == "gold"
    assert found.set_aside.assumed == 1
    assert "of 1 tool call only the time says" in found.notes[1]


def test_a_recording_that_was_never_evaluated_is_all_simulations(tmp_path: Path) -> None:
    found = read(tmp_path, document(PAUSED, [Call("find", 40, {"id": "7"})]))
    assert phases(found) == ["live"] * 3
    assert found.set_aside == (0, 0, 1)


def test_what_was_measured_wrongly_is_measured_again(tmp_path: Path) -> None:
    error = "1 validation error for Payment\npayment_id\n  Field required [type=missing, input_value=1]"
    arguments = {"author": "Ann", "user": {"dob": "1957-10-05"}}
    calls = read(tmp_path, document([Call("find", 0, arguments), Call("pay", 9, error=error)])).calls
    first, second = calls.to_dicts()
    assert json.loads(first["sensitive_args"]) == {"birth_date": ["/user/dob"]}
    assert 0 < first["args_complexity_score"] < 0.5
    assert first["result_truncated"] is True
    assert first["required_args_provided"] is None
    assert first["domain"] == "airline"
    assert json.loads(second["validation_errors"]) == ["payment_id: Field required"]
    assert (second["success"], second["result_preview"]) == (False, None)


def test_entries_that_are_no_events_are_counted(tmp_path: Path) -> None:
    made = document(PAUSED)
    made["execution_events"][:0] = ["no event"]
    made["execution_events"] += [{"event_type": "ToolExecutionEvent"}, 3, {"event_type": [], "timestamp": 1.0}]
    found = read(tmp_path, made)
    assert (found.calls.height, found.table.broken) == (2, 4)


def result(task: str, trial: int, calls: Sequence[Call], reward: float = 1.0) -> dict[str, Any]:
    named = [(f"{task} {trial} {number}", call) for number, call in enumerate(calls)]
    messages: list[dict[str, Any]] = []
    for name, call in named:
        asked = {"id": name, "name": call.tool, "arguments": call.arguments or {}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [asked]})
        messages.append({"role": "tool", "id": name, "content": "…", "error": call.error is not None})
    return {
        "id": f"sim {task} {trial}",
        "task_id": task,
        "trial": trial,
        "start_time": f"2025-09-29T01:38:{trial:02}",
        "duration": 1.0,
        "termination_reason": "user_stop",
        "reward_info": {"reward": reward},
        "messages": messages,
    }


def with_results(tmp_path: Path, made: dict[str, Any], *simulations: dict[str, Any]) -> Executions:
    info = {"environment_info": {"domain_name": "airline"}, "agent_info": {}, "user_info": {}, "num_trials": 2}
    (tmp_path / "results.json").write_text(json.dumps({"info": info, "tasks": [], "simulations": simulations}))
    (tmp_path / "logs.json").write_text(json.dumps(made))
    return read_executions(tmp_path)


def test_results_beside_a_recording_name_its_simulations(tmp_path: Path) -> None:
    later = [[call._replace(at=call.at + 20) for call in made] for made in (PAUSED, REPLAYED, GOLD)]
    made = document(PAUSED, REPLAYED, GOLD, *later)
    found = with_results(tmp_path, made, result("7", 1, PAUSED, 0.0), result("7", 0, PAUSED), result("8", 0, []))
    assert (
        found.calls.select("simulation", "task", "trial").rows()
        == [("sim 7 0", "7", 0)] * 2 + [("sim 7 1", "7", 1)] * 2
    )
    assert found.state_changes["simulation"].to_list() == ["sim 7 0", "sim 7 1"]
    assert phases(found) == (["live"] * 2 + ["replay"] * 2 + ["gold"] * 2) * 2
    outcomes = LogAnalyzer(found).get_outcome_analysis()
    assert (outcomes["simulations"], outcomes["pass_rate"]["value"]) == (3, 2 / 3)
    rows = simulations(with_tool_calls(found.table)).sort("task", "trial")
    told = rows.select("simulation", "verdict", "reward", "termination_reason", "ended", "tool_calls", "llm_calls")
    assert told.rows() == [
        ("sim 7 0", "passed", 1.0, "user_stop", True, 2, None),
        ("sim 7 1", "failed", 0.0, "user_stop", True, 2, None),
        ("sim 8 0", "passed", 1.0, "user_stop", True, 0, None),
    ]
    assert where_time_went(rows) is None
    assert slowest_simulations(rows) == []


def test_results_of_several_recordings_end_each_in_its_own(tmp_path: Path) -> None:
    cancelled = [Call("find", 0, {"id": "2"}), Call("cancel", 4, {"id": "2"})]
    (tmp_path / "other.json").write_text(json.dumps(document(cancelled)))
    found = with_results(
        tmp_path, document(PAUSED), result("7", 0, PAUSED), result("7", 1, cancelled), result("8", 1, [])
    )
    ends = found.table.of("task_complete").select("sim", "run").rows()
    assert dict(ends) == {"sim 7 0": "logs", "sim 7 1": "other", "sim 8 1": "other"}


def test_simulations_without_calls_are_left_out_where_no_other_is_recorded(tmp_path: Path) -> None:
    found = with_results(tmp_path, document(PAUSED), result("8", 0, []))
    assert "task_complete" not in found.table.frames


def test_results_whose_ids_come_again_name_simulations_by_each_calls_own_outcome(tmp_path: Path) -> None:
    """The first call failed and the second, of the same id, did not."""
    calls = [Call("find", 0, {"id": "0"}, error="nobody"), Call("find", 4, {"id": "1"})]
    again = [call._replace(at=call.at / 20 + 6) for call in calls]
    told = result("7", 0, calls)
    for message in told["messages"]:
        for named in message.get("tool_calls") or [message]:
            named["id"] = "call_0"
    found = with_results(tmp_path, document(calls, again), told)
    assert found.calls["simulation"].to_list() == ["sim 7 0"] * 2


@pytest.mark.parametrize(("task", "phase"), [("7", "live"), (None, "gold")])
def test_results_end_what_is_assumed(tmp_path: Path, task: str | None, phase: str) -> None:
    one = [Call("find", 40, {"id": "7"})]
    made = document(PAUSED, REPLAYED, one)
    found = with_results(tmp_path, made, result("1", 0, PAUSED), *([result(task, 0, one)] if task else []))
    assert phases(found)[-1] == phase
    assert found.set_aside.assumed == 0


def test_results_of_other_simulations_end_nothing(tmp_path: Path) -> None:
    made = document(PAUSED, REPLAYED, [Call("find", 40, {"id": "7"})])
    found = with_results(tmp_path, made, result("1", 0, GOLD))
    assert (phases(found)[-1], found.set_aside.assumed) == ("gold", 1)
    assert found.calls["task"].null_count() == 2


_odd = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**70), st.floats(), st.text(max_size=4), st.lists(st.integers())
)
_entries = st.one_of(
    _odd,
    st.dictionaries(
        st.sampled_from(["timestamp", "event_type", "tool_name", "tool_args", "tool_call_id", "success", "metadata"]),
        st.one_of(_odd, st.just(1.75e9), st.sampled_from(["ToolExecutionEvent", "StateChangeEvent", "Mine", "find_1"])),
    ),
)


@given(st.lists(_entries, max_size=4), st.one_of(_odd, st.lists(_entries, max_size=4)))
@settings(max_examples=50)
def test_any_document_of_that_kind_is_read(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any], snapshots: Any
) -> None:
    first = {"event_type": "ToolExecutionEvent", "timestamp": 1.75e9, "tool_name": "find", "tool_call_id": "find_1"}
    made = {"execution_events": [first, *entries], "state_snapshots": snapshots}
    found = read(tmp_path_factory.mktemp("any"), made)
    count = sum(frame.height for frame in found.table.frames.values())
    assert count + found.table.broken == 1 + len(entries)
