"""`tau2-enhanced run`: tau2's own runner, with every event of its simulations beside its results."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, TAU2_1

from tau2_enhanced import cli
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.logging.audit import State, verify
from tau2_enhanced.logging.event_files import read_events
from tau2_enhanced.logging.events import (
    LLMCallEvent,
    RunCompleteEvent,
    StateSnapshotEvent,
    TaskCompleteEvent,
    ToolExecutionEvent,
)

PROGRAM = [sys.executable, str(CHECKOUT / "tau2-enhanced")]
nvidias_runner = pytest.mark.skipif(TAU2_1, reason="tau2 1.0 has a runner that is not recorded")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """`tau2-enhanced serve` for mock and airline, on a free port."""
    command = [*PROGRAM, "serve", "--port", "0", "--domains", "mock", "airline"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/v1, until \^C\n", process.stdout.readline())
    assert said is not None
    yield int(said[1])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def run(folder: Path, port: int, *flags: str) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{port}/v1"
    environment = {**os.environ, "OPENAI_API_KEY": "none", "OPENAI_API_BASE": url, "OPENAI_BASE_URL": url}
    environment |= {"ANTHROPIC_API_KEY": "none", "ANTHROPIC_API_BASE": url.removesuffix("/v1")}
    models = ["--agent", "llm_agent", "--agent-llm", "openai/gold", "--user-llm", "openai/gold"]
    command = [*PROGRAM, "run", *models, "--results-dir", str(folder), "--save-to", "R", *flags]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240)


def results_of(folder: Path) -> list[dict[str, Any]]:
    simulations: list[dict[str, Any]] = json.loads((folder / "R.json").read_text())["simulations"]
    return simulations


@nvidias_runner
def test_an_enhanced_domains_events_lie_beside_its_results(port: int, tmp_path: Path) -> None:
    flags = ("--domain", "airline_enhanced", "--task-ids", "0", "2", "--num-trials", "2", "--max-concurrency", "2")
    done = run(tmp_path, port, *flags)
    path = tmp_path / "R_events.jsonl"
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"events: {path}"
    assert verify(path).state is State.INTACT
    events = [event for event in read_events(path) if event.sim]
    simulations = {simulation["id"]: simulation for simulation in results_of(tmp_path)}
    assert len(simulations) == 4
    assert {event.sim for event in events} == set(simulations)
    for event in events:
        simulation = simulations[event.sim or ""]
        assert (event.task, event.trial) == (simulation["task_id"], simulation["trial"])
        assert (event.domain, event.run) == ("airline", "R")
    calls = Counter(event.sim for event in events if isinstance(event, ToolExecutionEvent))
    expected = {
        sim: sum(message["role"] == "tool" for message in simulation["messages"])
        for sim, simulation in simulations.items()
    }
    assert calls == Counter({sim: count for sim, count in expected.items() if count})
    assert {event.step for event in events if isinstance(event, ToolExecutionEvent)} > {1}
    ends = Counter(event.action_trigger for event in events if isinstance(event, StateSnapshotEvent))
    assert ends["start"] == ends["end"] == 4
    asked = [event for event in events if isinstance(event, LLMCallEvent)]
    assert asked
    assert all(event.duration_ms and event.input_tokens and event.model == "openai/gold" for event in asked)
    assert read_table([path]).of("tool_call").height == sum(expected.values())


@nvidias_runner
@pytest.mark.parametrize("user", ["anthropic/claude-sonnet-4-5", "openai/gold"])
def test_what_simulations_and_the_run_cost_is_known_where_every_price_is(port: int, tmp_path: Path, user: str) -> None:
    # the stand-in answers in Anthropic's format under the name that it is asked by, which has a price
    models = ("--agent-llm", "anthropic/claude-sonnet-4-5", "--user-llm", user)
    flags = ("--task-ids", "update_task_1", "--num-trials", "2", *models)
    done = run(tmp_path, port, "--domain", "mock_enhanced", *flags)
    assert done.returncode == 0, done.stderr
    events = list(read_events(tmp_path / "R_events.jsonl"))
    ends = [event for event in events if isinstance(event, TaskCompleteEvent)]
    [whole] = [event for event in events if isinstance(event, RunCompleteEvent)]
    assert (whole.planned, whole.finished, len(ends)) == (2, 2, 2)
    assert all(event.agent_cost_usd for event in ends)
    if user == "openai/gold":
        assert [event.cost_usd for event in (*ends, whole)] == [None, None, None]
    else:
        assert [event.cost_usd for event in ends] == [
            pytest.approx((event.agent_cost_usd or 0) + (event.user_cost_usd or 0)) for event in ends
        ]
        assert whole.cost_usd == pytest.approx(sum(event.cost_usd or 0 for event in ends))


@nvidias_runner
def test_replays_are_recorded_on_request(port: int, tmp_path: Path) -> None:
    done = run(tmp_path, port, "--domain", "airline_enhanced", "--task-ids", "2", "--record-replays")
    assert done.returncode == 0, done.stderr
    phases = Counter(
        event.phase for event in read_events(tmp_path / "R_events.jsonl") if isinstance(event, ToolExecutionEvent)
    )
    [simulation] = results_of(tmp_path)
    assert phases["live"] == sum(message["role"] == "tool" for message in simulation["messages"]) > 0
    assert phases["replay"] >= phases["live"]
    assert phases["gold"] > 0


@nvidias_runner
def test_a_plain_domain_is_run_as_tau2_runs_it(port: int, tmp_path: Path) -> None:
    done = run(tmp_path, port, "--domain", "mock", "--task-ids", "impossible_task_1")
    assert done.returncode == 0, done.stderr
    assert [simulation["reward_info"]["reward"] for simulation in results_of(tmp_path)] == [1.0]
    assert not list(tmp_path.glob("*.jsonl"))


@pytest.mark.skipif(not TAU2_1, reason="for the runner of tau2 1.0")
def test_another_runner_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "run", "--domain", "mock_enhanced"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]  # tau2 says much when it is imported
    assert "can't be recorded: run_local.py --enhanced" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", [["--agent-llm", "gold"], ["--user-llm=replay:results.json"]])
def test_a_model_that_only_our_runner_knows_is_refused(model: list[str], tmp_path: Path) -> None:
    command = [*PROGRAM, "run", "--domain", "mock_enhanced", *model]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "tau2's own runner knows no model" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["run", "--help"], 0, "airline_enhanced", marks=nvidias_runner),
        pytest.param(["run", "--domain", "atlantis"], 2, "invalid choice: 'atlantis'", marks=nvidias_runner),
        (["view", "--help"], 0, "usage: tau2-enhanced view"),
        (["evaluate-trajs", "--help"], 0, "usage: tau2-enhanced evaluate-trajs"),
        (["check-data"], 0, ""),
    ],
)
def test_tau2s_commands_pass_through(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


def test_tau2s_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in cli.TAU2S_COMMANDS)


OWN_DOMAIN = """
from tau2.domains.mock.environment import get_environment as get_custom_environment
from tau2.domains.mock.environment import get_tasks as get_custom_tasks
from tau2_enhanced.domain_registration import EnhancedDomainRegistry

