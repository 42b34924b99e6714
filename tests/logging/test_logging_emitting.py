"""How events go through standard logging: what a user's own handlers, filters and formatters get of them."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tau2_enhanced.logging import PROFILE, configure_logging, emit
from tau2_enhanced.logging.events import ExecutionEvent, RunStartEvent, ToolCallEvent


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


class Keeper(logging.Handler):
    """Keeps the records and looks at nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def handle(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        return True


def record_of(event: ExecutionEvent) -> logging.LogRecord:
    """What a user's own handler gets of an event, and nobody else: pytest's own handlers would look at it."""
    keeper, events = Keeper(), logging.getLogger("tau2_enhanced.events")
    events.addHandler(keeper)
    events.setLevel(logging.DEBUG)
    events.propagate = False
    try:
        emit(event)
    finally:
        events.propagate = True
        events.setLevel(logging.NOTSET)
        events.removeHandler(keeper)
    [record] = keeper.records
    return record


def test_an_events_record_has_all_that_other_records_have() -> None:
    before = time.time()
    record = record_of(ToolCallEvent(function="f"))
    usual = logging.LogRecord("tau2_enhanced.events", PROFILE, "", 0, "", (), None)
    assert set(vars(record)) == set(vars(usual))
    assert (record.name, record.levelname, record.args, record.exc_info) == (usual.name, "PROFILE", (), None)
    assert (record.thread, record.threadName) == (threading.get_ident(), threading.current_thread().name)
    assert (record.process, record.processName) == (usual.process, usual.processName)
    assert before <= record.created <= time.time()
    assert record.msecs == int(record.created % 1 * 1000)
    assert usual.relativeCreated - record.relativeCreated == pytest.approx(
        (usual.created - record.created) * 1000, abs=0.01
    )
    with pytest.raises(AttributeError, match="'EventRecord' object has no attribute 'mark'"):
        record.mark  # type: ignore[attr-defined]  # noqa: B018  # what is tried


def sent(record: logging.LogRecord) -> logging.LogRecord:
    received: logging.LogRecord = pickle.loads(pickle.dumps(record))
    return received


@pytest.mark.parametrize("other", [copy.copy, sent])
@pytest.mark.parametrize("first_asked", [False, True])
def test_an_events_record_can_be_copied_and_sent(
    other: Callable[[logging.LogRecord], logging.LogRecord], first_asked: bool
) -> None:
    record = record_of(ToolCallEvent(function="f"))
    if first_asked:
        assert record.levelname == "PROFILE"
    assert vars(other(record)) == vars(record)


def test_what_a_filter_sets_on_an_events_record_stays() -> None:
    def mark(record: logging.LogRecord) -> bool:
        record.mark, record.msg, record.levelname = "mine", "masked", "EVENT"
        return True

    events = logging.getLogger("tau2_enhanced.events")
    events.addFilter(mark)
    try:
        record = record_of(ToolCallEvent(function="f"))
    finally:
        events.removeFilter(mark)
    assert logging.Formatter("%(mark)s %(levelname)s %(module)s %(message)s").format(record) == (
        "mine EVENT emitting masked"
    )


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


def test_what_a_user_filters_out_of_the_events_is_not_written(tmp_path: Path) -> None:
    def wanted(record: logging.LogRecord) -> bool:
        return isinstance(record.msg, ToolCallEvent)

    events = logging.getLogger("tau2_enhanced.events")
    events.addFilter(wanted)
    try:
        with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
            emit(ToolCallEvent(function="f"))
            emit(RunStartEvent())
    finally:
        events.removeFilter(wanted)
    lines = (tmp_path / "eval_retail.log").read_text().splitlines()
    assert [line.partition("type=")[2].split()[0] for line in lines] == ["tool_call"]
