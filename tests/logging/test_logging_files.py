from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tau2_enhanced.logging import configure_logging, emit, get_logger
from tau2_enhanced.logging.events import TaskStartEvent, parse_line
from tau2_enhanced.logging.files import LogFolder

HOLDER = """
import sys
import time
from tau2_enhanced.logging import configure_logging, get_logger
session = configure_logging(["retail"], run_id=sys.argv[2], log_dir=sys.argv[1])
get_logger("holder").warning("from %s", sys.argv[2])
session.flush()
print(session.folder, flush=True)
sys.stdin.read()
get_logger("holder").warning("last of %s", sys.argv[2])
session.close()
"""


def write_run(log_dir: Path, run_id: str, text: str, domains: tuple[str, ...] = ("retail",)) -> Path:
    """One whole run that logs one message and one event; its folder."""
    with configure_logging(domains, run_id=run_id, log_dir=log_dir) as session:
        get_logger("writes").warning(text)
        emit(TaskStartEvent(run=run_id, domain="retail", task=text, seed=1))
        return session.folder


def messages(path: Path) -> list[str]:
    """The last word of each message line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split()[-1] for line in lines if line and parse_line(line) is None]


def tasks(path: Path) -> list[str | None]:
    events = [parse_line(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [event.task for event in events if event is not None]


def test_a_runs_files_lie_in_the_log_folder_itself(tmp_path: Path) -> None:
    assert write_run(tmp_path / "deep" / "logs", "first", "one") == tmp_path / "deep" / "logs"
    assert messages(tmp_path / "deep" / "logs" / "tau2_retail.log") == ["one"]
    assert tasks(tmp_path / "deep" / "logs" / "eval_retail.log") == ["one"]


def test_a_new_run_moves_the_earlier_ones_files_into_a_folder_of_its_name(tmp_path: Path) -> None:
    write_run(tmp_path, "first", "one", ("retail", "airline"))
    write_run(tmp_path, "second", "two")
    write_run(tmp_path, "third", "three")
    for folder, text in ((tmp_path / "first", "one"), (tmp_path / "second", "two"), (tmp_path, "three")):
        assert messages(folder / "tau2_retail.log") == [text]
        assert tasks(folder / "eval_retail.log") == [text]
    assert messages(tmp_path / "first" / "tau2_airline.log") == ["one"]
    assert not (tmp_path / "tau2_airline.log").exists()


def test_a_resumed_run_appends(tmp_path: Path) -> None:
    write_run(tmp_path, "first", "one")
    write_run(tmp_path, "first", "two")
    assert messages(tmp_path / "tau2_retail.log") == ["one", "two"]
    assert tasks(tmp_path / "eval_retail.log") == ["one", "two"]
    assert not (tmp_path / "first").exists()


def test_a_resumed_run_gets_its_moved_files_back(tmp_path: Path) -> None:
    write_run(tmp_path, "first", "one")
    write_run(tmp_path, "second", "two")
    write_run(tmp_path, "first", "three")
    assert messages(tmp_path / "tau2_retail.log") == ["one", "three"]
    assert tasks(tmp_path / "eval_retail.log") == ["one", "three"]
    assert messages(tmp_path / "second" / "tau2_retail.log") == ["two"]
    assert not (tmp_path / "first").exists()


def test_runs_that_take_turns_are_never_mixed(tmp_path: Path) -> None:
    for turn in range(3):
        for run_id in ("a", "b", "c"):
            write_run(tmp_path, run_id, f"{run_id}{turn}")
    for folder, run_id in ((tmp_path / "a", "a"), (tmp_path / "b", "b"), (tmp_path, "c")):
        assert tasks(folder / "eval_retail.log") == [f"{run_id}{turn}" for turn in range(3)]


def test_files_of_an_unknown_run_get_a_folder_of_their_date(tmp_path: Path) -> None:
    old = tmp_path / "tau2_retail.log"
    old.write_text("old\n", encoding="utf-8")
    moment = datetime(2024, 5, 6, 7, 8, 9).timestamp()
    os.utime(old, (moment, moment))
    write_run(tmp_path, "first", "one")
    assert (tmp_path / "earlier-20240506-070809" / "tau2_retail.log").read_text(encoding="utf-8") == "old\n"
    assert messages(tmp_path / "tau2_retail.log") == ["one"]


def test_files_that_are_no_logs_of_ours_stay(tmp_path: Path) -> None:
    write_run(tmp_path, "first", "one")
    for name in (".gitkeep", "notes.log", "tau2_notes.txt"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    write_run(tmp_path, "second", "two")
    for name in (".gitkeep", "notes.log", "tau2_notes.txt"):
        assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("torn", [b"[INFO] 2026-01-01 00:00:00.000 thre", b"caf\xc3", b"\x00"])
def test_a_torn_last_line_is_ended_before_anything_is_appended(tmp_path: Path, torn: bytes) -> None:
    write_run(tmp_path, "first", "one")
    for name in ("tau2_retail.log", "eval_retail.log"):
        with (tmp_path / name).open("ab") as file:
            file.write(torn)
    write_run(tmp_path, "first", "two")
    for name in ("tau2_retail.log", "eval_retail.log"):
        lines = (tmp_path / name).read_bytes().splitlines()
        assert lines.count(torn) == 1
        whole = [line for line in lines if line != torn]
        assert sum(parse_line(line.decode(errors="replace")) is not None for line in whole) == 2


def test_a_whole_last_line_gets_no_empty_one_behind_it(tmp_path: Path) -> None:
    write_run(tmp_path, "first", "one")
    write_run(tmp_path, "first", "two")
    assert b"\n\n" not in (tmp_path / "tau2_retail.log").read_bytes()


def test_a_second_run_at_the_same_time_writes_into_its_own_folder(tmp_path: Path) -> None:
    first = LogFolder(tmp_path, "first")
    (tmp_path / "tau2_retail.log").write_text("of first\n", encoding="utf-8")
    second = LogFolder(tmp_path, "second")
    assert (first.path, second.path) == (tmp_path, tmp_path / "second")
    assert (tmp_path / "tau2_retail.log").read_text(encoding="utf-8") == "of first\n"
    second.release()
    first.release()


def test_a_released_folder_can_be_had_again(tmp_path: Path) -> None:
    first = LogFolder(tmp_path, "first")
    first.release()
    first.release()
    second = LogFolder(tmp_path, "second")
    assert second.path == tmp_path
    second.release()


Holder = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    """Starts another process that logs into `tmp_path` until its stdin ends."""

    def start(run_id: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path), run_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


def test_two_processes_at_once_keep_their_logs_apart(tmp_path: Path, holder: Holder) -> None:
    with holder("first") as other:
        assert other.stdout is not None
        assert Path(other.stdout.readline().strip()) == tmp_path
        assert write_run(tmp_path, "second", "mine") == tmp_path / "second"
        other.communicate()
    assert messages(tmp_path / "tau2_retail.log") == ["first", "first"]
    assert messages(tmp_path / "second" / "tau2_retail.log") == ["mine"]


def test_a_run_that_began_beside_another_gets_the_folder_when_it_is_resumed(tmp_path: Path, holder: Holder) -> None:
    with holder("first") as other:
        assert other.stdout is not None
        other.stdout.readline()
        write_run(tmp_path, "second", "one")
        other.communicate()
    assert write_run(tmp_path, "second", "two") == tmp_path
    assert messages(tmp_path / "tau2_retail.log") == ["one", "two"]
    assert messages(tmp_path / "first" / "tau2_retail.log") == ["first", "first"]


def test_a_killed_runs_folder_is_free_at_once_and_keeps_its_lines(tmp_path: Path, holder: Holder) -> None:
    with holder("first") as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
    assert write_run(tmp_path, "first", "two") == tmp_path
    assert messages(tmp_path / "tau2_retail.log") == ["first", "two"]


def test_a_removed_folder_is_made_again_and_still_held(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    with configure_logging(["retail"], run_id="one", log_dir=logs) as session:
        get_logger("t").warning("before")
        session.flush()
        shutil.rmtree(logs)
        until = time.monotonic() + 10
        while not logs.exists() and time.monotonic() < until:
            get_logger("t").warning("after")
            session.flush()
        for log in session.full_logs:
            assert log.read_text().endswith("| after\n")
        with configure_logging(["retail"], run_id="two", log_dir=logs) as other:
            assert other.folder == logs / "two"
