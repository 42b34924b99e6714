"""Turning a run's logging on and off, what is shown on the screen, and that no secret gets out."""

from __future__ import annotations

import ast
import logging
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tau2_enhanced.logging import configure_logging, emit, get_logger, task_context
from tau2_enhanced.logging.events import LLMCallEvent, RunStartEvent, ToolCallEvent, parse_line
from tau2_enhanced.logging.redaction import protect

CHECKOUT = Path(__file__).parents[2]
log = get_logger("test_logging_config")


class Screen:
    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []

    def __call__(self, record: logging.LogRecord, line: str) -> None:
        self.shown.append((record.levelname, line))

    @property
    def last_words(self) -> list[str]:
        return [line.split()[-1] for _, line in self.shown]


def written(folder: Path) -> str:
    """Everything in all log files of a folder and below it."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.log")))


def log_at_all_levels(logger: logging.Logger) -> None:
    for name in ("debug", "profile", "user_judge", "info", "warning", "error"):
        getattr(logger, name)(name)


def test_the_session_names_its_files(tmp_path: Path) -> None:
    with configure_logging(["retail", "airline"], run_id="r", log_dir=str(tmp_path)) as session:
        assert session.folder == tmp_path
        assert session.event_logs == [tmp_path / "eval_retail.log", tmp_path / "eval_airline.log"]
        assert session.full_logs == [tmp_path / "tau2_retail.log", tmp_path / "tau2_airline.log"]
        assert all(path.exists() for path in session.event_logs + session.full_logs)


def test_an_event_that_nobody_uses_is_no_hindrance(tmp_path: Path) -> None:
    code = f"""
from dataclasses import dataclass
from tau2_enhanced.logging import configure_logging, emit
from tau2_enhanced.logging.events import ExecutionEvent, TaskStartEvent

@dataclass
class NeverUsedEvent(ExecutionEvent):
    price: "Nowhere" = None

with configure_logging(["mock"], run_id="r", log_dir={str(tmp_path)!r}):
    emit(TaskStartEvent(seed=7))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CHECKOUT)
    assert "seed=7" in written(tmp_path)


def test_domains_may_be_any_iterable(tmp_path: Path) -> None:
    with configure_logging((name for name in ("retail", "mock")), run_id="r", log_dir=tmp_path) as session:
        assert session.domains == ("retail", "mock")
    assert (tmp_path / "tau2_mock.log").exists()


def test_close_restores_the_root_logger_and_is_harmless_twice(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    session = configure_logging(["retail"], run_id="r", level="DEBUG", log_dir=tmp_path)
    assert (list(root.handlers), root.level) != before
    session.close()
    assert (list(root.handlers), root.level) == before
    session.close()
    assert (list(root.handlers), root.level) == before


def test_close_gives_the_folder_back(tmp_path: Path) -> None:
    first = configure_logging(["retail"], run_id="first", log_dir=tmp_path)
    first.close()
    with configure_logging(["retail"], run_id="second", log_dir=tmp_path) as second:
        assert second.folder == first.folder == tmp_path


def test_the_session_is_closed_when_its_block_raises(tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)

    def fail() -> None:
        with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
            log.warning("before")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert logging.getLogger().handlers == handlers
    assert "before" in written(tmp_path)


def test_close_ends_the_writers_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        assert set(threading.enumerate()) - before
    assert not set(threading.enumerate()) - before


def test_after_close_nothing_is_written_and_nobody_fails(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path) as session:
        pass
    log.error("late")
    emit(RunStartEvent(run="r"))
    session.flush()
    assert written(tmp_path) == ""


def test_the_screen_shows_warnings_and_above_unless_told(tmp_path: Path) -> None:
    screen = Screen()
    with configure_logging(["retail"], run_id="r", level="DEBUG", log_dir=tmp_path, console=screen):
        log_at_all_levels(log)
    assert [level for level, _ in screen.shown] == ["WARNING", "ERROR"]


@pytest.mark.parametrize(
    ("console_level", "shown"),
    [
        ("DEBUG", ["debug", "profile", "user_judge", "info", "warning", "error"]),
        ("error", ["error"]),
        (30, ["warning", "error"]),
    ],
)
def test_the_screen_has_a_level_of_its_own(tmp_path: Path, console_level: int | str, shown: list[str]) -> None:
    screen = Screen()
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=screen, console_level=console_level):
        log_at_all_levels(log)
    assert screen.last_words == shown
    assert "[DEBUG]" not in (tmp_path / "tau2_retail.log").read_text(encoding="utf-8")


