"""Nothing finished is lost, and only what is missing is run again."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from support import MOCK_TASKS, RunLocal, Spawn, StandIn, wait_until

from tau2_enhanced.logging.events import ModelCallEvent, TaskCompleteEvent, parse_line


def finished_lines(record: Path) -> int:
    return record.read_bytes().count(b"\n") if record.exists() else 0


def verdicts(record: Path) -> int:
    return record.read_text().count('"status":"verdict"') if record.exists() else 0


def paid_in_log(log: Path) -> float:
    """What the model calls of a log cost."""
    events = [parse_line(line) for line in log.read_text().splitlines()]
    return sum(event.cost_usd or 0.0 for event in events if isinstance(event, ModelCallEvent))


def test_killed_ten_times_every_simulation_is_there_exactly_once(tmp_path: Path, spawn_run: Spawn) -> None:
    from tau2.data_model.simulation import Results

    plan = ["--domains", "mock", "--num-trials", "100", "--display", "none"]
    record = tmp_path / "outputs" / "K" / "run" / "record.jsonl"
    kills = 0
    for _ in range(10):
        process = spawn_run(*plan, "--resume", "K")
        target = finished_lines(record) + random.randint(1, 30)
        wait_until(lambda target=target: finished_lines(record) >= target, process)
        kills += process.poll() is None
        process.kill()
        process.communicate()
    assert kills >= 5
    last = spawn_run("--resume", "K", "--json")
    out, err = last.communicate()
    assert last.returncode == 0, err
    assert json.loads(out)["finished"] == 100 * MOCK_TASKS
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert Counter((line["task"], line["trial"]) for line in lines) == Counter(
        {(line["task"], line["trial"]): 1 for line in lines}
    )
    results = Results.load(tmp_path / "outputs" / "K" / "mock.json")
    assert len({(s.task_id, s.trial) for s in results.simulations}) == len(results.simulations) == 100 * MOCK_TASKS
    events = (tmp_path / "logs" / "eval_mock.log").read_text().splitlines()
    assert all(line.startswith("[") for line in events)
    told = {event.sim for event in map(parse_line, events) if isinstance(event, TaskCompleteEvent)}
    assert {line["sim"] for line in lines} <= told


def test_a_torn_last_line_is_repaired_and_said(run_local: RunLocal) -> None:
    first = run_local("--domains", "mock")
    record = first.folder / "outputs" / "R" / "run" / "record.jsonl"
    record.write_bytes(record.read_bytes()[:-100])
    again = run_local("--resume")
    assert again.code == 0
    assert "the record's last line was incomplete" in again.err
    assert again.summary["finished"] == MOCK_TASKS
    assert len(again.record) == MOCK_TASKS


def test_a_damaged_line_in_the_middle_changes_nothing(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "3")
    record = run.folder / "outputs" / "R" / "run" / "record.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(lines[0] + b'{"domain": 1}\n' + lines[2])
    before = record.read_bytes()
    again = run_local("--resume", "R")
    assert again.code == 2
    assert "damaged in line 2" in again.err
    assert again.err.count("\n") == 1
    assert record.read_bytes() == before


def test_a_finished_run_has_nothing_left_to_do(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "2")
    again = run_local("--resume")
    assert again.code == 0
    assert len(again.record) == 2
    assert [event.type for event in again.events("mock")].count("task_start") == 2


def test_a_dry_run_says_how_much_is_left_and_changes_nothing(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "retail", "--num-tasks", "2")
    record = run.folder / "outputs" / "R" / "run" / "record.jsonl"
    whole = run_local("--resume", "R", "--dry-run")
    assert "mock: 2 tasks, 2 simulations, 0 of them left\n" in whole.out
    assert "nothing left to run\n" in whole.out
    record.write_bytes(record.read_bytes()[:-100])
    torn = record.read_bytes()
    part = run_local("--resume", "R", "--num-trials", "2", "--dry-run")
    assert "5 of 8 left to run\n" in part.out
    counts = json.loads(run_local("--resume", "R", "--dry-run", "--json").out)
    assert (counts["planned"], sum(counts["left"].values())) == ({"mock": 2, "retail": 2}, 1)
    assert record.read_bytes() == torn
    assert "left" not in run_local("--domains", "mock", "--run-id", "S", "--dry-run").out


def test_more_trials_and_tasks_may_be_asked_for(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "2")
    more = run_local("--resume", "R", "--num-tasks", "3", "--num-trials", "2", "--max-concurrency", "2")
    assert more.code == 0
    assert len(more.record) == 6
    assert more.summary["pass_hat_k"] == {"1": 1.0, "2": 1.0}


def test_a_domain_may_be_added(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    more = run_local("--resume", "R", "--domains", "mock", "retail")
    assert more.code == 0
    assert {line["domain"] for line in more.record} == {"mock", "retail"}


@pytest.mark.parametrize(
    ("flag", "value", "named"),
    [
        ("--seed", "7", "seed: 300 then, 7 now"),
        ("--max-steps", "100", "max_steps: 200 then, 100 now"),
        ("--agent-args", '{"temperature": 1}', "agent_args: {} then, {'temperature': 1} now"),
    ],
)
def test_what_can_change_a_result_must_be_the_same(run_local: RunLocal, flag: str, value: str, named: str) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    other = run_local("--resume", "R", flag, value)
    assert other.code == 2
    assert named in other.err
    assert other.err.count("\n") == 1


def test_resume_without_a_record_starts_the_run(run_local: RunLocal) -> None:
    run = run_local("--resume", "R", "--domains", "mock", "--num-tasks", "1")
    assert run.code == 0
    assert len(run.record) == 1
    assert "there is no run R in outputs to resume: starting it now" in run.err


def test_a_runs_id_is_not_taken_twice(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    again = run_local("--domains", "mock", "--num-tasks", "1")
    assert again.code == 2
    assert "--resume R" in again.err


def test_the_clock_goes_on_after_a_resume(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    run = run_local("--resume", "R", "--num-tasks", "2")
    starts = [event.start_ms or 0.0 for event in run.events("mock", "task_start")]
    ends = [line["ended_ms"] for line in run.record]
    assert starts[1] >= ends[0]


def test_a_new_run_puts_the_earlier_ones_logs_away(run_local: RunLocal) -> None:
    first = run_local("--domains", "mock", "--num-tasks", "1", "--run-id", "first")
    run_local("--domains", "mock", "--num-tasks", "1", "--run-id", "second")
    logs = first.folder / "logs"
    assert "run=first" in (logs / "first" / "eval_mock.log").read_text()
    assert "run=first" not in (logs / "eval_mock.log").read_text()
    run_local("--resume", "first", "--num-tasks", "2")
    assert (logs / "eval_mock.log").read_text().count("type=run_start") == 2
    assert "run=second" in (logs / "second" / "eval_mock.log").read_text()


@pytest.mark.parametrize(("signals", "least"), [((signal.SIGINT,), 1), ((signal.SIGINT, signal.SIGINT), 0)])
def test_interrupts_leave_a_resumable_run(
    tmp_path: Path, spawn_run: Spawn, stand_in: StandIn, signals: tuple[signal.Signals, ...], least: int
) -> None:
    url = stand_in("--latency", "0.4")
    models = [f"--{role}-{flag}" for role in ("agent", "user") for flag in ("model=vllm/gold", f"base-url={url}")]
    flags = ["--num-trials", "3", "--max-concurrency", "4", *models, "--price", "vllm/gold=2/8"]
    process = spawn_run("--domains", "mock", "--run-id", "R", *flags)
    record, summary = (tmp_path / "outputs" / "R" / "run" / name for name in ("record.jsonl", "summary.json"))
    log = tmp_path / "logs" / "eval_mock.log"
    wait_until(lambda: log.exists() and log.read_text().count("type=llm_call") >= 6, process)
    for number in signals:
        process.send_signal(number)
        wait_until(lambda: "interrupted" in (tmp_path / "logs" / "tau2_mock.log").read_text(), process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    done = verdicts(record)
    assert least <= done < 27
    assert "--resume R" in out
    started = log.read_text().count("type=task_start")
    assert finished_lines(record) == log.read_text().count("type=task_complete") == started
    assert done == started if len(signals) == 1 else f"given up while they ran: {started - done}\n" in out
    assert json.loads(summary.read_text())["spent_usd"] == pytest.approx(paid_in_log(log))
    again = spawn_run("--resume", "R", "--display", "none")
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert verdicts(record) == 3 * MOCK_TASKS
    assert json.loads(summary.read_text())["spent_usd"] == pytest.approx(paid_in_log(log))


def test_sigterm_lets_running_simulations_end(tmp_path: Path, spawn_run: Spawn, stand_in: StandIn) -> None:
    url = stand_in("--latency", "0.3")
    flags = ["--agent-model", "vllm/gold", "--agent-base-url", url, "--user-model", "gold"]
    process = spawn_run("--domains", "mock", "--max-concurrency", "2", "--run-id", "R", *flags)
    log = tmp_path / "logs" / "eval_mock.log"
    wait_until(lambda: log.exists() and "type=llm_call" in log.read_text(), process)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 130
    text = log.read_text()
    assert text.count("type=task_start") == text.count("type=task_complete") < 9


def test_two_runs_at_once_do_not_mix(tmp_path: Path, spawn_run: Spawn) -> None:
    processes = [
        spawn_run("--domains", "mock", "--num-trials", "5", "--run-id", name, "--display", "none")
        for name in ("one", "two")
    ]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    logs = sorted((tmp_path / "logs").rglob("eval_mock.log"))
    assert len(logs) == 2
    for log in logs:
        runs = {line.partition(" run=")[2].split()[0] for line in log.read_text().splitlines()}
        assert len(runs) == 1


def test_results_hold_what_was_recorded_beyond_the_present_plan(run_local: RunLocal) -> None:
    from tau2.data_model.simulation import Results
    from tau2.metrics.agent_metrics import compute_metrics

    run_local("--domains", "mock", "--num-tasks", "3", "--num-trials", "2")
    fewer = run_local("--resume", "R", "--num-tasks", "1", "--num-trials", "1")
    assert fewer.summary["planned"] == 1
    results = Results.load(fewer.results("mock"))
    assert len(results.simulations) == 6
    assert compute_metrics(results).pass_hat_ks == {1: 1.0, 2: 1.0}


def test_a_record_without_its_configuration_is_not_taken_over(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "1")
    (run.folder / "outputs" / "R" / "run" / "config.json").unlink()
    for flags in (["--domains", "mock", "--seed", "9"], ["--resume", "R"]):
        again = run_local(*flags)
        assert again.code == 2
        assert again.err.count("\n") == 1
    assert len(run.record) == 1


def test_resume_and_run_id_must_name_one_run(run_local: RunLocal) -> None:
    run = run_local("--resume", "R", "--run-id", "S", "--domains", "mock")
    assert run.code == 2
    assert "name two runs" in run.err


def test_sigterm_does_not_wait_for_calls_that_hang(tmp_path: Path, spawn_run: Spawn, stand_in: StandIn) -> None:
    flags = ["--agent-model", "vllm/gold", "--agent-base-url", stand_in("--latency", "600"), "--user-model", "gold"]
    process = spawn_run("--domains", "mock", "--num-tasks", "2", "--run-id", "R", *flags)
    log = tmp_path / "logs" / "eval_mock.log"
    wait_until(lambda: log.exists() and log.read_text().count("type=user_sim") == 2, process)
    process.terminate()
    # ten seconds of grace are part of the promise; a run that waited for its calls would take ten minutes
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    record = tmp_path / "outputs" / "R" / "run" / "record.jsonl"
    assert (verdicts(record), record.read_text().count('"error_type":"given_up"')) == (0, 2)
    assert not json.loads((tmp_path / "outputs" / "R" / "mock.json").read_text())["simulations"]
