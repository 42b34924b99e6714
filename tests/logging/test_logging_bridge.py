from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loguru import logger

from tau2_enhanced.logging import LEVELS, configure_logging, task_context


def lines_of(tmp_path: Path) -> list[str]:
    return (tmp_path / "tau2_retail.log").read_text(encoding="utf-8").splitlines()


def test_a_loguru_message_arrives_with_task_and_level(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path), task_context(domain="retail", task="12", step=3):
        logger.info("state is {}", "done")
        logger.warning("100% of {braces} and %s")
    first, second = lines_of(tmp_path)
    assert first.startswith("[INFO] ")
    assert first.endswith(" task=12 thread=MainThread domain=retail step=3 | state is done")
    assert second.startswith("[WARNING] ")
    assert second.endswith(" | 100% of {braces} and %s")
    assert (tmp_path / "eval_retail.log").read_bytes() == b""
    assert capfd.readouterr() == ("", "")


def test_loguru_messages_below_the_chosen_level_are_left_out(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", level="INFO", log_dir=tmp_path):
        logger.trace("no")
        logger.debug("no")
        logger.info("yes")
    assert [line.split()[-1] for line in lines_of(tmp_path)] == ["yes"]


@pytest.mark.parametrize("method", ["debug", "info", "success", "warning", "error"])
def test_a_loguru_level_becomes_one_of_the_documents(tmp_path: Path, method: str) -> None:
    with configure_logging(["retail"], run_id="r", level="DEBUG", log_dir=tmp_path):
        getattr(logger, method)("text")
    [line] = lines_of(tmp_path)
    assert line[1:].partition("]")[0] in LEVELS


def test_a_loguru_exception_brings_its_traceback(tmp_path: Path) -> None:
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
        try:
            raise KeyError("order")
        except KeyError:
            logger.exception("tool failed")
    first, *rest = lines_of(tmp_path)
    assert first.startswith("[ERROR] ")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    KeyError: 'order'"


def test_tau2s_loguru_messages_stay_off_the_screen_and_others_do_not(tmp_path: Path) -> None:
    shown: list[str] = []
    with configure_logging(["retail"], run_id="r", log_dir=tmp_path, console=lambda _, line: shown.append(line)):
        code = "def say(logger, text): logger.error(text)"
        names = [{"__name__": name} for name in ("tau2.orchestrator", "elsewhere")]
        for names_of_module in names:
            exec(code, names_of_module)  # loguru takes a message's origin from the calling module's name
            names_of_module["say"](logger, names_of_module["__name__"])
    assert [line.split()[-1] for line in shown] == ["elsewhere"]
    assert [line.split()[-1] for line in lines_of(tmp_path)] == ["tau2.orchestrator", "elsewhere"]


def test_loguru_messages_of_many_threads_have_their_own_tasks(tmp_path: Path) -> None:
    def work(number: int) -> None:
        with task_context(domain="retail", task=str(number)):
            for _ in range(50):
                logger.info("of {}", number)

    with configure_logging(["retail"], run_id="r", log_dir=tmp_path), ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    lines = lines_of(tmp_path)
    assert len(lines) == 200
    assert all(f" task={line.split()[-1]} " in line for line in lines)


def test_a_second_run_in_one_process_does_not_double_loguru(tmp_path: Path) -> None:
    for _ in range(2):
        with configure_logging(["retail"], run_id="r", log_dir=tmp_path):
            logger.info("once")
    assert len(lines_of(tmp_path)) == 2
