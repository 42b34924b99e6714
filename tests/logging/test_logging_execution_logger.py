from __future__ import annotations

import csv
import inspect
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tau2_enhanced.logging import ExecutionLogger, task_context
from tau2_enhanced.logging.audit import State, verify
from tau2_enhanced.logging.event_files import read_events
from tau2_enhanced.logging.events import (
    EVENT_TYPES,
    BrokenLine,
    ExecutionEvent,
    StateChangeEvent,
    ToolExecutionEvent,
    UnknownEvent,
)
from tau2_enhanced.logging.redaction import protect
from tau2_enhanced.logging.state_hash import state_hash


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "execution.jsonl"


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def search(departure: str, destination: str, date: str = "") -> None: ...


def test_a_tool_call_is_written_with_all_that_is_known_of_it(path: Path) -> None:
    with ExecutionLogger(path) as logger, task_context(run="r", sim="s", domain="airline", task="2", trial=0, step=3):
        event = logger.log_tool_execution(
            "search_flights",
            True,
            0.5,
            {"departure": "NYC", "date": "2024-05-01", "seat": "12A"},
            [{"flight": "HAT001"}],
            signature=inspect.signature(search),
            tool_call_id="call_7",
            state_changed=False,
        )
        [line] = written(path)
    assert {name: line[name] for name in ("seq", "type", "tool_name", "tool_call_id", "execution_time")} == {
        "seq": 0,
        "type": "tool_execution",
        "tool_name": "search_flights",
        "tool_call_id": "call_7",
        "execution_time": 0.5,
    }
    assert (line["required_args_provided"], line["optional_args_provided"]) == (["departure"], ["date"])
    assert (line["missing_args"], line["unexpected_args"]) == (["destination"], ["seat"])
    assert (line["result_type"], line["result_preview"]) == ("list", '[{"flight":"HAT001"}]')
    assert (line["sim"], line["task"], line["trial"], line["step"], line["phase"]) == ("s", "2", 0, 3, "live")
    assert [*read_events(path)] == [event]


def test_a_failed_call_says_what_was_wrong(path: Path) -> None:
    with ExecutionLogger(path) as logger:
        with pytest.raises(TypeError) as caught:
            search("NYC")  # type: ignore[call-arg]  # the mistake is the point
        event = logger.log_tool_execution("search", False, 0.001, {"departure": "NYC"}, error=caught.value)
    assert (event.success, event.error_type) == (False, "TypeError")
    assert event.validation_errors == ["missing 1 required positional argument: 'destination'"]
    assert (event.result_type, event.result_size) == (None, None)


def test_calls_without_an_id_get_one_of_their_own() -> None:
    logger = ExecutionLogger()
    ids = {logger.log_tool_execution("f", True).tool_call_id for _ in range(100)}
    assert len(ids) == 100


def test_the_start_of_a_call_is_its_end_less_its_time() -> None:
    event = ExecutionLogger().log_tool_execution("f", True, 2.0)
    now = ExecutionLogger().log_tool_execution("g", True, 0.0)
    assert event.start_ms is not None
    assert now.start_ms is not None
    assert now.start_ms - event.start_ms >= 2000.0


def test_statistics_count_live_calls_and_have_no_undefined_numbers() -> None:
    logger = ExecutionLogger()
    assert logger.get_statistics()["tool_calls"]["success_rate"] is None
    logger.log_tool_execution("a", True, 1.0, {"dob": "1990-04-05"})
    logger.log_tool_execution("a", False, 3.0, error=KeyError("x"))
    logger.log_tool_execution("b", True)
    logger.log_tool_execution("a", True, 9.0, phase="replay")
    logger.log_tool_execution("a", True, 9.0, phase="gold")
    logger.log_state_change("a", {"x": 1}, {"x": 2})
    logger.log_context_reduction("truncation", tokens_before=1000, tokens_after=250)
    found = logger.get_statistics()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["total_events"] == 7
    assert found["events_by_type"] == {"tool_execution": 5, "state_change": 1, "context_reduction": 1}
    assert found["events_by_phase"] == {"live": 5, "replay": 1, "gold": 1}
    assert found["tool_calls"] == {
        "total": 3,
        "succeeded": 2,
        "failed": 1,
        "success_rate": 2 / 3,
        "execution_time": {"count": 2, "total": 4.0, "mean": 2.0, "min": 1.0, "max": 3.0},
    }
    assert found["tools"]["b"]["execution_time"]["mean"] is None
    assert (found["errors_by_type"], found["sensitive_args_by_kind"]) == ({"KeyError": 1}, {"birth_date": 1})
    assert (found["state_changes"], found["context_reductions"], found["tokens_saved"]) == (1, 1, 750)


