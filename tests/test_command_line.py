"""What all command lines share: mistakes and interruptions are one line, and no secret stands there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support import CHECKOUT

from tau2_enhanced import cli
from tau2_enhanced.analysis import main as analysis
from tau2_enhanced.command_line import exit_code
from tau2_enhanced.errors import Tau2EnhancedError

SECRET = "envkey-0123456789-never-seen"


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("analyze_timing_from_tau2_log.py", ["--log_file", "eval.log"]),
        ("analyze_timing_from_tau2_log.py", ["--compare", "eval.log", "b.log"]),
        ("tau2-enhanced analyze", ["eval.log"]),
        ("tau2-enhanced report", ["eval.log"]),
        ("tau2-enhanced compare", ["eval.log", "b.log"]),
        ("tau2-enhanced show", ["--from", "eval.log"]),
        ("tau2-enhanced verify", ["eval.log"]),
    ],
)
def test_an_interrupted_analysis_ends_in_one_line(tmp_path: Path, program: str, arguments: list[str]) -> None:
    os.mkfifo(tmp_path / "eval.log")
    script, *command = program.split()
    process = subprocess.Popen(
        [sys.executable, str(CHECKOUT / script), *command, *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # opened only once the process reads; what it then waits for is written after the signal, if it is still there
    with suppress(BrokenPipeError), (tmp_path / "eval.log").open("w") as log:
        process.send_signal(signal.SIGINT)
        log.write("a line\n")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", f"{program}: interrupted\n")


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("analyze_timing_from_tau2_log.py", ["--log_file", "README.md"]),
        ("run_local.py", ["--domains", "mock", "--dry-run"]),
        ("tau2-enhanced", ["serve"]),
        ("tau2-enhanced", ["show", "--from", "README.md"]),
    ],
)
def test_a_python_without_the_dependencies_is_told_in_one_line(script: str, arguments: list[str]) -> None:
    # without its site-packages
    command = [sys.executable, "-E", "-S", str(CHECKOUT / script), *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert ": No module named '" in done.stderr
    assert f"(in {sys.executable}): activate the environment" in done.stderr


def test_a_reader_who_leaves_early_is_told_nothing_more() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(CHECKOUT / "tau2-enhanced"), "--help"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_no_secret_stands_in_a_mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert cli.main(["verify", SECRET]) == 2
    assert cli.main([SECRET]) == 2
    assert analysis.main(["--log_file", SECRET]) == 2
    with pytest.raises(SystemExit, match="2"):
        analysis.main(["--export", SECRET])
    with pytest.raises(SystemExit, match="2"):
        cli.main(["serve", "--port", SECRET])
    said = capsys.readouterr().err
    assert SECRET not in said
    assert said.count("[redacted]") == said.count("\n") == 5


def test_values_of_unknown_flags_are_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for main in (lambda flags: cli.main(["status", *flags]), analysis.main):
        with pytest.raises(SystemExit, match="2"):
            main(["--api-key=hush", "--key", "R", "hush"])
        assert capsys.readouterr().err.endswith(": unrecognized arguments: --api-key --key (see --help)\n")


def test_any_other_error_of_ours_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise Tau2EnhancedError("the server has gone")

    assert exit_code("program", work) == 1
    assert capsys.readouterr() == ("", "program: the server has gone\n")
