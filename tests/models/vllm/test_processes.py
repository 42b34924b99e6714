"""Servers started, waited for and ended: a stub of vLLM in real processes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import STUB_VLLM, free_ports, processes_of

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.vllm.commands import ServerCommand, server_commands
from tau2_enhanced.models.vllm.processes import ServerProcesses

NOTHING_LEFT_WITHIN_S = 5.0


@pytest.fixture
def commands(vllm_stub: Path) -> Callable[..., list[ServerCommand]]:
    def make(args: str = "", count: int = 2) -> list[ServerCommand]:
        return server_commands(
            "m", gpus=[], num_servers=count, start_port=free_ports(count), vllm_args=args, vllm_command=STUB_VLLM
        )

    return make


def eventually(condition: Callable[[], bool], within_s: float = 60.0) -> bool:
    until = time.monotonic() + within_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def output(servers: ServerProcesses, port: int) -> dict[str, Any]:
    return dict(json.loads(servers.log(port).read_text().splitlines()[0]))


def test_they_answer_one_after_the_other_and_leave_nothing_behind(
    commands: Callable[..., list[ServerCommand]], vllm_stub: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    made = commands("--children")
    ports = [command.port for command in made]
    with ServerProcesses(made, tmp_path, stagger_delay_s=2.0) as servers:
        servers.wait(60, said.append)
        assert len(processes_of(vllm_stub)) == 6
        first, second = (output(servers, port) for port in ports)
    assert [line.split(" answers")[0] for line in said] == [f"port {port}" for port in ports]
    # the first may come late on a busy machine
    assert second["at"] - first["at"] >= 0.4
    assert first["rest"][:2] == ["--host", "127.0.0.1"]
    assert processes_of(vllm_stub) == []


def test_one_that_ends_early_is_seen_at_once_with_its_last_lines(
    commands: Callable[..., list[ServerCommand]], vllm_stub: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    made = commands()
    made = [ServerCommand(one.port, [*one.arguments, "--fail-on", str(made[1].port)]) for one in made]
    with (
        pytest.raises(UserMistake, match=rf"port {made[1].port} ended \(exit code 3\) .*vllm_port_{made[1].port}.log"),
        ServerProcesses(made, tmp_path) as servers,
    ):
        servers.wait(600, said.append)
    assert f"{made[1].port}: ValueError: no memory for the KV cache" in said
    assert processes_of(vllm_stub) == []


def test_one_that_does_not_answer_in_time_is_given_up(
    commands: Callable[..., list[ServerCommand]], vllm_stub: Path, tmp_path: Path
) -> None:
    with (
        pytest.raises(UserMistake, match=r"did not answer within 1 s"),
        ServerProcesses(commands("--load 600", 1), tmp_path) as servers,
    ):
        servers.wait(1, lambda _: None)
    assert processes_of(vllm_stub) == []


def test_while_one_loads_it_is_said_how_far_it_is(
    commands: Callable[..., list[ServerCommand]], vllm_stub: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    with ServerProcesses(commands("--load 600", 1), tmp_path) as servers:
        port = servers.commands[0].port
        assert eventually(servers.log(port).exists)
        with servers.log(port).open("ab") as log:
            log.write(b"\x1b[36m(EngineCore)\x1b[0;1m loading\x07\r\x1b[K weights: 50 %\n")
        with pytest.raises(UserMistake, match="did not answer"):
            servers.wait(2, said.append, says_every_s=0.5)
    assert re.fullmatch(rf"port {port} does not answer yet after \d s: .+", said[0])
    assert f"{port}: (EngineCore) loading" in said
    assert f"{port}:  weights: 50 %" in said


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    (command,) = server_commands("m", gpus=[], num_servers=1, start_port=free_ports(1), vllm_command="no-such-vllm")
    with pytest.raises(UserMistake, match="no-such-vllm"), ServerProcesses([command], tmp_path) as servers:
        servers.wait(60, lambda _: None)


def test_a_port_in_use_is_said_before_anything_starts(
    commands: Callable[..., list[ServerCommand]], vllm_stub: Path, tmp_path: Path
) -> None:
    import socket

    made = commands(count=2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", made[1].port))
        taken.listen()
        with pytest.raises(UserMistake, match=rf"port {made[1].port} can't be used \(.+\): see --start-port"):
            ServerProcesses(made, tmp_path)
    assert list(tmp_path.glob("vllm_port_*")) == []


def test_one_that_ends_later_is_told_and_its_children_end_with_it(
    commands: Callable[..., list[ServerCommand]], vllm_stub: Path, tmp_path: Path
) -> None:
    ended: list[tuple[int, str]] = []
    with ServerProcesses(commands("--children"), tmp_path) as servers:
        servers.wait(60, lambda _: None)
        servers.tell(lambda *told: ended.append(told))
        port = servers.commands[0].port
        server, child, _ = json.loads((vllm_stub / f"{port}.pid").read_text())
        os.kill(server, signal.SIGKILL)
        assert eventually(lambda: bool(ended))
        assert ended == [(port, "ended (Killed)")]
        assert eventually(lambda: child not in processes_of(vllm_stub))
        assert not servers.all_ended
    assert processes_of(vllm_stub) == []


_RUNNER = """
import sys
from pathlib import Path
from tau2_enhanced.models.vllm.commands import server_commands
from tau2_enhanced.models.vllm.processes import ServerProcesses

made = server_commands("m", gpus=[], num_servers=2, start_port=int(sys.argv[1]), vllm_args=sys.argv[2],
                       vllm_command=sys.argv[3])
with ServerProcesses(made, Path(sys.argv[4])) as servers:
    servers.wait(60, lambda _: None)
    print(servers._supervisor.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("victim", ["runner", "runner's group", "supervisor", "both"])
def test_whoever_is_killed_no_server_and_no_child_of_one_outlives_it(
    victim: str, vllm_stub: Path, tmp_path: Path
) -> None:
    args = "--children --deaf" if victim in ("runner", "runner's group") else "--deaf"
    runner = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, str(free_ports(2)), args, STUB_VLLM, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert runner.stdout is not None
    supervisor = int(runner.stdout.readline())
    assert len(processes_of(vllm_stub)) == (6 if "--children" in args else 2)
    if victim == "runner's group":
        os.killpg(runner.pid, signal.SIGKILL)
    if victim in ("supervisor", "both"):
        os.kill(supervisor, signal.SIGKILL)
    if victim in ("runner", "both"):
        runner.kill()
    assert eventually(lambda: not processes_of(vllm_stub), NOTHING_LEFT_WITHIN_S)
    runner.kill()
    runner.communicate()


def test_words_of_a_command_are_words_of_the_process(commands: Callable[..., list[ServerCommand]]) -> None:
    (command,) = commands("--served-model-name 'my model'", 1)
    assert shlex.split(str(command)) == command.arguments