def test_the_screen_gets_the_line_that_is_in_the_file(tmp_path: Path) -> None:
    screen = Screen()
    with (
        configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=screen, console_level="PROFILE"),
        task_context(domain="retail", task="12"),
    ):
        log.warning("one\ntwo")
        emit(ToolCallEvent(function="f", duration_ms=0.5))
    assert "".join(f"{line}\n" for _, line in screen.shown) == (tmp_path / "tau2_retail.log").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    "name", ["tau2", "tau2.orchestrator.orchestrator", "LiteLLM", "LiteLLM Router", "LiteLLM Proxy"]
)
def test_the_libraries_records_are_in_the_file_and_never_on_the_screen(tmp_path: Path, name: str) -> None:
    screen = Screen()
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=screen, console_level="DEBUG"):
        logging.getLogger(name).error("oops")
        log.error("ours")
    assert screen.last_words == ["ours"]
    assert "oops" in written(tmp_path)


def test_our_own_loggers_are_not_taken_for_tau2s(tmp_path: Path) -> None:
    screen = Screen()
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=screen):
        get_logger("tau2_enhanced.runner").error("ours")
    assert screen.last_words == ["ours"]


@pytest.mark.parametrize("name", ["LiteLLM", "LiteLLM Router", "LiteLLM Proxy"])
def test_litellms_own_handlers_no_longer_write_to_the_screen(tmp_path: Path, name: str) -> None:
    library = logging.getLogger(name)
    heard: list[str] = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    library.addHandler(Own())
    library.propagate = False
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        library.warning("oops")
    assert heard == []
    assert "oops" in written(tmp_path)


@pytest.mark.parametrize("name", ["httpx", "httpcore", "openai", "urllib3"])
def test_clients_chatter_below_warning_is_left_out(tmp_path: Path, name: str) -> None:
    with configure_logging(["retail"], run_id="r", level="DEBUG", log_dir=tmp_path):
        logging.getLogger(name).info("HTTP Request: POST")
        logging.getLogger(name).warning("retrying")
    assert "HTTP Request" not in written(tmp_path)
    assert "retrying" in written(tmp_path)


def test_a_screen_that_fails_does_not_end_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(record: logging.LogRecord, line: str) -> None:
        raise RuntimeError("no screen")

    with configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=broken):
        log.error("first")
        log.error("second")
    assert [line.split()[-1] for line in written(tmp_path).splitlines()] == ["first", "second"]
    assert "no screen" in capsys.readouterr().err


def raise_with(secret: str) -> None:
    def call(key: str) -> None:
        raise ConnectionError(f"401 for {key}")

    try:
        call(secret)
    except ConnectionError as error:
        raise ValueError("wrapped") from error


