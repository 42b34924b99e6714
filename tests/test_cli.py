from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT

from tau2_enhanced import cli
from tau2_enhanced.logging import ExecutionLogger
from tau2_enhanced.logging.events import TaskCompleteEvent, to_json


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name}" in shown for name in cli.COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_no_command_and_an_unknown_one_are_mistakes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out or shown.err.count("\n") == 1


def test_the_script_of_the_checkout_runs_and_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(CHECKOUT / "tau2-enhanced"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert not any(f" {name}\n" in done.stderr for name in ("rich", "polars", "tau2", "openai", "matplotlib"))


def test_verify_tells_true_files_from_changed_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.jsonl"
    with ExecutionLogger(log_file=str(path)) as logger:
        for number in range(3):
            logger.log_tool_execution(tool_name=f"tool_{number}", success=True, execution_time=0.5)
    assert cli.main(["verify", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: intact")
    path.write_text(path.read_text().replace("tool_1", "tool_9", 1))
    assert cli.main(["verify", "--json", str(path)]) == 1
    assert json.loads(capsys.readouterr().out)["state"] == "changed"
    assert cli.main(["verify", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_verify_says_that_a_file_holds_no_chain_and_which_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, lines = tmp_path / "enhanced_logs.json", tmp_path / "enhanced_logs.jsonl"
    document.write_text('{"execution_events": []}')
    assert cli.main(["verify", str(document)]) == 2
    assert capsys.readouterr() == ("", f"tau2-enhanced verify: {document} holds no chained events\n")
    ExecutionLogger(log_file=lines).close()
    assert cli.main(["verify", str(document)]) == 2
    assert capsys.readouterr().err == f"tau2-enhanced verify: {document} holds no chained events: {lines} does\n"


def test_compare_finds_runs_by_their_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, run in (("A", "a1"), ("B", "b1")):
        at: dict[str, Any] = {"run": name, "sim": run, "domain": "mock", "task": "1", "trial": 0, "start_ms": 0.0}
        ended = TaskCompleteEvent(**at, timestamp=datetime(2026, 3, 14), duration_ms=2000.0, reward=1.0)
        Path("outputs", name).mkdir(parents=True)
        Path("outputs", name, "events.jsonl").write_text(to_json(ended) + "\n")
    assert cli.main(["compare", "A", "after=B", "--json"]) == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["A", "after"]
    assert not Path("analysis_results").exists()
    assert cli.main(["compare", "A", "outputs/B", "--no-figures", "--domain", "mock"]) == 0
    assert "B against A" in capsys.readouterr().out
    assert Path("analysis_results/compare.json").exists()
    for mistake in (["A"], ["A", "C"]):
        assert cli.main(["compare", *mistake]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_whoever_reads_the_output_may_stop(tmp_path: Path) -> None:
    record = {
        "domain": "mock", "task": "1", "trial": 0, "sim": "a", "reward": 1.0, "error_type": None,
        "termination_reason": "user_stop", "duration_ms": 1.0, "used": {}, "simulation": {"messages": []},
    }  # fmt: skip
    path = tmp_path / "record.jsonl"
    path.write_text("".join(json.dumps(record | {"trial": trial}) + "\n" for trial in range(3000)))
    command = [sys.executable, str(CHECKOUT / "tau2-enhanced"), "show", "--from", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
