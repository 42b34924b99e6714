from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support import RunLocal

from tau2_enhanced.analysis.main import main


def test_the_documents_pipelines_and_the_script_agree(run_local: RunLocal) -> None:
    run_local("--domains", "mock")
    assert main(["--log_file", "logs/eval_mock.log", "--output_dir", "results"]) == 0
    series = json.loads(Path("results/summary.json").read_text())["series"]
    for kind in ("llm_call", "tool_call"):
        pipeline = (
            f'grep "type={kind}" logs/eval_mock.log | grep -oP "duration_ms=\\d+\\.\\d+" | cut -d= -f2'
            " | awk '{s+=$1; n++} END {printf \"%d %.6f\", n, s}'"
        )
        n, total = subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, check=True).stdout.split()
        rows = [row for row in series if row["type"] == kind]
        assert sum(row["n"] for row in rows) == int(n) > 0
        assert sum(row["total_ms"] for row in rows) == pytest.approx(float(total), abs=1e-3)


def test_broken_lines_are_counted_and_shown(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    log = Path("logs/eval_mock.log")
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines, "not an event", lines[3] + lines[4]]) + "\n")
    assert main(["--log_file", str(log), "--output_dir", "results"]) == 0
    assert json.loads(Path("results/summary.json").read_text())["broken_lines"] == 1
    assert f"{log}:{len(lines) + 2}:" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read"), ("", "run with --log-level PROFILE")])
def test_a_log_without_timing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    log = tmp_path / "eval.log"
    if content is not None:
        log.write_text(content)
    assert main(["--log_file", str(log), "--output_dir", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
