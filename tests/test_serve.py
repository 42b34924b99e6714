from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import RunLocal, said, served

from tau2_enhanced import cli
from tau2_enhanced.models.stand_in.recognition import NotRecognised, Recogniser, signed

USER = {"role": "system", "content": "Guidelines.\n<scenario>\nBring it   back.\n</scenario>"}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The stand-in for mock and retail."""
    with served("--domains", "mock", "retail") as port:
        yield port


def tau2_run(folder: Path, port: int, *flags: str) -> tuple[dict[str, Any], str]:
    """`tau2 run` as its users call it; its results and what it said."""
    url = f"http://127.0.0.1:{port}/v1"
    environment = {**os.environ, "OPENAI_API_KEY": "none", "OPENAI_API_BASE": url, "OPENAI_BASE_URL": url}
    environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    models = ["--agent-llm", "openai/gold", "--user-llm", "openai/gold"]
    # an absolute path leads out of the folder in which tau2 keeps results
    command = [str(Path(sys.executable).with_name("tau2")), "run", *models, "--save-to", str(folder / "T"), *flags]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240)
    results = folder / "T.json"
    return json.loads(results.read_text()) if results.exists() else {}, done.stdout + done.stderr


def test_tau2_run_itself_is_served(port: int, tmp_path: Path) -> None:
    results, said = tau2_run(tmp_path, port, "--domain", "retail", "--num-tasks", "3")
    assert [run["reward_info"]["reward"] for run in results.get("simulations", [])] == [1.0] * 3, said


def test_tau2_run_replays_a_recording(run_local: RunLocal, tmp_path: Path) -> None:
    """Whose trials say different things, which the stand-in's do not."""
    recorded = run_local("--domains", "retail", "--num-tasks", "2", "--num-trials", "2").results("retail")
    data = json.loads(recorded.read_text())
    for simulation in data["simulations"]:
        opening = next(message for message in simulation["messages"] if message["role"] == "user")
        opening["content"] += f" This is trial {simulation['trial']}."
    path = tmp_path / "recording.json"
    path.write_text(json.dumps(data))
    with served("--replay", str(path)) as port:
        results, shown = tau2_run(tmp_path, port, "--domain", "retail", "--num-tasks", "2", "--num-trials", "2")
    replayed = results.get("simulations", [])
    assert [run["reward_info"]["reward"] for run in replayed] == [1.0] * 4, shown
    by_task = [
        sorted(((run["task_id"], said(run)) for run in simulations), key=repr)
        for simulations in (replayed, data["simulations"])
    ]
    assert by_task[0] == by_task[1]


def test_a_task_is_known_by_its_scenario_and_by_what_the_user_said() -> None:
    recogniser = Recogniser({("retail", "7"): "Bring it back.", ("retail", "8"): "Keep it."})
    assert recogniser.recognise([USER]) == ("retail", "7", "user")
    opening = {"role": "user", "content": signed("Hello", "telecom", "[mms] a|b")}
    assert recogniser.recognise([{"role": "system", "content": "Policy"}, opening]) == ("telecom", "[mms] a|b", "agent")
    blocks = {"role": "user", "content": [{"type": "text", "text": opening["content"]}]}
    assert recogniser.recognise([blocks]).task == "[mms] a|b"


@pytest.mark.parametrize(
    ("conversation", "said"),
    [
        ([{"role": "system", "content": "<scenario>unheard of</scenario>"}], "no task that is played here"),
        ([USER], "2 tasks of retail have this scenario (7, 9, …)"),
        ([{"role": "user", "content": "Hello"}], "an agent's request needs a user simulator that is played here too"),
    ],
)
def test_what_can_not_be_told_is_refused_with_the_reason(conversation: list[dict[str, Any]], said: str) -> None:
    recogniser = Recogniser({("retail", "7"): "Bring it back.", ("retail", "9"): "Bring it\nback."})
    with pytest.raises(NotRecognised) as refused:
        recogniser.recognise(conversation)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--domains", "mock", "--task-ids", "no_such_task"], "--task-ids: mock has no task 'no_such_task'"),
        (["--domains", "mock", "retail", "--task-ids", "7"], "--task-ids 7: with several domains, write DOMAIN:ID"),
    ],
)
def test_tasks_that_are_not_there_are_one_line(capsys: pytest.CaptureFixture[str], flags: list[str], said: str) -> None:
    assert cli.main(["serve", "--port", "0", *flags]) == 2
    assert capsys.readouterr().err.startswith(f"tau2-enhanced serve: {said}")


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--latency", "5:1", "'5:1' is neither seconds nor A:B"),
        ("--latency", "-1", "'-1' is neither seconds nor A:B"),
        ("--latency", "nan", "'nan' is neither seconds nor A:B"),
        ("--tokens-per-second", "0", "'0' is no number above 0"),
        ("--tokens-per-second", "fast", "'fast' is no number above 0"),
        ("--fail-every", "-2", "'-2' is no whole number from 0 on"),
    ],
)
def test_a_pace_or_a_fault_that_can_not_be_is_one_line(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, said: str
) -> None:
    with pytest.raises(SystemExit) as left:
        # without a port to listen on, so that it ends where the flag is taken
        cli.main(["serve", "--port", "-1", f"{flag}={value}"])
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert f"argument {flag}: {said}" in err
    assert err.count("\n") == 1


def test_what_can_not_be_replayed_is_one_line(
    run_local: RunLocal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = run_local("--domains", "mock", "--num-tasks", "1").results("mock")
    for flags, problem in (
        ([str(tmp_path / "none.json")], "can't be read: No such file"),
        ([str(recorded), str(recorded)], "two recordings of mock"),
        ([str(recorded), "--task-ids", "7"], "has no task '7'"),
    ):
        assert cli.main(["serve", "--port", "0", "--replay", *flags]) == 2
        err = capsys.readouterr().err
        assert problem in err
        assert err.count("\n") == 1
    for other in (["--domains", "mock"], ["--no-calls"]):
        with pytest.raises(SystemExit) as left:
            cli.main(["serve", "--port", "0", "--replay", str(recorded), *other])
        assert left.value.code == 2


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["serve", "--port", str(port)]) == 2
    reason = "(Address already in use): see --port"
    assert capsys.readouterr().err == f"tau2-enhanced serve: port {port} can't be used {reason}\n"


def test_a_port_beyond_all_ports_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--port", "70000"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tau2-enhanced serve: port 70000 can't be used (")
    assert err.count("\n") == 1
