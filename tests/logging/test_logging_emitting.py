"""How events go through standard logging: what a user's own handlers, filters and formatters get of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

import pytest

from tau2_enhanced.logging import configure_logging, emit, task_context
from tau2_enhanced.logging.events import RunStartEvent, ToolCallEvent, UserSimEvent


class Listener(logging.Handler):
    """A user's own handler."""

    def __init__(self) -> None:
        super().__init__(level=1)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))


def test_events_are_records_like_all_others_to_a_users_own_handler(tmp_path: Path) -> None:
    listener = Listener()
    listener.setFormatter(logging.Formatter("%(levelname)s %(name)s %(module)s.%(funcName)s %(message)s"))
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        logging.getLogger().addHandler(listener)
        try:
            emit(ToolCallEvent(function="f", duration_ms=0.5))
        finally:
            logging.getLogger().removeHandler(listener)
    [heard] = listener.heard
    assert heard.startswith("PROFILE tau2_enhanced.events emitting.emit ")
    assert "function=f call_type=local_function duration_ms=0.500" in heard


@contextmanager
def nobody_else() -> Iterator[None]:
    """Inside the block the root logger has no handlers, not even pytest's."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = handlers


def lines_of(folder: Path) -> list[str]:
    return (folder / "eval_retail.log").read_text().splitlines()


@pytest.mark.parametrize("redact", [False, True])
@pytest.mark.parametrize("level", ["DEBUG", "PROFILE", "USER_JUDGE", "ERROR"])
def test_events_are_written_alike_whether_others_hear_them_or_not(tmp_path: Path, level: str, redact: bool) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5)
    folders = [tmp_path / "alone", tmp_path / "heard"]
    for folder in folders:
        with nobody_else(), configure_logging(["retail"], run_id="r", level=level, log_dir=folder, redact=redact):
            if folder == folders[1]:
                logging.getLogger().addHandler(logging.NullHandler())
            emit(RunStartEvent(timestamp=moment, start_ms=0.0))
            logging.getLogger("other").error("between")
            with task_context(domain="retail", task="1", trial=0, sim="s"):
                emit(ToolCallEvent(timestamp=moment, function="f", duration_ms=0.5, start_ms=1.0))
                emit(UserSimEvent(timestamp=moment, model="sk-0123456789abcdef", start_ms=2.0))
    alone, heard = map(lines_of, folders)
    assert alone == heard
    assert len(alone) == {"DEBUG": 3, "PROFILE": 3, "USER_JUDGE": 2, "ERROR": 0}[level]
    assert not any("sk-0123" in line for line in alone)


@pytest.mark.parametrize("place", ["", "tau2_enhanced", "tau2_enhanced.events"])
def test_another_handler_hears_events_wherever_it_is(tmp_path: Path, place: str) -> None:
    listener, logger = Listener(), logging.getLogger(place)
    with nobody_else(), configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        emit(ToolCallEvent(function="before"))
        logger.addHandler(listener)
        emit(ToolCallEvent(function="heard"))
        logger.removeHandler(listener)
        emit(ToolCallEvent(function="after"))
    assert ["function=heard" in text for text in listener.heard] == [True]
    assert len(lines_of(tmp_path)) == 3


@pytest.mark.parametrize("name", ["tau2_enhanced", "tau2_enhanced.events"])
def test_a_logger_that_does_not_propagate_keeps_events_from_the_files(tmp_path: Path, name: str) -> None:
    logger = logging.getLogger(name)
    with nobody_else(), configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        logger.propagate = False
        try:
            emit(ToolCallEvent(function="f"))
        finally:
            logger.propagate = True
    assert lines_of(tmp_path) == []


def test_where_the_screen_wants_events_it_gets_records(tmp_path: Path) -> None:
    shown: list[tuple[str, str]] = []

    def show(record: logging.LogRecord, line: str) -> None:
        shown.append((record.levelname, line))

    with (
        nobody_else(),
        configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=show, console_level="INFO"),
    ):
        emit(RunStartEvent())
        emit(ToolCallEvent(function="f"))
    assert [(level, "type=run_start" in line) for level, line in shown] == [("INFO", True)]
    assert len(lines_of(tmp_path)) == 2


def test_a_users_own_kind_of_record_is_used_for_events_too(tmp_path: Path) -> None:
    class Marked(logging.LogRecord):
        mark = "theirs"

    listener = Listener()
    listener.setFormatter(logging.Formatter("%(levelname)s"))
    marks: list[object] = []
    listener.addFilter(lambda record: marks.append(getattr(record, "mark", None)) is None)
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        logging.setLogRecordFactory(Marked)
        logging.getLogger().addHandler(listener)
        try:
            emit(ToolCallEvent(function="f"))
        finally:
            logging.getLogger().removeHandler(listener)
            logging.setLogRecordFactory(logging.LogRecord)
    assert marks == ["theirs"]


@pytest.mark.parametrize("alone", [False, True])
def test_what_a_user_filters_out_of_the_events_is_not_written(tmp_path: Path, alone: bool) -> None:
    def wanted(record: logging.LogRecord) -> bool:
        return isinstance(record.msg, ToolCallEvent)

    events = logging.getLogger("tau2_enhanced.events")
    events.addFilter(wanted)
    try:
        with nobody_else() if alone else nullcontext(), configure_logging(["retail"], run_id="r", log_dir=tmp_path):
            emit(ToolCallEvent(function="f"))
            emit(RunStartEvent())
    finally:
        events.removeFilter(wanted)
    lines = (tmp_path / "eval_retail.log").read_text().splitlines()
    assert [line.partition("type=")[2].split()[0] for line in lines] == ["tool_call"]
