"""Drills of the network and of the servers behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

import pytest
from drills.scene import EARLY, Row, Scene

_HOLDER = """
import subprocess
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
print("up", flush=True)
input()
"""


def server_killed_and_back(scene: Scene) -> Row:
    first = scene.start()
    first.until_announced(EARLY)
    scene.server.kill()
    sleep(scene.fault_s)
    scene.server.start()
    return scene.ended("server killed, and back", r"no connection.*trying again")


def server_killed(scene: Scene) -> Row:
    first = scene.start("--llm-timeout", str(scene.fault_s))
    first.until_announced(EARLY)
    scene.server.kill()
    first.end()
    scene.server.start()
    return scene.ended("server killed, and not back", "stopped: a server can't be reached")


def server_silent(scene: Scene) -> Row:
    first = scene.start("--stall-after", str(scene.fault_s / 2))
    first.until_announced(EARLY)
    scene.server.pause()
    sleep(scene.fault_s)
    scene.server.go_on()
    return scene.ended("server takes connections and is silent", "stalled: no event for")


def network_gone(scene: Scene) -> Row:
    """In a network of its own, whose only interface is taken down: what is under way is dropped."""
    with own_network() as inside:
        scene.within = inside
        first = scene.start("--stall-after", str(scene.fault_s / 2))
        first.until_announced(EARLY)
        subprocess.run([*inside, "ip", "link", "set", "lo", "down"], check=True)
        sleep(scene.fault_s)
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        return scene.ended("network gone", "stalled: no event for")


def one_call_in_twenty_hangs(scene: Scene) -> Row:
    """40 tasks: the run ends by itself, and each has a verdict or a reason. `status` names those that hang."""
    limit_s = 5 if scene.long else 2
    scene.faulty = ("--hang-every", "20")
    scene.trials, scene.wanted = 5, 40
    first = scene.start("--num-tasks", "8", "--llm-timeout", str(limit_s))
    hanging: dict[str, float] = {}

    def status_names_one() -> bool:
        if not (scene.run_folder / "run" / "status.json").exists():
            return False
        now = json.loads(scene.status("--json"))
        hanging.update({task["task"]: task["age_s"] for task in now["running"] if task["waiting_s"] > limit_s / 2})
        return bool(hanging)

    first.until(status_names_one)
    first.end()
    reasons = [(line["status"], line["error_type"]) for line in scene.outcomes()]
    assert len(reasons) == scene.wanted
    assert set(reasons) == {("verdict", None), ("no_verdict", "deadline_passed")}
    assert set(hanging) <= {line["task"] for line in scene.outcomes() if line["error_type"]}
    assert all(age_s > limit_s / 2 for age_s in hanging.values())
    scene.server.mend()
    return scene.ended("one call in 20 hangs", r"no verdict \(deadline_passed\)")


@contextmanager
def own_network() -> Iterator[list[str]]:
    """A command that runs another one in a network of its own. Skips the test where there can be none."""
    holder = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c"]
    try:
        process = subprocess.Popen([*holder, _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError as missing:
        pytest.skip(f"no network of its own without {missing.filename}")
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            pytest.skip("no network of its own may be made here")
        yield ["nsenter", f"--target={process.pid}", "--user", "--net", "--preserve-credentials"]
    finally:
        process.kill()
        process.communicate()
