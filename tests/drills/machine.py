"""Drills of the runner's own process and its machine: stopped, killed, short of something, told twice."""

from __future__ import annotations

import json
import random
import resource
import signal
from time import sleep

from drills.scene import EARLY, Part, Row, Scene

_FEW_FILES = 100
_BYTES_FOR_SOME_THREADS = 1_400_000_000


def runner_paused(scene: Scene) -> Row:
    """For longer than any of its limits."""
    limit_s = str(scene.fault_s / 2)
    first = scene.start("--llm-timeout", limit_s, "--stall-after", limit_s, "--task-working-timeout", limit_s)
    first.until_announced(EARLY)
    first.process.send_signal(signal.SIGSTOP)
    sleep(scene.fault_s)
    first.process.send_signal(signal.SIGCONT)
    row = scene.ended("runner paused", "this process was suspended for")
    assert "stalled" not in first.err
    return row


def killed_at_random_moments(scene: Scene) -> Row:
    kills = 10 if scene.long else 3
    part = scene.start()
    for _ in range(kills):
        part.until_announced(random.randint(1, EARLY * 2))
        part.process.kill()
        part.end()
        status = scene.status()
        assert "broke off at" in status
        part = scene.resume()
    part.end()
    return scene.ended(f"kill -9, {kills} times", "", said_instead=status)


def interrupted_twice(scene: Scene) -> Row:
    scene.latency_s = 1.0
    first = scene.start()
    first.until_announced(1)
    first.process.send_signal(signal.SIGINT)
    first.until(lambda: "interrupted" in first.err)
    first.process.send_signal(signal.SIGINT)
    return scene.ended("^C twice", r"\^C again stops at once")


def terminated_while_finishing(scene: Scene) -> Row:
    first = scene.start()
    first.until_announced(scene.wanted)
    first.process.terminate()
    return scene.ended("SIGTERM while it writes its results", "108/108|360/360")


def few_files(scene: Scene) -> Row:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FEW_FILES, _FEW_FILES))

    scene.start("--max-concurrency", "60", preexec_fn=limit)
    return scene.ended(f"{_FEW_FILES} open files, 60 at once", "need 124 open files", go_on=scene.start)


def few_threads(scene: Scene) -> Row:
    """Each thread takes 8 MB of the address space, which has no room for all of them."""
    scene.trials, scene.wanted = 34, 34 * 9

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES_FOR_SOME_THREADS, _BYTES_FOR_SOME_THREADS))

    scene.start("--max-concurrency", "300", preexec_fn=limit)
    return scene.ended("memory for fewer than 300 threads", "simulations run at once, not 300")


def clock_set_back(scene: Scene) -> Row:
    """By a day, between two parts: the times of events go on all the same."""
    first = scene.start()
    first.until_announced(EARLY)
    first.process.send_signal(signal.SIGINT)
    first.end()
    config = scene.run_folder / "run" / "config.json"
    data = json.loads(config.read_text())
    config.write_text(json.dumps({**data, "created": data["created"] + 86_400}))
    row = scene.ended("clock set back by a day before --resume", "interrupted")
    ends = [line["ended_ms"] for line in scene.outcomes()]
    assert max(ends[: row.finished]) <= min(ends[row.finished :])
    return row


def two_runners(scene: Scene) -> Row:
    """With one run id, and a --resume of what still runs."""
    first = scene.start()
    first.until_announced(EARLY)
    # it holds its run, whatever it does
    first.process.send_signal(signal.SIGSTOP)
    others: list[Part] = [scene.start(), scene.resume()]
    for other, said in zip(others, ("already exists", "is being run by another process"), strict=True):
        other.end()
        assert other.process.returncode == 2
        assert other.err.count("\n") == 1
        assert said in other.err
    first.process.send_signal(signal.SIGCONT)
    return scene.ended("two runners of one run", "", said_instead=others[1].err)


def two_runners_begin_at_once(scene: Scene) -> Row:
    first, second = scene.start(), scene.start()
    second.end()
    first.end()
    begun, refused = (first, second) if first.process.returncode == 0 else (second, first)
    assert (begun.process.returncode, refused.process.returncode) == (0, 2)
    assert refused.err.count("\n") == 1
    scene.parts.remove(refused)
    return scene.ended("two runners begin one run at once", "", said_instead=refused.err)
