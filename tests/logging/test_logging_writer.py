"""What reaches the files and the screen, and that nothing gets lost on the way."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tau2_enhanced.logging import configure_logging, emit, get_logger, in_context, task_context
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    LLMCallEvent,
    RunStartEvent,
    TaskStartEvent,
    ToolCallEvent,
    parse_line,
)

log = get_logger("test_logging_writer")


@contextmanager
def without_pytests_handlers() -> Iterator[None]:
    """Let only our handler see what is logged: pytest's raise for odd records and choke on odd text."""
    root = logging.getLogger()
    others = list(root.handlers)
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = others


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def events_of(path: Path) -> list[ExecutionEvent]:
    return [event for line in lines_of(path) if (event := parse_line(line)) is not None]


def test_an_event_is_in_both_files_and_a_message_in_one(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path), task_context(domain="retail", task="12"):
        log.info("looking")
        emit(ToolCallEvent(function="get_order", duration_ms=0.8))
    full, events = lines_of(tmp_path / "tau2_retail.log"), lines_of(tmp_path / "eval_retail.log")
    assert [line.split()[-1] for line in full[:1]] == ["looking"]
    assert full[1:] == events
    assert len(events) == 1


def test_a_message_line_has_level_time_task_and_thread(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path) as session:
        with task_context(domain="retail", task="a b", trial=1, step=3):
            log.warning("low on %s", "fuel")
        log.error("outside")
    first, second = lines_of(session.full_logs[0])
    assert first.startswith("[WARNING] ")
    assert first.endswith(' task="a b" thread=MainThread domain=retail trial=1 step=3 | low on fuel')
    assert second.startswith("[ERROR] ")
    assert second.endswith(" thread=MainThread | outside")


def test_a_domains_lines_are_in_its_files_alone(tmp_path: Path) -> None:
    with configure_logging(["retail", "airline"], run_id="r", log_dir=tmp_path):
        for domain in ("retail", "airline"):
            with task_context(domain=domain, task="1"):
                log.info("message of %s", domain)
                emit(TaskStartEvent(seed=1))
    for domain in ("retail", "airline"):
        assert [event.domain for event in events_of(tmp_path / f"eval_{domain}.log")] == [domain]
        message, event = lines_of(tmp_path / f"tau2_{domain}.log")
        assert message.endswith(f"message of {domain}")
        assert f"domain={domain}" in event


def test_what_belongs_to_the_run_is_in_the_files_of_all_domains(tmp_path: Path) -> None:
    with configure_logging(["retail", "airline"], run_id="r", log_dir=tmp_path) as session:
        emit(RunStartEvent(run="r", planned=2))
        log.info("hello")
    for path in session.event_logs:
        assert [event.type for event in events_of(path)] == ["run_start"]
    for path in session.full_logs:
        assert len(lines_of(path)) == 2


def test_an_events_own_domain_wins_over_the_contexts(tmp_path: Path) -> None:
    with configure_logging(["retail", "airline"], run_id="r", log_dir=tmp_path), task_context(domain="retail"):
        emit(TaskStartEvent(domain="airline", task="1"))
    assert events_of(tmp_path / "eval_retail.log") == []
    assert len(events_of(tmp_path / "eval_airline.log")) == 1


def test_an_event_carries_the_whole_context(tmp_path: Path) -> None:
    here = {"run": "r", "sim": "s9", "domain": "retail", "task": "12", "trial": 2, "step": 5}
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path), task_context(**here):
        emit(LLMCallEvent(model="m", duration_ms=1.0))
    [event] = events_of(tmp_path / "eval_retail.log")
    assert {name: getattr(event, name) for name in here} == here
    assert event.thread == "MainThread"
    assert event.timestamp is not None


