from __future__ import annotations

import io
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console
from support import RunLocal, Spawn, StandIn, wait_until

from tau2_enhanced import cli
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.events import HeartbeatEvent, parse_line
from tau2_enhanced.runner.status import RunStatus, TaskStatus, read_status
from tau2_enhanced.runner.status_view import describe_state, status_table


@pytest.fixture
def hanging(stand_in: StandIn, spawn_run: Spawn, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of two tasks whose agent's server answers nothing."""
    flags = ("--agent-model", "vllm/gold", "--agent-base-url", stand_in("--latency", "600"), "--user-model", "gold")
    limits = ("--heartbeat", "0.6", "--stall-after", "1.5", "--display", "none", "--run-id", "R")
    process = spawn_run("--domains", "mock", "--num-tasks", "2", *flags, *limits)
    log = tmp_path / "logs" / "eval_mock.log"
    wait_until(lambda: log.exists() and "type=user_sim" in log.read_text(), process)
    yield process
    process.kill()
    process.communicate()


def log_of(folder: Path, kind: str = "tau2") -> str:
    return (folder / "logs" / f"{kind}_mock.log").read_text()


def test_a_hanging_task_is_named_while_it_runs_and_after_a_crash(
    hanging: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ["--outputs", str(tmp_path / "outputs")]
    wait_until(lambda: log_of(tmp_path).count("stalled: no event for") == 2, hanging)

    def all_wait() -> bool:
        assert cli.main(["status", "--json", *outputs]) == 0
        shown = json.loads(capsys.readouterr().out)
        return bool(shown["running"]) and all(task["waiting_s"] > 2 for task in shown["running"])

    wait_until(all_wait, hanging)
    assert cli.main(["status", "R", "--json", *outputs]) == 0
    now = json.loads(capsys.readouterr().out)
    assert (now["alive"], now["planned"], now["finished"], len(now["running"])) == (True, 2, 0, 2)
    assert {task["waiting_for"] for task in now["running"]} == {"agent gold"}
    ages = [task["age_s"] for task in now["running"]]
    assert ages == sorted(ages, reverse=True)
    assert ages[-1] > 1.5

    hanging.kill()
    hanging.wait()
    assert cli.main(["status", *outputs]) == 0
    out = capsys.readouterr().out
    assert "run R broke off at" in out
    assert "agent gold" in out
    assert "--resume R" in out


def test_a_run_that_was_stopped_at_once_says_so_and_that_nothing_runs(
    hanging: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        hanging.send_signal(signal.SIGINT)
        if number == 0:
            wait_until(lambda: "interrupted" in log_of(tmp_path), hanging)
    hanging.communicate(timeout=60)
    assert cli.main(["status", "--outputs", str(tmp_path / "outputs")]) == 0
    said = "run R was stopped (interrupted): 0/2 simulations ended; go on with --resume R\n"
    assert capsys.readouterr().out == said


def test_what_was_waited_for_when_a_run_was_stopped_is_in_its_log(
    stand_in: StandIn, spawn_run: Spawn, tmp_path: Path
) -> None:
    flags = ("--agent-model", "vllm/gold", "--agent-base-url", stand_in("--latency", "600"), "--user-model", "gold")
    process = spawn_run("--domains", "mock", "--num-tasks", "1", "--display", "none", *flags)
    log = tmp_path / "logs" / "eval_mock.log"
    wait_until(lambda: log.exists() and "type=step_complete" in log.read_text(), process)
    time.sleep(1)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    process.communicate(timeout=60)
    [attempt] = simulations(read_table([log])).to_dicts()
    assert attempt["unfinished_call_ms"] > 1000
    assert attempt["framework_ms"] < 1000


def test_a_hanging_task_beats_and_its_stack_is_logged_once(hanging: subprocess.Popen[str], tmp_path: Path) -> None:
    def beats() -> list[HeartbeatEvent]:
        found = [parse_line(line) for line in log_of(tmp_path, "eval").splitlines()]
        return [event for event in found if isinstance(event, HeartbeatEvent)]

    wait_until(lambda: len(beats()) >= 8, hanging)
    last = beats()[-1]
    assert (last.waiting_for, last.domain, last.step) == ("agent gold", "mock", 1)
    assert last.thread is not None
    assert last.thread.startswith("worker-")
    assert last.age_ms is not None
    # a heartbeat is no sign of life
    assert last.age_ms > 1200
    log = log_of(tmp_path)
    assert log.count("stalled: no event for") == 2
    assert "openai_client.py" in log


def test_sigusr1_asks_for_all_states(hanging: subprocess.Popen[str], tmp_path: Path) -> None:
    hanging.send_signal(signal.SIGUSR1)
    wait_until(lambda: "states of 2 running simulations" in log_of(tmp_path), hanging)
    wait_until(lambda: log_of(tmp_path).count("for agent gold\n") >= 2, hanging)
    assert hanging.poll() is None


def test_sigusr1_before_the_run_has_begun_ends_nothing(spawn_run: Spawn, tmp_path: Path) -> None:
    """The server is asked for its models before the first task."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            process.send_signal(signal.SIGUSR1)
            self.send_error(404)

        def do_POST(self) -> None:
            self.send_error(400)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    flags = ("--agent-model", "vllm/m", "--agent-base-url", url, "--user-model", "gold", "--num-tasks", "1")
    process = spawn_run("--domains", "mock", *flags)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    server.shutdown()
    server.server_close()
    status, alive = read_status(tmp_path / "outputs", None)
    assert describe_state(status, alive=alive).endswith(
        "has ended: 1/1 simulations ended, 1 of them without a verdict; go on with --resume " + status.run_id
    )


def test_a_run_that_ended_says_so(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run_local("--domains", "mock", "--num-tasks", "2")
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out == "run R has ended: 2/2 simulations ended\n"
    status, alive = read_status(Path("outputs"), None)
    assert (status.running, alive) == ([], False)
    assert "gold" in status.models.values()


@pytest.mark.parametrize("error", [None, "rate_limit"])
def test_on_80_columns_tasks_are_named_and_no_figure_is_cut(error: str | None) -> None:
    name = "[mobile_data_issue]airplane_mode_on|bad_network_preference|bad_vpn[PERSONA:Easy]"
    task = TaskStatus("telecom", name, 3, "s", "worker-1", 12, "agent gpt-4.1", 1234.5, 1236.5, 2345.6, error)
    console = Console(file=io.StringIO(), width=80)
    console.print(status_table(RunStatus(Path("status.json"), "R", 42, {}, running=[task]), console.width))
    row = console.file.getvalue().splitlines()[-1]  # type: ignore[attr-defined]  # the StringIO above
    assert row.startswith("teleco")
    assert ("Easy]" if error is None else "y]") in row
    assert {"3", "12", "1236.5", "1234.5", "2345.6", error or "gpt-4.1"} <= set(row.split())


def test_a_silent_runner_is_not_called_well() -> None:
    status = RunStatus(Path("status.json"), "R", 42, {}, written=1000.0, planned=9, finished=3)
    assert describe_state(status, alive=True, now=1003.0) == "run R: 3/9 simulations ended, 0 running"
    assert "(pid 42) has said nothing for 60 s" in describe_state(status, alive=True, now=1060.0)


def test_without_a_run_there_is_no_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--outputs", "--output-dir"):
        assert cli.main(["status", flag, str(tmp_path)]) == 2
        assert capsys.readouterr().err == f"tau2-enhanced status: no runs in {tmp_path}\n"
    own = tmp_path / "R" / "run"
    own.mkdir(parents=True)
    (own / "config.json").write_text("{}")
    with pytest.raises(UserMistake, match="has no status"):
        read_status(tmp_path, "R")
    (own / "status.json").write_text('{"running": 3}')
    with pytest.raises(UserMistake, match="is no status of a run"):
        read_status(tmp_path, "R")


def test_watching_ends_with_the_run(run_local: RunLocal) -> None:
    import threading

    run_local("--domains", "mock", "--num-tasks", "1")
    deadline = time.monotonic() + 5
    while any(thread.name == "watchdog" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(thread.name != "watchdog" for thread in threading.enumerate())