def test_a_state_change_says_what_changed() -> None:
    old, new = {"orders": {"#W1": {"status": "pending"}}}, {"orders": {"#W1": {"status": "cancelled"}}}
    event = ExecutionLogger().log_state_change("cancel_order", old, new, task="7")
    assert event.change_summary == "orders/#W1/status: pending → cancelled"
    assert (event.pre_state_hash, event.post_state_hash) == (state_hash(old), state_hash(new))
    assert (event.state_type, event.action_trigger, event.task) == ("database", "cancel_order", "7")


def test_a_context_reduction_says_how_much_went() -> None:
    event = ExecutionLogger().log_context_reduction("summary", tokens_before=1000, tokens_after=250, messages_before=9)
    assert (event.reduction_ratio, event.messages_before) == (0.75, 9)
    assert ExecutionLogger().log_context_reduction("summary", tokens_after=3).reduction_ratio is None


def test_events_are_chosen_by_type_time_and_task(path: Path) -> None:
    for logger in (ExecutionLogger(path), ExecutionLogger()):
        with logger:
            moments = [datetime(2026, 3, 14, 9, minute) for minute in range(4)]
            for index, moment in enumerate(moments):
                logger.log_event(ToolExecutionEvent(tool_name=f"t{index}", task=str(index % 2), timestamp=moment))
            logger.log_event(StateChangeEvent(task="0", timestamp=moments[3] + timedelta(hours=1)))

            def names(found: Any) -> list[str]:
                return [event.tool_name for event in found if isinstance(event, ToolExecutionEvent)]

            assert names(logger.events()) == ["t0", "t1", "t2", "t3"]
            assert names(logger.events(task="1")) == ["t1", "t3"]
            assert names(logger.events(since=moments[1], until=moments[3])) == ["t1", "t2"]
            assert [event.type for event in logger.events("state_change")] == ["state_change"]
            assert len([*logger.events(ToolExecutionEvent)]) == 4
            assert len([*logger.events(ExecutionEvent)]) == 5


def test_memory_is_bounded_and_statistics_are_not(path: Path) -> None:
    with ExecutionLogger(path, max_events=10) as logger:
        for _ in range(25):
            logger.log_tool_execution("f", True)
        assert len(logger.recent) == 10
        assert len([*logger.events()]) == 25
        assert logger.get_statistics()["total_events"] == 25


def test_many_threads_log_into_one_file_through_one_and_through_several_loggers(path: Path) -> None:
    shared = ExecutionLogger(path)

    def work(number: int) -> None:
        with ExecutionLogger(path) as own, task_context(task=str(number)):
            for index in range(25):
                shared.log_tool_execution("shared", True, 0.001, {"n": index})
                own.log_tool_execution("own", True, 0.001, {"n": index})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.get_statistics()["tool_calls"]["total"] == 200
    shared.close()
    assert verify(path).state is State.INTACT
    found = Counter(
        (event.tool_name, event.task, event.tool_args["n"])
        for event in read_events(path)
        if isinstance(event, ToolExecutionEvent) and event.tool_args is not None
    )
    assert found == Counter((name, str(n), i) for name in ("shared", "own") for n in range(8) for i in range(25))


