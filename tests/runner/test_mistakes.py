"""A user's mistake is one clear line and exit code 2, with nothing half-written."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support import CHECKOUT, MOCK_TASKS, RunLocal, Spawn


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--domains", "bank"], "unknown domain 'bank': tau2 has mock, airline, retail, telecom"),
        (["--domains", "mock", "--task-ids", "nine"], "mock has no task 'nine'"),
        (["--domains", "retail", "airline", "--task-ids", "3"], "write DOMAIN:ID"),
        (["--domains", "retail", "--task-split", "hard"], "retail has no task split 'hard': it has train, test, base"),
        (["--domains", "mock", "--task-split", "test"], "mock has no task splits"),
        (["--log-level", "LOUD"], "--log-level"),
        (["--num-trials", "0"], "--num-trials must be at least 1, not 0"),
        (["--num-tasks", "0"], "--num-tasks must be at least 1"),
        (["--num-tasks", "many"], "--num-tasks: invalid int value: 'many'"),
        (["--max-concurrency", "0"], "--max-concurrency must be at least 1"),
        (["--llm-timeout", "0"], "--llm-timeout must be more than 0"),
        (["--max-cost", "-1"], "--max-cost must be more than 0"),
        (["--agent-model", "gpt-4.1"], "set OPENAI_API_KEY"),
        (["--agent-model", "mystery"], "'mystery' is no model this runner knows"),
        (["--agent-model", "vllm/m"], "--agent-base-url"),
        (["--agent-model", "vllm/m", "--agent-base-url", "localhost:8000"], "is no http(s) address"),
        (["--agent-base-url", "http://h/v1"], "name its model with --agent-model"),
        (["--agent-base-url", "http://h/v1", "--skip-server-start"], "name its model with --agent-model"),
        (["--user-base-url", "http://h/v1"], "name its model with --user-model"),
        (["--serve"], "--serve starts servers, and gold needs none: name a model with --agent-model"),
        (["--experts", "wise=gold@http://h/v1"], "gold asks no server, so --experts"),
        (["--judge-args", '{"temperature": 1}'], "--judge-args needs a judge"),
        (["--judge-base-url", "http://h/v1"], "name one with --judge-model"),
        (["--agent-args", "temperature=1"], "expected a JSON object"),
        (["--agent-args", "[1]"], "expected a JSON object"),
        (["--price", "m=cheap"], "expected MODEL=IN/OUT"),
        (["--price", "m=cheap", "--dry-run"], "expected MODEL=IN/OUT"),
        (["--price", "gild=1/2"], "--price gild: the run has no such model, but gold"),
        (["--price", "gold=1/2", "--price", "vllm/gold=1/2", "--dry-run"], "--price vllm/gold: the run has no such"),
        (["--agent-model", "replay:"], "replay: names no results file"),
        (["--run-id", "../up"], "can't be a folder's name"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["--num", "3"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_line(run_local: RunLocal, flags: list[str], said: str) -> None:
    run = run_local(*flags)
    assert run.code == 2
    assert said in run.err
    assert run.err.count("\n") == 1
    assert run.out == ""
    assert list(run.folder.iterdir()) == []


@pytest.mark.parametrize("model", ["vllm/m --agent-base-url http://192.0.2.1:8000/v1", "deepseek/m"])
def test_a_proxy_that_can_not_be_used_is_said_in_a_line(
    run_local: RunLocal, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    monkeypatch.setenv("DEEPSEEK_API_KEY", "key-1234")
    run = run_local("--domains", "mock", "--agent-model", *model.split(), "--user-model", "gold")
    assert run.code == 2
    assert "the environment's proxy" in run.err.splitlines()[-1]


@pytest.mark.parametrize(("flag", "name"), [("--output-dir", "taken"), ("--log-dir", "taken")])
def test_a_folder_that_is_a_file_is_said_and_leaves_nothing(run_local: RunLocal, flag: str, name: str) -> None:
    Path(name).write_text("mine")
    run = run_local("--domains", "mock", flag, name)
    assert run.code == 2
    assert name in run.err
    assert run.err.count("\n") == 1
    assert Path(name).read_text() == "mine"
    assert not (run.folder / "outputs" / "R").exists()


def test_a_damaged_configuration_is_said(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "1")
    (run.folder / "outputs" / "R" / "run" / "config.json").write_text("{")
    again = run_local("--resume", "R")
    assert again.code == 2
    assert "config.json is damaged" in again.err
    assert again.err.count("\n") == 1


def test_help_and_wrong_flags_load_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from tau2_enhanced.runner.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'tau2', 'litellm', 'openai', 'rich', 'pandas', 'aiohttp', 'pydantic', 'genai_prices'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    for flag in ("--help", "--nonsense"):
        done = subprocess.run([sys.executable, "-c", program, flag], capture_output=True, text=True, cwd=CHECKOUT)
        assert done.stderr.endswith("[]\n")


def test_a_full_disk_stops_the_run_and_loses_nothing_that_was_finished(tmp_path: Path, spawn_run: Spawn) -> None:
    limit = 60_000
    flags = ("--domains", "mock", "--num-trials", "20", "--log-level", "ERROR", "--run-id", "R")
    full = spawn_run(*flags, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, err = full.communicate(timeout=120)
    assert full.returncode == 1, err
    assert "the record can't be written" in err
    assert "Traceback" not in err
    record = tmp_path / "outputs" / "R" / "run" / "record.jsonl"
    before = record.read_text()
    assert before.endswith("\n")
    again = spawn_run("--resume", "R", "--display", "none")
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert record.read_text().startswith(before)
    assert record.read_text().count("\n") == 20 * MOCK_TASKS


def test_too_few_open_files_are_said_before_the_run_begins(tmp_path: Path, spawn_run: Spawn) -> None:
    flags = ["--domains", "mock", "--num-trials", "8", "--max-concurrency", "60"]
    few = spawn_run(*flags, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
    _, err = few.communicate(timeout=60)
    assert few.returncode == 2
    assert "60 simulations at once need 124 open files, and this process may have 100" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_limit_of_open_files_that_may_be_raised_is(spawn_run: Spawn) -> None:
    flags = ["--domains", "mock", "--num-trials", "8", "--max-concurrency", "60"]
    more = spawn_run(*flags, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (70, 1000)))
    _, err = more.communicate(timeout=60)
    assert more.returncode == 0, err
