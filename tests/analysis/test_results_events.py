from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, RunLocal

from tau2_enhanced import cli
from tau2_enhanced.analysis.main import main
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.sources import read_sources
from tau2_enhanced.analysis.summary import summarise
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.events import ToolExecutionEvent, to_json

RECORDED = CHECKOUT.parent / "shared" / "data" / "airline_gemini2_5_flash_10tasks_2t.json"


def at(seconds: float) -> str:
    return f"2026-03-14T09:26:{seconds:09.6f}"


def results(conversation: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    simulation = {
        "id": "sim-1",
        "task_id": "7",
        "trial": 1,
        "seed": 42,
        "start_time": at(10),
        "duration": 6.0,
        "termination_reason": "user_stop",
        "reward_info": {"reward": 1.0},
        "agent_cost": 0.3,
        "user_cost": 0.1,
        "messages": conversation,
    }
    return {
        "info": {
            "num_trials": 1,
            "environment_info": {"domain_name": "retail"},
            "agent_info": {"llm": "agent-model"},
            "user_info": {"llm": "user-model"},
        },
        "tasks": [{"id": "7"}],
        "simulations": [simulation | more],
    }


CONVERSATION: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Hi! How can I help you today?", "timestamp": at(10.5)},
    {"role": "user", "content": "Where is it?", "timestamp": at(12), "cost": 0.1,
     "usage": {"prompt_tokens": 50, "completion_tokens": 5}},
    {"role": "assistant", "content": None, "timestamp": at(15), "cost": 0.3,
     "usage": {"prompt_tokens": 900, "completion_tokens": 20},
     "tool_calls": [{"id": i, "name": name, "arguments": {}} for i, name in (("c1", "get_order"), ("c2", "get_user"))]},
    {"role": "tool", "id": "c1", "requestor": "assistant", "content": "{}", "timestamp": at(15.25)},
    {"role": "tool", "id": "c2", "requestor": "assistant", "content": "é", "error": True, "timestamp": at(15.75)},
]  # fmt: skip