@pytest.mark.parametrize("inner", ["", '"\\', " ", "ä", "\n", "%/+", '"ä'])
def test_no_secret_reaches_a_file_or_the_screen(tmp_path: Path, inner: str) -> None:
    head, tail = secrets.token_hex(8), secrets.token_hex(8)
    secret = f"q{head}{inner}{tail}"
    protect(secret)
    screen = Screen()
    with (
        configure_logging(
            ["retail"], run_id="r", level="DEBUG", log_dir=tmp_path, console=screen, console_level="DEBUG"
        ),
        task_context(domain="retail", task="12"),
    ):
        log.warning("message with %s", secret)
        log.warning(f"header {secret} and more")
        emit(LLMCallEvent(model=secret, error_type=f"Error({secret})", extra={"why": f"key {secret}"}))
        try:
            raise_with(secret)
        except ValueError:
            log.exception("failed")
    for text in (written(tmp_path), "\n".join(line for _, line in screen.shown)):
        assert head not in text
        assert tail not in text
        assert text.count("[redacted]") >= 6
    events = [parse_line(line) for line in (tmp_path / "eval_retail.log").read_text(encoding="utf-8").splitlines()]
    assert [event.extra["why"] for event in events if event is not None] == ["key [redacted]"]


def test_the_environments_secrets_are_known_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("TAU2_TEST_API_KEY", secret)
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        log.error("key %s refused", secret)
    assert written(tmp_path).endswith("key [redacted] refused\n")


def test_a_multi_line_private_key_is_scrubbed_from_an_indented_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [secrets.token_hex(20) for _ in range(3)]
    monkeypatch.setenv("TAU2_TEST_PRIVATE_KEY", "\n".join(["-----BEGIN KEY-----", *rows, "-----END KEY-----"]))
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        log.error("using %s here", os.environ["TAU2_TEST_PRIVATE_KEY"])
    assert not [row for row in rows if row in written(tmp_path)]


@pytest.mark.parametrize(
    ("text", "leak"),
    [
        ("Incorrect API key provided: sk-abcDEF1234567890", "abcDEF1234567890"),
        ("Authorization: Bearer abcdef.ghijkl", "abcdef"),
        ("POST http://user:pa55w0rd@host/v1 failed", "pa55w0rd"),
    ],
)
def test_a_providers_error_text_gives_no_unknown_key_away(tmp_path: Path, text: str, leak: str) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        log.error(text)
        emit(LLMCallEvent(model="m", error_type=text))
        try:
            raise ConnectionError(text)
        except ConnectionError:
            log.exception("failed")
    assert leak not in written(tmp_path)
    assert written(tmp_path).count("[redacted]") >= 3


FACE = """
import sys
from logging_config import *
from logging_config import __all__
assert {"configure_logging", "task_context", "PROFILE", "USER_JUDGE", "emit", "get_logger"} <= set(__all__)
with configure_logging(["retail"], run_id="mine", level="PROFILE", log_dir=sys.argv[1]), \\
        task_context(domain="retail", task="12"):
    get_logger(__name__).profile(ToolCallEvent(function="get_order", duration_ms=0.8))
    get_logger(__name__).user_judge(UserSimEvent(model="gpt-5", duration_ms=1.5))
    emit(LLMCallEvent(model="gpt-4.1", duration_ms=812.3))
    assert "litellm" not in sys.modules and "tau2" not in sys.modules
"""


def test_the_public_face_is_enough_to_log(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", FACE, str(tmp_path)], cwd=tmp_path, env=environment, check=True, timeout=30)
    lines = (tmp_path / "eval_retail.log").read_text(encoding="utf-8").splitlines()
    events = [parse_line(line) for line in lines]
    assert [event.type for event in events if event is not None] == ["tool_call", "user_sim", "llm_call"]
    assert [line.split()[0] for line in lines] == ["[PROFILE]", "[USER_JUDGE]", "[PROFILE]"]
    assert all(event is not None and event.task == "12" for event in events)


def test_the_example_of_the_public_face_does_what_it_shows(tmp_path: Path) -> None:
    text = ast.get_docstring(ast.parse((CHECKOUT / "logging_config.py").read_text(encoding="utf-8"))) or ""
    example = text.partition("\n\n")[2]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, env=environment, check=True, timeout=30)
    lines = (tmp_path / "logs" / "eval_retail.log").read_text(encoding="utf-8").splitlines()
    events = [event for line in lines if (event := parse_line(line)) is not None]
    assert [(event.type, event.task) for event in events] == [("tool_call", "12"), ("llm_call", "12")]
