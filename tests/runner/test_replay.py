from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, Run, RunLocal, said, served

RECORDED = CHECKOUT.parent / "shared" / "data" / "airline_gemini2_5_flash_10tasks_2t.json"


def simulations(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    return {(entry["task_id"], entry["trial"]): entry for entry in json.loads(path.read_text())["simulations"]}


@pytest.fixture
def recorded(run_local: RunLocal) -> Path:
    """The results of a run with gold: three tasks of mock, two trials."""
    run = run_local("--domains", "mock", "--num-tasks", "3", "--num-trials", "2", "--run-id", "played")
    path = run.folder / "outputs" / "played" / "mock.json"
    return path.rename(run.folder / "recording.json")


def changed(path: Path, change: Any) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def replay(run_local: RunLocal, path: Path, *flags: str) -> Run:
    return run_local("--agent-model", f"replay:{path}", *flags)


def test_a_replay_says_and_earns_the_same(run_local: RunLocal, recorded: Path) -> None:
    run = replay(run_local, recorded)
    assert run.code == 0
    before, after = simulations(recorded), simulations(run.results("mock"))
    assert after.keys() == before.keys()
    for key, simulation in before.items():
        assert said(after[key]) == said(simulation)
        assert after[key]["seed"] == simulation["seed"]
        assert after[key]["reward_info"]["reward"] == simulation["reward_info"]["reward"]
    calls = run.events("mock", "llm_call")
    assert {(call.call_type, call.cost_usd) for call in calls} == {("replay", 0.0)}  # type: ignore[attr-defined]
    assert run.events("mock", "tool_call")


def test_some_of_a_recording(run_local: RunLocal, recorded: Path) -> None:
    task = next(iter(simulations(recorded)))[0]
    run = replay(run_local, recorded, "--task-ids", task)
    assert list(simulations(run.results("mock"))) == [(task, 0), (task, 1)]


@pytest.mark.parametrize(
    ("flag", "value", "recorded_value"),
    [("--domains", "retail", "mock"), ("--num-trials", "4", "2"), ("--max-steps", "7", "200"), ("--seed", "7", "300")],
)
def test_a_flag_that_the_recording_overrides_is_refused(
    run_local: RunLocal, recorded: Path, flag: str, value: str, recorded_value: str
) -> None:
    run = replay(run_local, recorded, flag, value)
    assert run.code == 2
    assert run.err == f"run_local.py: {flag} would not be used: {recorded} decides on it, with {recorded_value}\n"
    assert replay(run_local, recorded, flag, recorded_value).code == 0


def test_a_recording_that_breaks_off_ends_the_simulation(run_local: RunLocal, recorded: Path) -> None:
    def cut(data: dict[str, Any]) -> None:
        data["simulations"] = data["simulations"][:1]
        messages = data["simulations"][0]["messages"]
        last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
        del messages[last:]

    changed(recorded, cut)
    run = replay(run_local, recorded)
    assert run.code == 0
    (outcome,) = run.record
    assert (outcome["status"], outcome["termination_reason"]) == ("verdict", "agent_error")
    assert (outcome["error_type"], outcome["reward"]) == ("recording_ended", 0.0)


def test_another_answer_of_a_tool_is_told(run_local: RunLocal, recorded: Path) -> None:
    def rewrite(data: dict[str, Any]) -> None:
        for message in data["simulations"][0]["messages"]:
            if message["role"] == "tool":
                message["content"] = "something else"

    changed(recorded, rewrite)
    run = replay(run_local, recorded)
    log = (run.folder / "logs" / "tau2_mock.log").read_text()
    assert "a tool answers otherwise than in the recording" in log


def test_the_agent_alone_may_be_replayed(run_local: RunLocal, recorded: Path) -> None:
    run = replay(run_local, recorded, "--user-model", "gold")
    assert run.code == 0
    assert {call.call_type for call in run.events("mock", "user_sim")} == {"gold"}  # type: ignore[attr-defined]


def test_a_replay_is_resumed(run_local: RunLocal, recorded: Path) -> None:
    run = replay(run_local, recorded)
    record = run.folder / "outputs" / "R" / "run" / "record.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:2]))
    assert run_local("--resume", "R").code == 0
    assert len(run.record) == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("info"), "is no results file of tau2: 'info' is missing"),
        (lambda data: data["info"]["environment_info"].update(domain_name="bank"), "which tau2 does not have"),
        (lambda data: data["info"].update(seed="abc"), "is no results file of tau2: a seed is a whole number"),
        (lambda data: data["info"].update(max_steps="x"), "is no results file of tau2: max_steps is a whole number"),
        (lambda data: data["simulations"][0].update(task_id="unheard of"), "tau2 has no mock task 'unheard of'"),
        (lambda data: data["simulations"].clear(), "no recorded simulations are chosen"),
    ],
)
def test_what_can_not_be_replayed_is_one_line(run_local: RunLocal, recorded: Path, change: Any, said: str) -> None:
    changed(recorded, change)
    run = replay(run_local, recorded)
    assert run.code == 2
    assert said in run.err
    assert run.err.count("\n") == 1


