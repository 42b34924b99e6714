"""The document's own workflows, as they stand there, on files that a run wrote."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tau2_enhanced.logging import configure_logging, emit, get_logger, in_context, task_context
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExpertCallEvent,
    LLMCallEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    UserSimEvent,
)

AVERAGE_LLM = r"""
grep "type=llm_call" eval.log | grep -oP "duration_ms=\d+\.\d+" | cut -d= -f2 | awk '{s+=$1} END {print s/NR}'
"""
AVERAGE_TOOL = r"""
grep "type=tool_call" eval.log | grep -oP "duration_ms=\d+\.\d+" | cut -d= -f2 | awk '{s+=$1} END {print s/NR}'
"""

pytestmark = pytest.mark.skipif(shutil.which("awk") is None, reason="the document's commands need awk")


def shell(command: str, folder: Path) -> str:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()


@pytest.fixture
def evaluated(tmp_path: Path) -> Path:
    """A folder with `eval.log`: four threads, model calls of 100 to 400 ms, tool calls of 4 to 7 µs, and the rest."""

    def work(number: int) -> None:
        with task_context(run="r", domain="retail", task=f"{number} of=4"):
            for step in range(25):
                emit(LLMCallEvent(model="m 1", duration_ms=100 * (number + 1), retry_wait_ms=5000.0, ttft_ms=7.0))
                emit(ToolCallEvent(function="get", duration_ms=0.004 + number / 1000, error=False))
                emit(ExpertCallEvent(model="gpt-5", duration_ms=99999.0))
                emit(UserSimEvent(model="gpt-5", duration_ms=77777.0))
                emit(EvaluatorEvent(model="gpt-5", duration_ms=66666.0))
                emit(StepCompleteEvent(total_duration_ms=88888.0, from_role="agent", to_role="env", step=step))
                get_logger("scenario").info("type=llm_call duration_ms=123456.0 said a message")
            emit(TaskCompleteEvent(reward=1.0, duration_ms=55555.0))

    with configure_logging(["retail"], run_id="r", log_dir=tmp_path) as session, ThreadPoolExecutor(4) as pool:
        list(pool.map(in_context(work), range(4)))
    shutil.copy(session.event_logs[0], tmp_path / "eval.log")
    return tmp_path


def test_scenario_a_gives_the_average_model_latency(evaluated: Path) -> None:
    assert float(shell(AVERAGE_LLM, evaluated)) == 250.0


def test_scenario_a_gives_the_average_tool_latency_of_microseconds(evaluated: Path) -> None:
    assert float(shell(AVERAGE_TOOL, evaluated)) == pytest.approx(0.0055)


def test_scenario_a_finds_each_call_once(evaluated: Path) -> None:
    count = r'grep "type={}" eval.log | grep -oP "duration_ms=\d+\.\d+" | wc -l'
    for name in ("llm_call", "tool_call", "expert_call", "step_complete", "user_sim", "evaluator"):
        assert int(shell(count.format(name), evaluated)) == 100


def test_scenario_b_shows_the_last_step_of_each_task(evaluated: Path) -> None:
    last = shell("grep 'type=step_complete' tau2_retail.log | grep 'task=\"2 of=4\"' | tail -n 1", evaluated)
    assert " step=24 " in last


def test_scenario_c_finds_the_traceback_of_a_tools_error(tmp_path: Path) -> None:
    with (
        configure_logging(["retail"], run_id="r", level="DEBUG", log_dir=tmp_path),
        task_context(domain="retail", task="12"),
    ):
        try:
            {}["order"]
        except KeyError:
            get_logger("scenario").debug("get_order failed", exc_info=True)
    found = shell("grep -B1 -A9 Traceback tau2_retail.log", tmp_path)
    assert "task=12" in found
    assert "KeyError: 'order'" in found
