"""What tests of several packages share: tau2 loaded once, the stand-in with faults, runs in a folder of their own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from support import CHECKOUT, TAU2_1, Run, RunLocal, Spawn, StandIn

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import current_context, redaction
from tau2_enhanced.logging.events import ExecutionEvent
from tau2_enhanced.models.stand_in.gold import write_plays
from tau2_enhanced.models.stand_in.plays import play_of
from tau2_enhanced.models.stand_in.process import StandInProcess
from tau2_enhanced.runner.main import main

# how long an example takes depends on what else the machine does
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_KEYS = ("CKPT_DIR", "OPENAI_API_KEY", "OPENAI_BASE_URL", "VLLM_API_KEY", "ANTHROPIC_API_KEY")


class EventCollector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=1)
        self.events: list[ExecutionEvent] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record.msg, ExecutionEvent)
        record.msg.stamp(current_context())
        self.events.append(record.msg)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Leave out what needs data that a named checkout of tau2 lacks."""
    try:
        return (yield)
    except FileNotFoundError as error:
        if TAU2_1 and str(error.filename).startswith(os.environ["TAU2_SOURCE"]):
            pytest.skip(f"the checkout has no {error.filename}")
        raise


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes have the width that the program gives them: pytest-xdist's workers have a `$COLUMNS`."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test protects, which may be any word, is no secret of another's."""
    for name in ("_known", "_pattern", "_hints"):
        monkeypatch.setattr(redaction, name, copy(getattr(redaction, name)))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def registry() -> Any:
    """tau2's registry, loaded once."""
    return tau2_versions.load()


@pytest.fixture
def run_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], registry: Any
) -> RunLocal:
    """`run_local.py` with these flags, in this process and an empty folder; the run is called R."""
    monkeypatch.chdir(tmp_path)

    def run(*flags: str) -> Run:
        named = [] if {"--resume", "--run-id"} & set(flags) else ["--run-id", "R"]
        try:
            code = main([*flags, *named])
        except SystemExit as left:
            code = int(left.code or 0)
        shown = capsys.readouterr()
        return Run(code, shown.out, shown.err, tmp_path)

    return run


@pytest.fixture
def spawn_run(tmp_path: Path) -> Spawn:
    """`run_local.py` in a process of its own, in the test's folder."""

    def spawn(*flags: str, **options: Any) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name not in _KEYS}
        environment.update(options.pop("env", {}))
        return subprocess.Popen(
            [sys.executable, str(CHECKOUT / "run_local.py"), *flags],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    return spawn


@pytest.fixture
def stand_in(registry: Any) -> Iterator[StandIn]:
    """Starts the stand-in with flags for faults; its base URL. It plays mock, retail and airline."""
    with ExitStack() as closing:

        def start(*flags: str) -> str:
            process = closing.enter_context(StandInProcess(*flags))
            domains = ("mock", "retail", "airline")
            tasks = {(domain, t.id): t for domain in domains for t in registry.get_tasks_loader(domain)()}
            return process.serve({key: play_of(task) for key, task in tasks.items()})

        yield start


@pytest.fixture
def vllm_stub(registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes STUB_VLLM play the tasks of mock; the folder of its notes."""
    notes = tmp_path / "notes"
    notes.mkdir()
    plays = {("mock", task.id): play_of(task) for task in registry.get_tasks_loader("mock")()}
    (notes / "plays.json").write_text(write_plays(plays))
    monkeypatch.setenv("STUB_PLAYS", str(notes / "plays.json"))
    return notes


@pytest.fixture
def events() -> Iterator[list[ExecutionEvent]]:
    """What is emitted during the test, stamped with its task context."""
    logger, collector = logging.getLogger("tau2_enhanced.events"), EventCollector()
    level = logger.level
    logger.addHandler(collector)
    logger.setLevel(1)
    yield collector.events
    logger.removeHandler(collector)
    logger.setLevel(level)
