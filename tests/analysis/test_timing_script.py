from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support import CHECKOUT, RunLocal

from tau2_enhanced.analysis.main import main


def summary() -> dict[str, Any]:
    return json.loads(Path("results/summary.json").read_text())


def analyse(*flags: str) -> int:
    return main([*flags, "--output_dir", "results"])


def test_the_documents_pipelines_and_the_script_agree(run_local: RunLocal) -> None:
    run_local("--domains", "mock")
    assert analyse("--log_file", "logs/eval_mock.log") == 0
    for kind in ("llm_call", "tool_call", "user_sim"):
        pipeline = (
            f'grep "type={kind}" logs/eval_mock.log | grep -oP "duration_ms=\\d+\\.\\d+" | cut -d= -f2'
            " | awk '{s+=$1; n++} END {printf \"%d %.6f\", n, s}'"
        )
        n, total = subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, check=True).stdout.split()
        rows = [row for row in summary()["durations"] if row["type"] == kind]
        assert sum(row["n"] for row in rows) == int(n) > 0
        assert sum(row["total_ms"] for row in rows) == pytest.approx(float(total), abs=1e-3)


def test_golden_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    head = "[PROFILE] 2026-03-14 09:26:53.589 task={task} thread=worker-1 type=llm_call model=m call_type=vllm"
    lines = [
        f"{head.format(task=task)} duration_ms={duration} input_tokens=100 output_tokens=10{more} attempts={attempts}"
        f" retry_wait_ms={(attempts - 1) * 500.0} run=r sim=s{task} domain=retail trial=0 step=0 start_ms=1.000"
        for task, duration, attempts, more in (
            (1, "100.000", 1, " cost_usd=0.5"),
            (2, "200.000", 2, " cost_usd=0.25"),
            (3, "300.000", 1, ""),
        )
    ]
    refused = f"{head.format(task=4)} duration_ms=7000.000 attempts=4 retry_wait_ms=9.000 error_type=http_500"
    Path("eval_retail.log").write_text("\n".join([*lines, f"{refused} run=r start_ms=1.000"]) + "\n")
    assert analyse("--log_file", "eval_retail.log") == 0
    (row,) = summary()["durations"]
    assert row == {
        "type": "llm_call",
        "measure": "duration",
        "name": "m",
        "n": 3,
        "errors": 1,
        "mean_ms": 200.0,
        "std_ms": 100.0,
        "min_ms": 100.0,
        "p50_ms": 200.0,
        "p90_ms": pytest.approx(280.0),
        "p95_ms": pytest.approx(290.0),
        "p99_ms": pytest.approx(298.0),
        "max_ms": 300.0,
        "total_ms": 600.0,
        # of three simulations, one of which waited 500 ms to try again, and a call of 7,000 ms without one
        "share": pytest.approx(600 / 8109),
    }
    (usage,) = summary()["usage"]
    assert (usage["calls"], usage["failed_calls"], usage["retries"]) == (4, 1, 4)
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost_usd"]) == (300, 30, None)
    assert usage["output_tokens_per_s"] == pytest.approx(30 / 0.6)
    assert analyse("--log_file", "eval_retail.log", "--task", "1", "2") == 0
    assert summary()["usage"][0]["cost_usd"] == 0.75
    assert summary()["durations"][0]["n"] == 2


def test_broken_lines_are_counted_and_shown(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    log = Path("logs/eval_mock.log")
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines, "not an event", lines[3] + lines[4]]) + "\n")
    assert analyse("--log_file", str(log)) == 0
    assert summary()["lines"]["broken"] == 1
    err = capsys.readouterr().err
    assert "not readable: " in err
    assert "1 lines could not be read" in err


def test_folders_patterns_and_gzipped_logs_are_read(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "2")
    log = Path("logs/eval_mock.log")
    assert analyse("--log-dir", "logs") == 0
    plain = summary()
    assert analyse("--log-file", "logs/eval_*.log", str(log)) == 0
    assert summary() == plain
    with gzip.open("logs/eval_mock.log.gz", "wb") as packed:
        packed.write(log.read_bytes())
    log.unlink()
    assert analyse("--log-dir", "logs") == 0
    assert summary() == plain


def test_a_line_still_being_written_is_left_for_later(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    log = Path("logs/eval_mock.log")
    whole = log.read_bytes()
    log.write_bytes(whole + whole.splitlines()[3][:90])
    assert analyse("--log_file", str(log)) == 0
    assert summary()["lines"]["broken"] == 0


def test_the_analysis_loads_neither_tau2_nor_the_runner(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "1")
    program = (
        "import sys\n"
        "from tau2_enhanced.analysis.main import main\n"
        "main(['--log_file', sys.argv[1], '--output_dir', sys.argv[2]])\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('tau2', 'litellm', 'pandas', 'openai')\n"
        "      or m.startswith('tau2_enhanced.runner') or m.startswith('tau2_enhanced.models')), file=sys.stderr)\n"
    )
    log, out = str(run.folder / "logs" / "eval_mock.log"), str(run.folder / "out")
    done = subprocess.run([sys.executable, "-c", program, log, out], capture_output=True, text=True, cwd=CHECKOUT)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read: No such file or directory"),
        ("", "no events in these logs: run with --log-level PROFILE"),
        ("INFO: a line of another program\n", "no events in these logs: run with --log-level PROFILE"),
        ("[INFO] 2026-03-14 09:26:53.589 thread=t type=run_start start_ms=1.000\n", "run with --log-level PROFILE"),
    ],
)
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


