from __future__ import annotations

import subprocess
import sys

import pytest
from support import CHECKOUT

from tau2_enhanced import cli


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