WORKER = """
import sys
from tau2_enhanced.logging import ExecutionLogger
logger = ExecutionLogger(sys.argv[1])
for number in range(10**9):
    logger.log_tool_execution("f", True, 0.001, {"n": number, "text": "x" * 9000})
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_a_killed_process_loses_nothing_that_was_logged(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(30):
        said = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    said = max([said, *map(int, process.stdout.read().split())])
    process.wait()
    assert verify(path).holds
    numbers = [event.tool_args["n"] for event in read_events(path) if isinstance(event, ToolExecutionEvent)]
    assert numbers[: said + 1] == list(range(said + 1))
    with ExecutionLogger(path) as logger:
        logger.log_tool_execution("after", True)
    assert verify(path).state is State.INTACT


def test_without_auto_flush_events_come_at_flush_and_close_and_at_the_interpreters_end(path: Path) -> None:
    with ExecutionLogger(path, auto_flush=False) as logger:
        logger.log_tool_execution("f", True)
        assert path.read_text() == ""
        assert len([*logger.events()]) == 1
    script = (
        "import sys; from tau2_enhanced.logging import ExecutionLogger\n"
        "ExecutionLogger(sys.argv[1], auto_flush=False).log_tool_execution('g', True)\n"
        "keep = ExecutionLogger(sys.argv[1], auto_flush=False); keep.log_tool_execution('h', True)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert [event.tool_name for event in read_events(path) if isinstance(event, ToolExecutionEvent)] == ["f", "g", "h"]
    assert verify(path).state is State.INTACT


def test_a_closed_logger_says_so_and_closing_twice_is_harmless(path: Path) -> None:
    logger = ExecutionLogger(path)
    logger.close()
    logger.close()
    logger.flush()
    with pytest.raises(ValueError, match="closed"):
        logger.log_tool_execution("f", True)
    assert logger.get_statistics()["total_events"] == 0


def test_redaction_reaches_arguments_results_errors_and_diffs(path: Path) -> None:
    user = {"dob": "1990-04-05", "address": {"city": "Austin"}, "email": "mia@example.com"}
    with ExecutionLogger(path, redact=True) as logger:
        event = logger.log_tool_execution("get_user", True, 0.1, {"address": "1 Elm Street", "user": user}, user)
        logger.log_tool_execution("get_user", False, 0.1, error=ValueError("no user mia@example.com"))
        change = logger.log_state_change(
            "move", {"users": {"mia": user}}, {"users": {"mia": user | {"dob": "1991-04-05"}}}
        )
        given = ToolExecutionEvent(tool_name="f", tool_args={"password": "hunter2"}, result_preview="dob='1990-04-05'")
        logger.log_event(given)
    text = path.read_text()
    for secret in ("1990-", "1991-", "Austin", "mia@example", "Elm", "hunter2"):
        assert secret not in text
    assert event.sensitive_args == {
        "address": ["/address", "/user/address/city"],
        "birth_date": ["/user/dob"],
        "email": ["/user/email"],
    }
    assert event.args_types == {"address": "str", "user": "dict"}
    assert change.change_summary == "users/mia/dob: [birth_date] → [birth_date]"
    assert given.tool_args == {"password": "hunter2"}


def test_without_redaction_data_is_kept_but_the_processs_own_secrets_never(path: Path) -> None:
    protect('pa"ss\\word-of-the-process')
    protect("87654321")
    with ExecutionLogger(path, console_output=False) as logger:
        logger.log_tool_execution(
            "f", True, 0.1, {"email": "mia@example.com", "x": 'pa"ss\\word-of-the-process', "n": 87654321}
        )
    [line, _] = written(path)
    assert line["tool_args"]["email"] == "mia@example.com"
    assert line["tool_args"]["x"] == "[redacted]"
    assert verify(path).state is State.INTACT


@pytest.mark.parametrize("in_file", [True, False])
def test_the_processs_own_secrets_are_neither_written_nor_kept_nor_exported(
    path: Path, tmp_path: Path, in_file: bool
) -> None:
    secret = f"Kept-{secrets.token_hex(40)}"
    protect(secret)
    free = {"name": secret, "status": {"deep": secret}, "x": [f"key\nsk-{secret}"], "type": secret}
    logger = ExecutionLogger(path if in_file else None)
    logger.log_tool_execution("t", True, 0.1, free, "x" * 180 + secret, task="7")
    logger.log_tool_execution(secret, False, 0.1, error=ValueError(f"no {secret}"), extra=free)
    logger.log_state_change("t", {"a": {"token": "old"}}, {"a": {"token": secret}})
    exports = [tmp_path / "o.json", tmp_path / "o.csv", tmp_path / "o.parquet"]
    for export in exports:
        logger.export(export)
    logger.close()
    said = repr((logger.recent, logger.get_statistics(), pl.read_parquet(exports[2]).to_dicts()))
    said += "".join(file.read_text() for file in [*exports[:2], *([path] if in_file else [])])
    assert secret[:12] not in said
    assert said.count("[redacted]") > 9
    assert logger.recent[0].task == "7"
    assert free["name"] == secret


def test_a_secret_by_its_form_is_found_after_an_escaped_end_of_line(path: Path) -> None:
    with ExecutionLogger(path) as logger:
        logger.log_tool_execution("f", True, 0.1, {"text": "key:\nsk-abcDEF1234567890", "more": ["\tBearer abcdef123"]})
    assert written(path)[0]["tool_args"] == {"text": "key:\n[redacted]", "more": ["\tBearer [redacted]"]}


def test_console_output_shows_each_events_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ExecutionLogger(console_output=True) as logger:
        logger.log_tool_execution("search_flights", True, 0.5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "type=tool_execution tool_name=search_flights" in shown.err
    assert "execution_time=0.5" in shown.err


def test_exports_hold_all_events(path: Path, tmp_path: Path) -> None:
    with ExecutionLogger(path) as logger:
        logger.log_tool_execution("a", True, 0.5, {"x": [1]}, {"r": 1}, task="1")
        logger.log_state_change("a", {"x": 1}, {"x": 2})
        for name in ("out.json", "out.csv", "out.parquet"):
            logger.export(tmp_path / "exports" / name)
        with pytest.raises(ValueError, match=r"\.json, \.csv or \.parquet"):
            logger.export(tmp_path / "out.xlsx")
    document = json.loads((tmp_path / "exports" / "out.json").read_text())
    assert [event["type"] for event in document["execution_events"]] == ["tool_execution", "state_change"]
    assert document["summary"]["total_events"] == 2
    rows = list(csv.DictReader((tmp_path / "exports" / "out.csv").open()))
    assert (rows[0]["tool_name"], rows[0]["tool_args"], rows[1]["tool_name"]) == ("a", '{"x":[1]}', "")
    frame = pl.read_parquet(tmp_path / "exports" / "out.parquet")
    assert frame["execution_time"].to_list() == [0.5, None]
    assert frame.schema["timestamp"] == pl.Datetime("ms")
    assert sorted(file.name for file in (tmp_path / "exports").iterdir()) == ["out.csv", "out.json", "out.parquet"]


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("redact", [True, False])
def test_half_characters_are_written_wherever_texts_are(
    path: Path, tmp_path: Path, in_file: bool, redact: bool
) -> None:
    half = "a\ud800b\udc00ä"
    with ExecutionLogger(path if in_file else None, redact=redact, console_output=True) as logger:
        logger.log_tool_execution(half, True, 0.1, {half: [half]}, {half: half}, task=half, extra={half: half})
        logger.log_tool_execution(half, False, error=ValueError(half))
        logger.log_state_change(half, {half: half}, {half: half + "c"})
        for name in ("out.json", "out.csv", "out.parquet"):
            logger.export(tmp_path / name)
        assert [event.task for event in logger.events()] == [half, None, None]
    assert json.loads((tmp_path / "out.json").read_text())["execution_events"][0]["tool_args"] == {half: [half]}
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame["tool_args"][0] == r'{"a\ud800b\udc00ä":["a\ud800b\udc00ä"]}'
    assert frame["task"].to_list() == [r"a\ud800b\udc00ä", None, None]


def test_an_export_of_nothing_is_a_file_of_nothing(tmp_path: Path) -> None:
    logger = ExecutionLogger()
    for name in ("out.json", "out.csv", "out.parquet"):
        logger.export(tmp_path / name)
    assert json.loads((tmp_path / "out.json").read_text())["execution_events"] == []
    assert pl.read_parquet(tmp_path / "out.parquet").height == 0


def test_a_custom_event_is_read_back_and_by_those_who_do_not_know_it_with_its_fields(path: Path) -> None:
    before = dict(EVENT_TYPES)
    try:

        @dataclass
        class SurveyEvent(ExecutionEvent):
            answers: list[int] | None = None

        with ExecutionLogger(path) as logger:
            logger.log_event(SurveyEvent(answers=[1, 2]))
            [known] = logger.events(SurveyEvent)
            assert isinstance(known, SurveyEvent)
            assert known.answers == [1, 2]
    finally:
        EVENT_TYPES.clear()
        EVENT_TYPES.update(before)
    [unknown] = read_events(path)
    assert isinstance(unknown, UnknownEvent)
    assert (unknown.type, unknown.extra) == ("survey", {"answers": [1, 2]})


@pytest.mark.parametrize(
    "fields",
    [
        *({"task": 5}, {"trial": "0"}, {"trial": True}, {"step": 1.5}, {"sim": b"s"}, {"state_changed": 1}),
        *({"requestor": ["user"]}, {"extra": {"error_type": 5}}),
    ],
    ids=str,
)
def test_a_field_of_a_wrong_kind_is_the_callers_mistake_and_nothing_is_written(
    path: Path, fields: dict[str, Any]
) -> None:
    with ExecutionLogger(path) as logger:
        with pytest.raises(TypeError, match=next(iter(fields.get("extra", fields)))):
            logger.log_event(ToolExecutionEvent(tool_name="f", **fields))
        with pytest.raises(TypeError, match="task must be str, not int"), task_context(task=5):
            logger.log_tool_execution("f", True)
        assert path.read_bytes() == b""
        logger.log_tool_execution("g", True)
        assert [event.type for event in logger.events()] == ["tool_execution"]
        assert logger.get_statistics()["total_events"] == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_left_out(path: Path, number: float) -> None:
    with ExecutionLogger(path) as logger:
        logger.log_tool_execution("f", True, number, {"n": number})
        logger.log_event(ToolExecutionEvent(tool_name="f", extra={"x": number, "execution_time": number}))
        assert len([*logger.events()]) == 2
        assert logger.get_statistics()["tool_calls"]["execution_time"]["count"] == 0
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
        assert "execution_time" not in json.loads(line)


@pytest.mark.parametrize("redact", [True, False])
def test_values_that_hold_themselves_or_are_nested_deep_are_cut_and_logged(path: Path, redact: bool) -> None:
    loop: dict[str, Any] = {"text": "x"}
    loop["self"] = [loop, loop]
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    texts = ["[" * depth + "]" * depth for depth in (100, 500, 900, 5000)]
    with ExecutionLogger(path, redact=redact) as logger:
        logger.log_tool_execution("f", True, 0.1, {"loop": loop, "deep": deep, "texts": texts}, deep, extra=loop)
        logger.log_tool_execution("f", True, 0.1, loop, loop)
        logger.log_state_change("f", loop, {"deep": deep})
        logger.log_event(ToolExecutionEvent(tool_args={"loop": loop}))
        assert len([*logger.events()]) == 4
    assert "…" in path.read_text()


def test_a_broken_line_is_an_error_that_names_it_and_a_cut_end_is_none(path: Path) -> None:
    with ExecutionLogger(path) as logger:
        logger.log_tool_execution("f", True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert len([*read_events(path)]) == 1
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(BrokenLine, match="line 1"):
        [*read_events(path)]


def test_it_needs_nothing_else_of_the_project() -> None:
    script = (
        "import sys; from tau2_enhanced.logging import ExecutionLogger, StateTracker\n"
        "with ExecutionLogger('x.jsonl') as logger: logger.log_tool_execution('f', True, 0.5, {'a': 1}, {})\n"
        "heavy = {'tau2', 'litellm', 'polars', 'pandas', 'rich', 'matplotlib', 'detect_secrets', 'loguru'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "ours = [name.split('.')[1] for name in sys.modules if name.startswith('tau2_enhanced.')]\n"
        "print(sorted(set(ours)))"
    )
    folder = Path(__file__).parent.parent.parent
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True, cwd="/tmp"
    )
    # `arming` and `tau2_source` are what the package itself imports
    assert done.stdout.split("\n")[:2] == ["[]", "['arming', 'logging', 'tau2_source']"]


def test_importing_the_logging_loads_no_logger_of_executions() -> None:
    script = "import sys, tau2_enhanced.logging; print('tau2_enhanced.logging.execution_logger' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_unknown_name_of_the_package_is_an_ordinary_error() -> None:
    import tau2_enhanced.logging as package

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018  # the access is the test