def test_recordings_that_do_not_go_together_are_one_line(run_local: RunLocal, recorded: Path) -> None:
    other = recorded.with_name("other.json")
    other.write_text(recorded.read_text().replace('"domain_name": "mock"', '"domain_name": "retail"'))
    run = replay(run_local, recorded, "--user-model", f"replay:{other}")
    assert (run.code, "several domains" in run.err) == (2, True)
    assert replay(run_local, recorded.with_name("none.json")).code == 2


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded run has no licence to be part of the project")
def test_the_recorded_run_earns_what_it_earned(run_local: RunLocal) -> None:
    run = replay(run_local, RECORDED)
    before, after = simulations(RECORDED), simulations(run.results("airline"))
    rewards = {key: simulation["reward_info"]["reward"] for key, simulation in after.items()}
    assert rewards == {key: simulation["reward_info"]["reward"] for key, simulation in before.items()}
    assert sum(reward == 1.0 for reward in rewards.values()) == 12
    tools = run.events("airline", "tool_call")
    assert (len(tools), sum(tool.error for tool in tools)) == (79, 8)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("provider", "path"), [("vllm", "/v1"), ("anthropic", "")])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded run has no licence to be part of the project")
def test_the_recorded_run_earns_the_same_over_a_wire(
    run_local: RunLocal, monkeypatch: pytest.MonkeyPatch, provider: str, path: str, streamed: bool
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    before = simulations(RECORDED)
    with served("--replay", str(RECORDED)) as port:
        roles = ("agent", "user")
        models = [part for role in roles for part in (f"--{role}-model", f"{provider}/gold")]
        urls = [part for role in roles for part in (f"--{role}-base-url", f"http://127.0.0.1:{port}{path}")]
        tasks = ["--domains", "airline", "--num-trials", "2", "--task-ids", *dict.fromkeys(task for task, _ in before)]
        run = run_local(*tasks, *models, *urls, *(["--stream"] if streamed else []))
    after = simulations(run.results("airline"))
    assert {key: simulation["reward_info"]["reward"] for key, simulation in after.items()} == {
        key: simulation["reward_info"]["reward"] for key, simulation in before.items()
    }
    for key, simulation in before.items():
        assert [line[:3] for line in said(after[key]) if line[0] != "tool"] == [
            line[:3] for line in said(simulation) if line[0] != "tool"
        ]


def test_answers_are_compared_by_place_where_ids_repeat(run_local: RunLocal, recorded: Path) -> None:
    """Of two calls with one id the second had another answer, which is now that of the first."""

    def ask_twice(data: dict[str, Any]) -> None:
        del data["simulations"][1:]
        messages = data["simulations"][0]["messages"]
        place = next(place for place, message in enumerate(messages) if message.get("tool_calls"))
        call = {**messages[place]["tool_calls"][0], "name": "get_users", "arguments": {}}
        messages[place]["tool_calls"] = [call, call]
        messages[place + 1 : place + 2] = [dict(messages[place + 1]) for _ in range(2)]

    def rewrite(data: dict[str, Any]) -> None:
        tools = [message for message in data["simulations"][0]["messages"] if message["role"] == "tool"]
        assert tools[0]["content"] == tools[1]["content"]
        tools[1]["content"] = "something else"

    changed(recorded, ask_twice)
    replay(run_local, recorded, "--run-id", "before")
    answered = recorded.parent / "outputs" / "before" / "mock.json"
    changed(answered, rewrite)
    run = replay(run_local, answered)
    assert (run.folder / "logs" / "tau2_mock.log").read_text().count("a tool answers otherwise than in the") == 1