registry = EnhancedDomainRegistry()
registry.register_enhanced_domain(
    domain_name="custom",
    original_get_environment=get_custom_environment,
    original_get_tasks=get_custom_tasks
)
"""


@nvidias_runner
@pytest.mark.parametrize("named", ["own_domain.py", "own_domain"])
def test_a_domain_of_the_users_own(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    (tmp_path / "own_domain.py").write_text(OWN_DOMAIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TAU2_ENHANCED_DOMAINS", named)
    done = run(tmp_path, port, "--domain", "custom_enhanced", "--task-ids", "update_task_1", "--num-trials", "1")
    assert done.returncode == 0, done.stderr
    assert [simulation["reward_info"]["reward"] for simulation in results_of(tmp_path)] == [1.0]
    [call] = [event for event in read_events(tmp_path / "R_events.jsonl") if isinstance(event, ToolExecutionEvent)]
    assert (call.tool_name, call.success) == ("update_task_status", True)


@pytest.mark.parametrize(("named", "why"), [("no_such_module", "ModuleNotFoundError"), ("broken.py", "ZeroDivision")])
def test_a_domain_of_the_users_own_that_can_not_be_imported_is_one_line(tmp_path: Path, named: str, why: str) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    environment = {**os.environ, "TAU2_ENHANCED_DOMAINS": named}
    for command in ([*PROGRAM, "run", "--domain", "mock"], [sys.executable, str(CHECKOUT / "run_local.py")]):
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert f"TAU2_ENHANCED_DOMAINS: {named} can't be imported: {why}" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
