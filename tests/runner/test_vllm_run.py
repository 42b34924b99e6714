"""Runs on vLLM servers: a stub of vLLM that the runner starts and ends, or finds running."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import STUB_VLLM, RunLocal, Spawn, free_ports, processes_of, wait_until

from tau2_enhanced.models.vllm.commands import server_commands
from tau2_enhanced.models.vllm.processes import ServerProcesses

NOTHING_LEFT_WITHIN_S = 5.0
RUNNING = ("--agent-model", "vllm/m", "--agent-base-url", "http://h/v1")


@pytest.fixture
def checkpoint(tmp_path: Path, vllm_stub: Path) -> str:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    return str(folder)


def serving(model: str, *vllm_args: str, servers: int = 2) -> list[str]:
    return [
        *("--domains", "mock", "--agent-model", model, "--user-model", "gold", "--num-servers", str(servers)),
        *("--start-port", str(free_ports(servers)), "--stagger-delay", "0", "--vllm-command", STUB_VLLM),
        *("--vllm-args", " ".join(vllm_args)),
    ]


def asked(notes: Path) -> dict[str, list[tuple[str, int]]]:
    """By server, the task and trial of each request."""
    return {
        file.stem: [(told["task"], told["trial"]) for told in map(json.loads, file.read_text().splitlines())]
        for file in sorted(notes.glob("*.asked"))
    }


def assert_nothing_is_left(notes: Path) -> None:
    until = time.monotonic() + NOTHING_LEFT_WITHIN_S
    while processes_of(notes) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_of(notes) == []


def test_servers_are_started_shared_out_watched_and_ended(
    run_local: RunLocal, checkpoint: str, vllm_stub: Path
) -> None:
    run = run_local(*serving(checkpoint, "--children", "--latency 0.1"), "--num-trials", "2", "--stream")
    assert run.code == 0, run.err
    assert run.summary["passed"] == 16
    assert processes_of(vllm_stub) == []
    servers = asked(vllm_stub)
    assert len(servers) == 2
    homes = Counter(simulation for of in servers.values() for simulation in set(of))
    assert set(homes.values()) == {1}
    assert len(homes) == 18
    logs = run.folder / "logs"
    assert {file.name for file in logs.glob("vllm_*")} == {
        "vllm_metrics.csv",
        *(f"vllm_port_{port}.log" for port in servers),
    }
    with (logs / "vllm_metrics.csv").open() as file:
        samples = list(csv.DictReader(file))
    assert {row["server"] for row in samples} == {f"127.0.0.1:{port}" for port in servers}
    assert {row["run"] for row in samples} == {"R"}
    last = {row["server"]: row for row in samples}
    assert sum(int(row["generation_tokens"]) for row in last.values()) > 0
    assert all(event.ttft_ms and event.model == checkpoint for event in run.events("mock", "llm_call"))  # type: ignore[attr-defined]  # an LLMCallEvent's


def test_the_clock_of_a_resumed_run_goes_on_by_the_first_parts(run_local: RunLocal, checkpoint: str) -> None:
    first = run_local(*serving(checkpoint, "--load 2", servers=1), "--num-tasks", "1")
    assert first.code == 0, first.err
    run = run_local("--resume", "R", "--vllm-args", "", "--num-tasks", "2")
    assert run.code == 0, run.err
    starts = run.events("mock", "run_start")
    began = [start.timestamp.timestamp() - start.start_ms / 1000 for start in starts if start.timestamp]  # type: ignore[operator]  # a number
    # the two seconds in which the first part's server loaded are before the clock began
    assert began[1] == pytest.approx(began[0], abs=0.5)


def test_the_environments_checkpoint_is_the_model_and_the_user_may_be_the_same(
    run_local: RunLocal, checkpoint: str, vllm_stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_DIR", checkpoint)
    flags = [flag for flag in serving(checkpoint, servers=1) if flag not in ("--agent-model", "--user-model", "gold")]
    flags.remove(checkpoint)
    run = run_local(*flags, "--user-model", checkpoint, "--num-tasks", "2")
    assert run.code == 0, run.err
    assert run.summary["passed"] == 2
    assert len(asked(vllm_stub)) == 1
    assert run.events("mock", "user_sim")


def test_a_dry_run_shows_the_commands_and_starts_nothing(run_local: RunLocal, checkpoint: str, vllm_stub: Path) -> None:
    run = run_local(*serving("Qwen/Qwen3-8B"), "--serve", "--dry-run")
    assert run.code == 0
    assert run.out.count(f"would be started: {STUB_VLLM} Qwen/Qwen3-8B --port ") == 2
    assert list(vllm_stub.glob("*.pid")) == []


def test_a_server_that_fails_to_start_is_told_and_nothing_is_begun(
    run_local: RunLocal, checkpoint: str, vllm_stub: Path
) -> None:
    flags = serving(checkpoint)
    port = flags[flags.index("--start-port") + 1]
    run = run_local(*flags[:-1], f"--fail-on={port}")
    assert run.code == 2
    assert f"vllm: {port}: ValueError: no memory for the KV cache" in run.err
    assert f"the server on port {port} ended (exit code 3) before all servers answered" in run.err
    assert (run.folder / "logs" / f"vllm_port_{port}.log").exists()
    assert not (run.folder / "outputs" / "R").exists()
    assert processes_of(vllm_stub) == []


@pytest.fixture
def running(vllm_stub: Path, tmp_path: Path) -> Iterator[ServerProcesses]:
    """Two servers that run already."""
    made = server_commands(
        "m", gpus=[], num_servers=2, start_port=free_ports(2), vllm_args="--latency 0.05", vllm_command=STUB_VLLM
    )
    with ServerProcesses(made, tmp_path) as servers:
        servers.wait(60, lambda _: None)
        yield servers


def test_servers_that_run_already_are_used_and_left_running(
    run_local: RunLocal, running: ServerProcesses, vllm_stub: Path
) -> None:
    urls = [command.base_url for command in running.commands]
    models = ["--agent-model", "vllm/m", "--agent-base-url", *urls, "--user-model", "vllm/m"]
    run = run_local("--domains", "mock", "--skip-server-start", *models)
    assert run.code == 0, run.err
    assert run.summary["passed"] == 8
    assert len(processes_of(vllm_stub)) == 2
    servers = asked(vllm_stub)
    assert all(servers.values())
    assert len({task for of in servers.values() for task in of}) == sum(len(set(of)) for of in servers.values())


def test_a_run_whose_servers_were_started_goes_on_with_some_that_run_already(
    run_local: RunLocal, running: ServerProcesses, checkpoint: str, vllm_stub: Path
) -> None:
    begun = run_local(*serving("m", servers=1), "--serve", "--num-tasks", "1")
    assert begun.code == 0, begun.err
    servers = len(asked(vllm_stub))
    urls = [command.base_url for command in running.commands]
    run = run_local("--resume", "R", "--skip-server-start", "--agent-base-url", *urls, "--num-tasks", "4")
    assert run.code == 0, run.err
    assert run.summary["finished"] == 4
    assert len(asked(vllm_stub)) == servers + 2
    again = run_local("--resume", "R", "--num-trials", "2")
    assert (again.code, again.summary["finished"]) == (0, 8)


def test_a_server_killed_while_it_is_asked_costs_no_verdict(
    run_local: RunLocal, running: ServerProcesses, vllm_stub: Path
) -> None:
    port = running.commands[0].port
    (victim,) = json.loads((vllm_stub / f"{port}.pid").read_text())

    def kill() -> None:
        while len(asked(vllm_stub).get(str(port), ())) < 5:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    urls = [command.base_url for command in running.commands]
    models = ["--agent-model", "vllm/m", "--agent-base-url", *urls, "--user-model", "gold"]
    run = run_local("--domains", "mock", "--num-trials", "3", "--llm-retries", "0", *models)
    killer.join()
    assert run.code == 0, run.err
    assert run.summary["finished"] == 27
    assert f"127.0.0.1:{port} does not answer" in run.err or f"127.0.0.1:{port} can't be reached" in run.err


def test_where_all_servers_end_the_run_ends_and_a_resumed_one_starts_them_anew(
    spawn_run: Spawn, checkpoint: str, vllm_stub: Path, tmp_path: Path
) -> None:
    flags = [*serving(checkpoint, "--latency 0.3", servers=1), "--max-concurrency", "1", "--llm-retries", "0"]
    process = spawn_run(*flags, "--run-id", "R", "--display", "none")
    wait_until(lambda: any(len(of) > 2 for of in asked(vllm_stub).values()), process)
    for pid in processes_of(vllm_stub):
        os.kill(pid, signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 1
    assert "all servers that the run had started have ended" in out, out + err
    assert "ended (Killed)" in (tmp_path / "logs" / "tau2_mock.log").read_text()
    resumed = spawn_run("--resume", "R", "--json", "--max-concurrency", "9")
    out, err = resumed.communicate()
    assert resumed.returncode == 0, err
    assert json.loads(out)["finished"] == 9
    assert processes_of(vllm_stub) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["while they start", "while tasks run"])
def test_however_the_runner_ends_no_server_is_left(
    number: signal.Signals, moment: str, spawn_run: Spawn, checkpoint: str, vllm_stub: Path
) -> None:
    starting = moment == "while they start"
    args = ("--children", "--deaf", "--load 600" if starting else "--latency 1")
    process = spawn_run(*serving(checkpoint, *args), "--display", "none", start_new_session=True)
    wait_until(lambda: len(list(vllm_stub.glob("*.pid" if starting else "*.asked"))) == 2, process)
    assert len(processes_of(vllm_stub)) == 6
    os.killpg(process.pid, number)
    if number in (signal.SIGINT, signal.SIGTERM):
        # running simulations may end first; a second ^C does not wait for them
        time.sleep(0.5)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
    assert_nothing_is_left(vllm_stub)
    process.communicate()


def test_a_vllm_that_is_not_installed_is_one_line(
    run_local: RunLocal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    flags = ["--domains", "mock", "--agent-model", "m", "--user-model", "gold", "--serve", "--num-servers", "1"]
    run = run_local(*flags)
    assert run.code == 2
    assert run.err == "run_local.py: vllm was not found: pip install 'vllm>=0.11', or see --vllm-command\n"
    assert not (run.folder / "outputs" / "R").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_interrupted_while_its_servers_start_ends_with_them_and_leaves_no_folder(
    number: signal.Signals, spawn_run: Spawn, checkpoint: str, vllm_stub: Path, tmp_path: Path
) -> None:
    process = spawn_run(*serving(checkpoint, "--deaf", "--load 600"), "--run-id", "R")
    wait_until(lambda: len(list(vllm_stub.glob("*.pid"))) == 2, process)
    process.send_signal(number)
    _, err = process.communicate()
    assert processes_of(vllm_stub) == []
    assert process.returncode == 130
    assert err.splitlines()[-1] == "run_local.py: interrupted"
    assert not (tmp_path / "outputs" / "R").exists()


@pytest.mark.parametrize(
    ("environment", "flags", "shown"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, [], "CUDA_VISIBLE_DEVICES=3 vllm serve"),
        ({}, ["--gpu-ids", "4,5"], "CUDA_VISIBLE_DEVICES=5 CUDA_DEVICE_ORDER=PCI_BUS_ID vllm serve"),
        ({"CUDA_DEVICE_ORDER": "X"}, ["--gpu-ids", "4", "5"], "CUDA_VISIBLE_DEVICES=5 vllm serve"),
    ],
)
def test_gpus_are_counted_as_who_named_them_counts(
    run_local: RunLocal, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], flags: list[str], shown: str
) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = run_local("--domains", "mock", "--agent-model", "M", "--serve", "--user-model", "gold", "--dry-run", *flags)
    assert run.code == 0, run.err
    assert run.out.count("would be started:") == 2
    assert f"would be started: {shown} M --port 1901" in run.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--agent-model", "./nowhere"], "there is no such folder"),
        (["--skip-server-start", "--agent-model", "vllm/m"], "--agent-base-url URL"),
        (["--num-servers", "2"], "no servers are started for gold"),
        (["--tensor-parallel", "2", "--gpu-ids", "0"], "--gpu-ids, --tensor-parallel: no servers are started for gold"),
        ([*RUNNING, "--vllm-args", "--max-model-len 9"], "--vllm-args: no servers are started for vllm/m (those at"),
        ([*RUNNING, "--skip-server-start", "--num-servers", "2", "--start-port", "7"], "--num-servers, --start-port:"),
        ([*RUNNING, "--tool-call-parser", "hermes"], "--tool-call-parser: no servers are started"),
        ([*RUNNING, "--serve"], "--agent-base-url is for servers already running: use one of them"),
        ([*RUNNING, "--serve", "--skip-server-start"], "--skip-server-start is for servers already running: use one"),
        (["--agent-model", "m/M", "--serve", "--user-model", "gold"], "no GPU is found"),
        (["--agent-model", "m/M", "--serve", "--gpu-ids", "0", "--vllm-args=--port 1"], "is set by --start-port"),
        (["--agent-model", "m/M", "--serve", "--gpu-ids", "0,1", "--tensor-parallel", "4"], "there are 2"),
        (["--stagger-delay", "-1"], "--stagger-delay must be at least 0"),
        (["--agent-model", "claude-x", "--agent-base-url", "http://a/v1", "http://b/v1"], "several addresses"),
    ],
)
def test_a_mistake_is_one_line(
    run_local: RunLocal, monkeypatch: pytest.MonkeyPatch, flags: list[str], said: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "claude-key-0123456789")
    run = run_local("--domains", "mock", *flags)
    assert run.code == 2
    assert said in run.err
    assert run.err.count("\n") == 1
    assert list(run.folder.iterdir()) == []