def test_results_without_simulations_are_one_line(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "1")
    (results,) = run.folder.glob("outputs/*/mock.json")
    results.write_text(json.dumps({**json.loads(results.read_text()), "simulations": []}))
    capsys.readouterr()
    assert analyse("--results", str(results)) == 2
    assert capsys.readouterr().err.endswith(": no simulations in these results\n")
    assert not Path("results").exists()


def test_an_output_folder_that_is_a_file_is_one_line(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    Path("results").write_text("mine")
    assert analyse("--log_file", "logs/eval_mock.log") == 2
    assert "results can't be written" in capsys.readouterr().err
    # said before anything is read
    assert main(["--compare", "no-a", "no-b", "--output_dir", "results/below/it"]) == 2
    said = capsys.readouterr().err
    assert "results/below/it can't be written" in said
    assert said.endswith("/results is no folder\n")
    assert Path("results").read_text() == "mine"


@pytest.mark.parametrize("flag", ["--log_file", "--log-dir", "--results", "--compare"])
def test_an_empty_name_is_not_the_folder_one_is_in(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        analyse(flag, "")
    assert ended.value.code == 2
    assert "name is empty" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_all_events_are_exported(run_local: RunLocal, form: str) -> None:
    run_local("--domains", "mock", "--num-tasks", "3")
    assert analyse("--log-dir", "logs", "--export", form, "--slo", "llm_call:60000", "--no-figures") == 0
    path = Path(f"results/events.{form}")
    frame = pl.read_parquet(path) if form == "parquet" else pl.read_csv(path, infer_schema_length=None)
    lines = Path("logs/eval_mock.log").read_text().splitlines()
    assert frame.height == len(lines)
    logged = sum(float(line.partition(" duration_ms=")[2].split()[0]) for line in lines if "type=llm_call" in line)
    assert frame.filter(type="llm_call")["duration_ms"].sum() == pytest.approx(logged)
    assert [row["share"] for row in summary()["goodput"]] == [1.0]


def test_a_limit_is_shown_as_it_was_given(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    assert analyse("--log-dir", "logs", "--no-figures", "--slo", "tool_call:0.1", "llm_call:1234567.5") == 0
    shown = capsys.readouterr().out.partition("goodput")[2]
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in shown.splitlines()[4:6]]
    assert cells == [["tool_call", "0.1"], ["llm_call", "1,234,567.5"]]


def test_events_are_chosen_by_type_and_time(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run_local("--domains", "mock", "--num-tasks", "3")
    log = Path("logs/eval_mock.log")
    assert analyse("--log_file", str(log), "--type", "tool_call", "llm_call", "--no-figures") == 0
    assert set(summary()["events"]) == {"tool_call", "llm_call"}
    # calls alone do not tell where the rest of the time went
    assert (summary()["wall_time"], summary()["critical_path"]) == (None, None)
    assert {row["share"] for row in summary()["durations"]} == {None}
    ends = sorted(line.split(" ", 1)[1][:23] for line in log.read_text().splitlines() if "type=task_complete" in line)
    last = ends[-1].replace(" ", "T")
    assert analyse("--log_file", str(log), "--since", last, "--no-figures") == 0
    assert summary()["events"]["task_complete"] == ends.count(ends[-1])
    assert sum(ms for name, ms in summary()["wall_time"].items() if name != "total_ms") == pytest.approx(
        summary()["wall_time"]["total_ms"]
    )
    capsys.readouterr()
    assert analyse("--log_file", str(log), "--until", "2020-01-01") == 2
    assert "no events are left" in capsys.readouterr().err
    for time in ("yesterday", "0001-01-01T00:00:00+14:00"):
        with pytest.raises(SystemExit) as left:
            analyse("--log_file", str(log), "--since", time)
        assert left.value.code == 2
        assert "is no time like" in capsys.readouterr().err


def test_a_part_of_a_run_has_no_critical_path(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run_local("--domains", "mock", "retail", "--num-tasks", "2")
    assert analyse("--log-dir", "logs", "--no-figures") == 0
    assert summary()["critical_path"]["total_ms"] > 0
    assert analyse("--log_file", "logs/eval_mock.log", "--no-figures") == 0
    assert summary()["critical_path"] is None
    assert "no critical path: this is a part of the run" in " ".join(capsys.readouterr().out.split())


def ran(domain: str, task: str, start_s: int, end_s: int, run: str = "R") -> str:
    """A simulation as its log has it, seconds after nine: one call of the model, and at its end its verdict."""
    head = f"2026-03-14 09:00:{end_s:02d}.000 task={task} thread=worker-1"
    took = f"duration_ms={1000 * (end_s - start_s)}.000"
    of = f"run={run} sim={run}-{domain}-{task} domain={domain} trial=0 start_ms={1000 * start_s}.000"
    return (
        f"[PROFILE] {head} type=llm_call model=m {took} {of}\n[INFO] {head} type=task_complete {took} reward=1 {of}\n"
    )


@pytest.mark.parametrize(
    ("flags", "total_ms"),
    [
        # a worker's simulations of 0 to 2 s and 3 to 4 s, and between them one of the other domain
        ([], 4000.0),
        (["--run", "R"], 4000.0),
        (["--trial", "0", "--since", "2026-03-14"], 4000.0),
        (["--domain", "mock"], None),
        (["--task", "1"], None),
        (["--since", "2026-03-14T09:00:03"], None),
        (["--until", "2026-03-14T09:00:03"], None),
        (["--run", "S"], None),
    ],
)
def test_a_choice_of_simulations_has_no_critical_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], total_ms: float | None
) -> None:
    monkeypatch.chdir(tmp_path)
    end = "[INFO] 2026-03-14 09:00:04.000 thread=MainThread type=run_complete finished={} run={} start_ms=0.000\n"
    Path("eval_mock.log").write_text(ran("mock", "1", 0, 2) + ran("mock", "2", 3, 4) + end.format(3, "R"))
    Path("eval_retail.log").write_text(ran("retail", "1", 2, 3))
    # of the other run a domain's log is missing
    other = Path("other.log")
    other.write_text(ran("mock", "1", 0, 2, run="S") + end.format(2, "S"))
    logs = ["eval_mock.log", "eval_retail.log", *(["other.log"] if "--run" in flags else [])]
    assert analyse("--log_file", *logs, *flags, "--no-figures") == 0
    path = summary()["critical_path"]
    assert (path and path["total_ms"]) == total_ms
    # what was left out is not forgotten where the rest is all that these logs hold of the run
    assert analyse("--log_file", "eval_mock.log", "--domain", "mock", "--no-figures") == 0
    assert summary()["critical_path"] is None


def test_a_file_is_read_once_however_it_is_named(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    log = Path("logs/eval_mock.log")
    assert analyse("--log_file", str(log), "--no-figures") == 0
    once = summary()["events"]
    with gzip.open("logs/eval_mock.log.gz", "wb") as packed:
        packed.write(log.read_bytes())
    assert analyse("--log_file", str(log), str(log.absolute()), "logs", "--no-figures") == 0
    assert summary()["events"] == once


def test_what_stands_in_a_log_is_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "eval.log"
    head = "[PROFILE] 2026-03-14 09:26:53.589 task=[/b] thread=t"
    log.write_text(
        f"{head} type=tool_call function=a[/b] duration_ms=1.000 domain=[red]x start_ms=1.000\n"
        f"{head} type=llm_call model=[bold]m duration_ms=1.000 error_type=[/i] start_ms=1.000\n"
    )
    assert main(["--log_file", str(log), "--output_dir", str(tmp_path / "out"), "--no-figures"]) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in ("a[/b]", "[bold]m", "[/i]", "[red]x"))


def test_why_nothing_could_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "eval.log"
    log.write_text("[PROFILE] 2026-03-14 09:26:53.589 task=1 thread=t type=tool_call duration_ms=soon\n")
    assert main(["--log_file", str(log), "--output_dir", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "no events in these logs: 1 could not be read, the first: " in err
    assert err.count("\n") == 1


def test_files_of_an_earlier_analysis_do_not_outlive_it(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "2")
    assert analyse("--log_file", "logs/eval_mock.log", "--trace", "--export", "csv") == 0
    Path("results/mine.png").write_text("mine")
    index = Path("results/summary.json")
    index.write_text(index.read_text().replace('"files": [', '"files": ["mine.png", "",', 1))
    before = {path.name for path in Path("results").iterdir()}
    assert {"task_gantt.png", "trace.json", "events.csv"} <= before
    assert analyse("--log_file", "logs/eval_mock.log", "--no-figures") == 0
    assert {path.name for path in Path("results").iterdir()} == {
        "summary.json", "report.html", "report.md", "mine.png"
    }  # fmt: skip


def test_tokens_that_no_call_says_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    head = "[PROFILE] 2026-03-14 09:26:53.589 task=1 thread=worker-1 type=llm_call model=m"
    Path("eval.log").write_text(f"{head} duration_ms=100.000 output_tokens=5 start_ms=1.000\n")
    assert analyse("--log_file", "eval.log", "--no-figures") == 0
    (usage,) = summary()["usage"]
    assert (usage["input_tokens"], usage["cached_tokens"], usage["input_tokens_per_s"]) == (None, None, None)
    assert (usage["output_tokens"], usage["output_tokens_per_s"]) == (5, 50.0)