def test_eight_threads_of_five_hundred_events_arrive_complete_and_unglued(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(timeout=10)
        for index in range(500):
            with task_context(domain="retail", task=f"{number}-{index}", trial=number):
                log.debug("filtered")
                log.info("message %d %d", number, index)
                emit(ToolCallEvent(function=f"f{number}", duration_ms=index / 8, tool_call_id=f"{number}-{index}"))

    with (
        configure_logging(["retail"], run_id="r", log_dir=tmp_path),
        ThreadPoolExecutor(8, thread_name_prefix="eight") as pool,
    ):
        list(pool.map(work, range(8)))
    events = events_of(tmp_path / "eval_retail.log")
    assert len(events) == len(lines_of(tmp_path / "eval_retail.log")) == 4000
    threads_of: dict[int, set[str | None]] = {}
    for event in events:
        assert isinstance(event, ToolCallEvent)
        assert event.task == event.tool_call_id == f"{event.trial}-{round((event.duration_ms or 0) * 8)}"
        assert event.function == f"f{event.trial}"
        threads_of.setdefault(event.trial or 0, set()).add(event.thread)
    assert Counter(event.task for event in events).most_common(1)[0][1] == 1
    assert {len(threads) for threads in threads_of.values()} == {1}
    assert len(set.union(*threads_of.values())) == 8
    assert len(lines_of(tmp_path / "tau2_retail.log")) == 8000


def test_each_threads_events_stand_in_their_order(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for index in range(300):
            emit(TaskStartEvent(domain="retail", task=str(number), seed=index))

    with configure_logging(["retail"], run_id="r", log_dir=tmp_path), ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    events = events_of(tmp_path / "eval_retail.log")
    for number in range(4):
        seeds = [e.seed for e in events if isinstance(e, TaskStartEvent) and e.task == str(number)]
        assert seeds == list(range(300))


def test_a_helper_thread_in_context_logs_for_its_task_and_another_for_none(tmp_path: Path) -> None:
    with (
        configure_logging(["retail"], run_id="r", log_dir=tmp_path),
        ThreadPoolExecutor(1) as pool,
        task_context(domain="retail", task="12"),
    ):
        pool.submit(in_context(log.info), "with").result()
        pool.submit(log.info, "without").result()
    with_task, without = lines_of(tmp_path / "tau2_retail.log")
    assert " task=12 " in with_task
    assert "task=" not in without


def test_after_an_exception_nothing_is_logged_for_the_failed_task(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        try:
            with task_context(domain="retail", task="12"):
                raise ValueError
        except ValueError:
            log.exception("failed")
    assert "task=12" not in (tmp_path / "tau2_retail.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("DEBUG", ["debug", "profile", "user_judge", "info", "warning", "error"]),
        ("PROFILE", ["profile", "user_judge", "info", "warning", "error"]),
        ("USER_JUDGE", ["user_judge", "info", "warning", "error"]),
        ("INFO", ["info", "warning", "error"]),
        ("ERROR", ["error"]),
    ],
)
def test_only_the_chosen_level_and_above_is_written(tmp_path: Path, level: str, kept: list[str]) -> None:
    with configure_logging(["retail"], run_id="r", level=level, log_dir=tmp_path):
        for name in ("debug", "profile", "user_judge", "info", "warning", "error"):
            getattr(log, name)(name)
    lines = lines_of(tmp_path / "tau2_retail.log")
    assert [line.split()[-1] for line in lines] == kept
    assert [line.split()[0] for line in lines] == [f"[{name.upper()}]" for name in kept]


def test_a_logger_with_a_lower_level_of_its_own_does_not_get_below_the_chosen_one(tmp_path: Path) -> None:
    chatty = logging.getLogger("test_logging_writer.chatty")
    chatty.setLevel(logging.DEBUG)
    with configure_logging(["retail"], run_id="r", level="INFO", log_dir=tmp_path):
        chatty.debug("whisper")
        chatty.info("speech")
    assert [line.split()[-1] for line in lines_of(tmp_path / "tau2_retail.log")] == ["speech"]


def test_an_event_below_the_chosen_level_is_not_even_stamped(tmp_path: Path) -> None:
    event = ToolCallEvent(function="f")
    with configure_logging(["retail"], run_id="r", level="INFO", log_dir=tmp_path):
        emit(event)
    assert event.timestamp is None
    assert lines_of(tmp_path / "eval_retail.log") == []


def test_an_unknown_level_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for levels in ({"level": "LOUD"}, {"console_level": "LOUD"}):
        with pytest.raises(ValueError, match="'LOUD'"):
            configure_logging(["retail"], run_id="r", log_dir=tmp_path / "logs", **levels)
    assert not (tmp_path / "logs").exists()


def test_a_log_folder_that_cannot_be_made_is_an_os_error_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    before = list(logging.getLogger().handlers)
    with pytest.raises(OSError, match="file"):
        configure_logging(["retail"], run_id="r", log_dir=tmp_path / "file" / "logs")
    assert logging.getLogger().handlers == before


def test_further_lines_of_a_message_are_indented(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        log.info("one\ntwo\r\n[PROFILE] 2026-03-14 09:26:53.589 type=llm_call\n")
    first, *rest = lines_of(tmp_path / "tau2_retail.log")
    assert first.endswith(" one")
    assert rest == ["    two\\r", "    [PROFILE] 2026-03-14 09:26:53.589 type=llm_call"]
    assert events_of(tmp_path / "tau2_retail.log") == []


@pytest.mark.parametrize(
    "text", ["type=llm_call duration_ms=1.0", "thread=t type=llm_call", "| type=llm_call", "type="]
)
def test_a_message_that_looks_like_an_event_is_none(tmp_path: Path, text: str) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        log.info(text)
        with task_context(domain="retail", task="12", trial=0, step=1):
            log.info(text)
    assert [parse_line(line) for line in lines_of(tmp_path / "tau2_retail.log")] == [None, None]


def test_an_exceptions_traceback_is_there_with_its_cause(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path), task_context(domain="retail", task="12"):
        try:
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise ValueError("outer") from error
        except ValueError:
            log.exception("tool failed")
    first, *rest = lines_of(tmp_path / "tau2_retail.log")
    assert first.endswith("tool failed")
    assert " task=12 " in first
    assert rest[0] == "    Traceback (most recent call last):"
    assert "    KeyError: 'inner'" in rest
    assert rest[-1] == "    ValueError: outer"


def test_flush_makes_all_lines_visible(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path) as session:
        for count in (1, 2, 1200):
            before = len(lines_of(session.event_logs[0]))
            for index in range(count):
                emit(TaskStartEvent(seed=index))
            session.flush()
            assert len(lines_of(session.event_logs[0])) == len(lines_of(session.full_logs[0])) == before + count


def test_what_cannot_be_encoded_is_escaped(tmp_path: Path) -> None:
    with without_pytests_handlers(), configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        log.info("half \ud800 τ²")
        emit(ToolCallEvent(function="half \ud800"))
    assert lines_of(tmp_path / "tau2_retail.log")[0].endswith("half \\ud800 τ²")
    [event] = events_of(tmp_path / "eval_retail.log")
    assert isinstance(event, ToolCallEvent)
    assert event.function == "half \ud800"


@pytest.mark.parametrize("call", ["message", "format", "argument"])
def test_a_record_that_cannot_be_formatted_never_hurts_its_caller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], call: str
) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    calls: dict[str, Callable[[], None]] = {
        "message": lambda: log.info(Unprintable()),
        "format": lambda: log.info("%d orders", "many"),
        "argument": lambda: log.info("%s", Unprintable()),
    }
    with without_pytests_handlers(), configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        calls[call]()
        log.info("after")
    *said, last = lines_of(tmp_path / "tau2_retail.log")
    assert last.endswith(" after")
    assert said or capsys.readouterr().err


def test_an_event_that_cannot_be_written_does_not_end_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with without_pytests_handlers(), configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        emit(ToolCallEvent(function=5))  # type: ignore[arg-type]  # a caller's mistake
        emit(ToolCallEvent(function="after"))
    assert [
        event.function for event in events_of(tmp_path / "eval_retail.log") if isinstance(event, ToolCallEvent)
    ] == ["after"]
    assert "could not be written" in capsys.readouterr().err


class Gate:
    """A console that holds the writer at its first record until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, record: logging.LogRecord, line: str) -> None:
        self.reached.set()
        self._open.wait(timeout=10)

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()


def test_a_slow_disk_or_screen_never_holds_up_the_one_who_logs(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=(gate := Gate())), gate:
        log.error("held")
        assert gate.reached.wait(timeout=10)
        for index in range(2000):
            emit(TaskStartEvent(seed=index))
        assert lines_of(tmp_path / "eval_retail.log") == []
    assert len(lines_of(tmp_path / "eval_retail.log")) == 2000


@pytest.mark.parametrize("as_message", [False, True], ids=["argument", "message"])
def test_a_value_is_logged_as_it_was_when_it_was_logged(tmp_path: Path, as_message: bool) -> None:
    history = ["a"]
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=(gate := Gate())), gate:
        log.error("held")
        assert gate.reached.wait(timeout=10)
        if as_message:
            log.info(history)
        else:
            log.info("%s", history)
        history.append("b")
    assert lines_of(tmp_path / "tau2_retail.log")[1].endswith(" ['a']")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_full_disk_is_said_once_and_does_not_stop_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("tau2_retail.log", "eval_retail.log"):
        (tmp_path / name).symlink_to("/dev/full")
    (tmp_path / ".run").write_text("r", encoding="utf-8")
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path) as session:
        for index in range(3):
            emit(TaskStartEvent(seed=index))
            session.flush()
    assert capsys.readouterr().err.splitlines() == ["the log can't be written: No space left on device"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_file_that_cannot_be_written_does_not_hold_back_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tau2_airline.log").symlink_to("/dev/full")
    (tmp_path / ".run").write_text("r", encoding="utf-8")
    with configure_logging(["airline", "retail"], run_id="r", log_dir=tmp_path) as session:
        emit(RunStartEvent(run="r"))
        session.flush()
        assert len(events_of(tmp_path / "eval_airline.log")) == 1
        assert len(events_of(tmp_path / "eval_retail.log")) == 1
    assert "No space left on device" in capsys.readouterr().err


CRASH = """
import sys, threading
from tau2_enhanced.logging import configure_logging, emit, get_logger
from tau2_enhanced.logging.events import ToolCallEvent
session = configure_logging(["retail"], run_id="r", log_dir=sys.argv[1])
def work():
    for index in range(800):
        emit(ToolCallEvent(function=f"f{index}", duration_ms=0.5))
    get_logger("crash").error("last words")
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("work()", 0),
        ("work(); raise RuntimeError('boom')", 1),
        ("work(); raise KeyboardInterrupt", -2),
        ("work(); sys.exit(3)", 3),
        ("threading.Thread(target=work).start()", 0),
        ("threading.Thread(target=work).start(); raise RuntimeError('boom')", 1),
    ],
)
def test_a_process_that_ends_right_after_logging_loses_no_line(tmp_path: Path, end: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", f"{CRASH}\n{end}", str(tmp_path)], capture_output=True, timeout=30)
    assert done.returncode == code
    functions = [e.function for e in events_of(tmp_path / "eval_retail.log") if isinstance(e, ToolCallEvent)]
    assert functions == [f"f{index}" for index in range(800)]
    lines = lines_of(tmp_path / "tau2_retail.log")
    assert len(lines) == 801
    assert lines[-1].endswith(" last words")