def written(tmp_path: Path, data: dict[str, Any], name: str = "retail.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(data))
    return path


def test_the_times_are_those_between_messages(tmp_path: Path) -> None:
    table = read_sources([written(tmp_path, results(CONVERSATION))]).table
    (user,) = table.of("user_sim").to_dicts()
    assert (user["duration_ms"], user["model"], user["input_tokens"], user["step"]) == (1500.0, "user-model", 50, 0)
    (agent,) = table.of("llm_call").to_dicts()
    assert (agent["duration_ms"], agent["start_ms"], agent["cost_usd"], agent["step"]) == (3000.0, 2000.0, 0.3, 1)
    assert agent["has_tool_calls"] is True
    tools = table.of("tool_call").select("function", "duration_ms", "start_ms", "error", "result_size").rows()
    assert tools == [("get_order", 250.0, 5000.0, False, 2), ("get_user", 500.0, 5250.0, True, 2)]
    steps = table.of("step_complete").select("from_role", "to_role", "total_duration_ms").rows()
    assert steps == [("user", "agent", 1500.0), ("agent", "env", 3750.0)]
    (simulation,) = simulations(table).to_dicts()
    assert (simulation["run"], simulation["domain"], simulation["task"], simulation["trial"]) == (
        tmp_path.name, "retail", "7", 1,
    )  # fmt: skip
    assert (simulation["verdict"], simulation["duration_ms"], simulation["cost_usd"]) == ("passed", 6000.0, 0.4)
    assert simulation["model_ms"] + simulation["user_simulator_ms"] + simulation["tools_ms"] == 5250.0
    assert simulation["framework_ms"] == 750.0


def test_what_was_said_before_the_simulation_is_no_call_of_it(tmp_path: Path) -> None:
    history = [
        {"role": "user", "content": "earlier", "timestamp": at(1), "usage": {"prompt_tokens": 1}},
        {"role": "assistant", "content": "undated", "timestamp": None, "usage": {"prompt_tokens": 1}},
    ]
    table = read_sources([written(tmp_path, results([*history, *CONVERSATION]))]).table
    assert (table.of("llm_call").height, table.of("user_sim").height) == (1, 1)


def test_a_clock_that_is_set_back_takes_nothing_from_a_simulation(tmp_path: Path) -> None:
    back = [message | {"timestamp": f"2026-03-14T08:26:{message['timestamp'][-9:]}"} for message in CONVERSATION[2:]]
    later = {"role": "user", "content": "Thanks", "timestamp": "2026-03-14T08:26:18.750000", "cost": 0.2,
             "usage": {"prompt_tokens": 60, "completion_tokens": 6}}  # fmt: skip
    path = written(tmp_path, results([*CONVERSATION[:2], *back, later], duration=9.0))
    table = read_sources([path]).table
    # the clock went back while the agent's model was asked: when it answered is not known, and all goes on from 12 s
    assert table.of("llm_call").select("duration_ms", "cost_usd", "input_tokens").rows() == [(None, 0.3, 900)]
    assert table.of("tool_call").select("start_ms", "duration_ms").rows() == [(2000.0, 250.0), (2250.0, 500.0)]
    assert table.of("user_sim").select("start_ms", "duration_ms", "cost_usd").rows() == [
        (500.0, 1500.0, 0.1), (2750.0, 3000.0, 0.2),
    ]  # fmt: skip
    assert table.of("step_complete")["total_duration_ms"].to_list() == [1500.0, None, 3000.0]
    (simulation,) = simulations(table).to_dicts()
    assert (simulation["model_ms"], simulation["framework_ms"], simulation["input_tokens"]) == (None, None, 1010)
    assert (simulation["user_simulator_ms"], simulation["tools_ms"]) == (4500.0, 750.0)


def test_messages_without_times_have_tokens_and_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = results([message | {"timestamp": None} for message in CONVERSATION])
    path = written(tmp_path, data)
    assert main(["--results", str(path), "--output_dir", str(tmp_path / "out"), "--no-figures"]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    used = {row["type"]: (row["calls"], row["input_tokens"], row["output_tokens"]) for row in summary["usage"]}
    assert used == {"llm_call": (1, 900, 20), "user_sim": (1, 50, 5)}
    assert summary["cost_by_role"] == {"agent_usd": 0.3, "user_simulator_usd": 0.1, "total_usd": 0.4}
    assert (summary["wall_time"], summary["critical_path"], summary["durations"]) == (None, None, [])
    assert "it is unknown where the time of 1 simulation went: some calls have no time" in capsys.readouterr().out
    # beside one with times, the simulation takes no part in where the time went
    timed = results(CONVERSATION, id="sim-2", trial=0)["simulations"]
    table = read_sources([written(tmp_path, data | {"simulations": data["simulations"] + timed})]).table
    found = summarise(table)
    assert found["wall_time"] == {
        "model_ms": 3000.0, "user_simulator_ms": 1500.0, "judge_ms": 0.0, "tools_ms": 750.0, "retry_wait_ms": 0.0,
        "unfinished_call_ms": 0.0, "framework_ms": 750.0, "total_ms": 6000.0,
    }  # fmt: skip
    assert table.of("tool_call").height == 4


def test_beside_a_recording_of_tools_alone_results_tell_of_costs_and_tokens(tmp_path: Path) -> None:
    call = ToolExecutionEvent(run="R", sim="sim-1", tool_name="get_order", execution_time=0.25, success=True)
    recording = tmp_path / "events.jsonl"
    recording.write_text(to_json(call) + "\n")
    out = tmp_path / "out"
    told = [written(tmp_path, results(CONVERSATION, user_cost=cost), f"{cost}.json") for cost in (0.1, None)]

    def facts(file: Path) -> set[str]:
        assert cli.main(["report", str(recording), str(file), "--output-dir", str(out), "--no-figures"]) == 0
        return {
            line for line in (out / "report.md").read_text().splitlines() if line.startswith(("- cost", "- tokens"))
        }

    tokens = {"- tokens in: **950**", "- tokens out: **25**"}
    assert facts(told[0]) == {"- cost USD: **0.4000** (agent 0.3000 · user simulator 0.1000)", *tokens}
    assert facts(told[1]) == {"- cost USD: **–** (agent 0.3000 · user simulator –)", *tokens}


@pytest.mark.parametrize("reward_info", [None, {"reward": 1.0}])
def test_a_simulation_without_a_verdict_has_none(tmp_path: Path, reward_info: object) -> None:
    data = results(CONVERSATION, reward_info=reward_info, skipped=reward_info is not None)
    (simulation,) = simulations(read_sources([written(tmp_path, data)]).table).to_dicts()
    assert (simulation["verdict"], simulation["ended"]) == ("no verdict", True)


@pytest.mark.parametrize("role", ["assistant", "user"])
def test_a_call_of_which_no_usage_is_told_is_a_call(tmp_path: Path, role: str) -> None:
    told = [{**m, "usage": None} if m["role"] == role else m for m in CONVERSATION]
    table = read_sources([written(tmp_path, results(told))]).table
    assert table.of("user_sim").select("duration_ms", "cost_usd").rows() == [(1500.0, 0.1)]
    assert table.of("llm_call").select("duration_ms", "cost_usd").rows() == [(3000.0, 0.3)]
    # without a greeting the first message is a call, be it the user's or one that calls tools
    for first in (1, 2):
        path = written(tmp_path, results([{**m, "usage": None} for m in CONVERSATION[first:]]))
        table = read_sources([path]).table
        assert (table.of("user_sim").height, table.of("llm_call").height) == (2 - first, 1)


def test_results_without_messages_have_statistics_alone(tmp_path: Path) -> None:
    path = written(tmp_path, results([]))
    assert main(["--results", str(path), "--output_dir", str(tmp_path / "out")]) == 0
    assert list(json.loads((tmp_path / "out" / "summary.json").read_text())) == ["results", "files"]


def test_times_of_a_zone_become_local(tmp_path: Path) -> None:
    data = results([message | {"timestamp": message["timestamp"] + "+00:00"} for message in CONVERSATION])
    data["simulations"][0]["start_time"] += "+00:00"
    table = read_sources([written(tmp_path, data)]).table
    assert table.of("llm_call")["start_ms"].to_list() == [2000.0]


def test_results_without_any_time_have_statistics_alone(tmp_path: Path) -> None:
    path = written(tmp_path, results([], start_time=None))
    assert main(["--results", str(path), "--output_dir", str(tmp_path / "out")]) == 0
    assert list(json.loads((tmp_path / "out" / "summary.json").read_text())) == ["results", "files"]


def test_a_packed_file_named_as_a_log_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "retail.json.gz"
    path.write_bytes(gzip.compress(json.dumps(results(CONVERSATION)).encode()))
    assert main(["--log_file", str(path), "--output_dir", str(tmp_path / "out"), "--no-figures"]) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["cost_by_role"]["total_usd"] == 0.4


def test_a_document_that_is_neither_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="neither events nor results"):
        read_sources([written(tmp_path, {"some": "thing"})])


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded run has no licence to be part of the project")
def test_the_recorded_run(tmp_path: Path) -> None:
    assert main(["--results", str(RECORDED), "--output_dir", str(tmp_path), "--no-figures"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    tools = [row for row in summary["durations"] if row["type"] == "tool_call"]
    assert (sum(row["n"] for row in tools), sum(row["errors"] for row in tools)) == (79, 8)
    assert round(summary["cost_by_role"]["agent_usd"], 4) == 0.2065
    assert round(summary["cost_by_role"]["user_simulator_usd"], 4) == 0.0729
    raw = json.loads(RECORDED.read_text())["simulations"]
    assert summary["wall_time"]["total_ms"] == pytest.approx(sum(s["duration"] for s in raw) * 1000)
    assert summary["wall_time"]["framework_ms"] < 0.001 * summary["wall_time"]["total_ms"]


def test_a_run_of_ours_tells_the_same_by_log_and_by_results(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock")
    logged = simulations(read_sources([run.folder / "logs" / "eval_mock.log"]).table).sort("task")
    told = simulations(read_sources([run.results("mock")]).table).sort("task")
    for column in ("run", "domain", "task", "trial", "simulation", "verdict", "llm_calls", "tool_calls", "tool_errors",
                   "input_tokens", "output_tokens"):  # fmt: skip
        assert told[column].to_list() == logged[column].to_list(), column


def test_times_between_messages_are_called_that(
    run_local: RunLocal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "2")
    for path, between_messages in ((run.results("mock"), True), (run.folder / "logs" / "eval_mock.log", False)):
        target = tmp_path / path.name
        assert main(["--log_file", str(path), "--output_dir", str(target)]) == 0
        assert json.loads((target / "summary.json").read_text())["times_between_messages"] is between_messages
        assert ("times are those between messages" in capsys.readouterr().out) is between_messages
        assert ("times are those between messages" in (target / "report.html").read_text()) is between_messages
        assert ("times between messages" in (target / "latency_distribution.svg").read_text()) is between_messages


def test_files_of_one_name_are_runs_of_their_own(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        data = results(CONVERSATION)
        del data["simulations"][0]["id"]
        paths.append(written(tmp_path / folder, data, "same.json"))
    found = simulations(read_sources(paths).table)
    assert found["run"].to_list() == [str(tmp_path / "a" / "same"), str(tmp_path / "b" / "same")]
    assert found["counts"].to_list() == [True, True]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"messages": None},
        {"messages": [{"content": "nobody"}]},
        {"messages": [{"role": "tool", "content": "of no call"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "name": "f", "arguments": "text"}]}]},
        {"duration": float("nan")},
        {"duration": 1e300},
        {"trial": "x"},
        {"reward_info": {"reward": float("nan")}},
        {"agent_cost": float("inf")},
    ],
)
def test_nonsense_in_a_results_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], nonsense: dict[str, Any]
) -> None:
    path = written(tmp_path, results(CONVERSATION, **nonsense))
    assert main(["--results", str(path), "--output_dir", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "is no results file of tau2" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_time_that_no_run_has_is_no_time(tmp_path: Path) -> None:
    path = written(tmp_path, results(CONVERSATION, start_time="0001-01-01T00:00:00+14:00"))
    assert main(["--results", str(path), "--output_dir", str(tmp_path / "out")]) == 0
