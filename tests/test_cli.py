from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import CHECKOUT

from tau2_enhanced import cli
from tau2_enhanced.logging import ExecutionLogger


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
