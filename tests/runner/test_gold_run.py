"""The main job: real tasks, tools, databases and evaluator, played by the stand-in."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, MOCK_TASKS, NEVER_PASSED, RunLocal, Spawn, StandIn

from tau2_enhanced.logging.events import StepCompleteEvent, TaskCompleteEvent, ToolCallEvent

NEVER_FINISHED = ("--domains", "mock", "--num-tasks", "1", "--task-timeout", "0.001")


def test_mock_comes_out_as_tau2_scores_its_gold_actions(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock")
    assert run.code == 0
    rewards = {line["task"]: line["reward"] for line in run.record}
    assert len(rewards) == MOCK_TASKS
    assert {task for task, reward in rewards.items() if reward != 1.0} == NEVER_PASSED


@pytest.mark.parametrize("domain", ["retail", "airline", "telecom"])
def test_gold_reaches_the_upper_bound_of_the_large_domains(run_local: RunLocal, domain: str) -> None:
    run = run_local("--domains", domain, "--num-tasks", "3")
    assert run.code == 0
    assert [line["reward"] for line in run.record] == [1.0] * 3
    assert "upper bound, not a model's score" in run.out


def test_results_are_tau2s_own(run_local: RunLocal) -> None:
    from tau2.data_model.simulation import Results
    from tau2.metrics.agent_metrics import compute_metrics

    run = run_local("--domains", "mock", "--num-trials", "2")
    results = Results.load(run.results("mock"))
    assert len(results.simulations) == 2 * MOCK_TASKS
    assert results.info.environment_info.domain_name == "mock"
    metrics = compute_metrics(results)
    ours = run.summary["domains"]["mock"]
    assert metrics.avg_reward == pytest.approx(ours["mean_reward"])
    assert {str(k): v for k, v in metrics.pass_hat_ks.items()} == pytest.approx(ours["pass_hat_k"])
    assert metrics.avg_agent_cost == 0.0


def test_only_live_calls_are_tool_calls(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "retail", "--num-tasks", "4")
    for domain in ("mock", "retail"):
        live: dict[tuple[str, int], int] = {}
        for line in run.record:
            if line["domain"] == domain:
                history = 1 if "history" in line["task"] else 0
                tools = [m for m in line["simulation"]["messages"] if m["role"] == "tool"]
                live[line["task"], line["trial"]] = len(tools) - history
        logged: dict[tuple[str, int], int] = dict.fromkeys(live, 0)
        for event in run.events(domain, "tool_call"):
            assert event.task is not None
            assert event.trial is not None
            logged[event.task, event.trial] += 1
        assert logged == live


def test_every_event_names_its_simulation(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--max-concurrency", "5")
    sims = {line["task"]: line["sim"] for line in run.record}
    for event in run.events("mock"):
        assert event.run == "R"
        assert event.start_ms is not None
        if event.type not in ("run_start", "run_complete"):
            assert (event.domain, event.trial, event.sim) == ("mock", 0, sims[event.task or ""])
            assert (event.thread or "").startswith("worker-")


def test_a_step_is_a_turn_with_its_calls(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--task-ids", "create_task_1")
    steps = [event for event in run.events("mock", "step_complete") if isinstance(event, StepCompleteEvent)]
    assert [(s.step, s.from_role, s.to_role) for s in steps] == [
        (0, "user", "agent"),
        (1, "agent", "env"),
        (2, "agent", "user"),
        (3, "user", "agent"),
    ]
    inside: dict[int | None, float] = {}
    for event in run.events("mock"):
        if event.type in ("llm_call", "user_sim", "tool_call"):
            inside[event.step] = inside.get(event.step, 0.0) + getattr(event, "duration_ms", 0.0)
    for step in steps:
        assert step.total_duration_ms is not None
        assert 0 < inside[step.step] <= step.total_duration_ms


def test_the_end_of_a_task_says_what_it_came_to(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--task-ids", "create_task_1")
    (end,) = run.events("mock", "task_complete")
    assert isinstance(end, TaskCompleteEvent)
    assert (end.reward, end.termination_reason, end.cost_usd, end.steps) == (1.0, "user_stop", 0.0, 4)


def test_a_tools_exception_is_logged_and_told_to_the_agent(run_local: RunLocal) -> None:
    # the gold actions of this task ask for a product that is not there
    run = run_local("--domains", "retail", "--task-ids", "2", "--log-level", "DEBUG")
    failed = [e for e in run.events("retail", "tool_call") if isinstance(e, ToolCallEvent) and e.error]
    assert [(e.function, e.error_type) for e in failed] == [("get_product_details", "ValueError")]
    log = (run.folder / "logs" / "tau2_retail.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert re.search(r"state changed by return_delivered_order_items: database \w{12} -> \w{12}$", log, re.MULTILINE)


def test_debug_shows_each_message_of_a_prompt_once(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--task-ids", "create_task_1", "--log-level", "DEBUG")
    log = (run.folder / "logs" / "tau2_mock.log").read_text()
    shown = [line for line in log.splitlines() if "prompt of the agent, message " in line]
    numbers = [int(line.partition("message ")[2].partition(":")[0]) for line in shown]
    assert numbers == list(range(5))


def test_the_log_level_leaves_out_what_is_below_it(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "1", "--log-level", "USER_JUDGE")
    kinds = {event.type for event in run.events("mock")}
    assert kinds == {"run_start", "task_start", "user_sim", "task_complete", "run_complete"}


def test_json_alone_on_stdout(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "2", "--json")
    assert json.loads(run.out)["finished"] == 2
    assert "mock" in run.err


def test_the_summary_says_where_everything_lies(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "2", "--display", "none")
    paths = run.summary["paths"]
    for path in (*paths["results"], *paths["logs"], *paths["events"], paths["run"]):
        assert (run.folder / path).exists()
        assert path in run.out
    assert run.summary["analysis_command"] in run.out


@pytest.mark.parametrize("on_path", [True, False])
def test_the_interpreter_is_named_in_full_where_path_has_another(
    run_local: RunLocal, monkeypatch: pytest.MonkeyPatch, on_path: bool
) -> None:
    python = Path(sys.executable)
    monkeypatch.setenv("PATH", f"{python.parent}:/usr/bin:/bin" if on_path else "/usr/bin:/bin")
    summary = run_local(*NEVER_FINISHED).summary
    named = python.name if on_path else str(python)
    assert shlex.split(summary["resume_command"])[:2] == [named, str(CHECKOUT / "run_local.py")]
    analyse = shlex.split(summary["analysis_command"])
    assert analyse[:2] == [named, str(CHECKOUT / "analyze_timing_from_tau2_log.py")]


def test_the_commands_it_ends_with_run_as_they_are_printed(tmp_path: Path, spawn_run: Spawn, stand_in: StandIn) -> None:
    broken = ["--agent-model", "vllm/gold", "--agent-base-url", stand_in("--fail-every", "2"), "--llm-retries", "0"]
    flags = ["--domains", "mock", "--task-ids", "create_task_1", "--user-model", "gold", *broken]
    out, _ = spawn_run(*flags, "--run-id", "R", "--output-dir", "out puts").communicate()
    said = dict(line.split(": ", 1) for line in out.splitlines() if line.startswith("to "))
    for command, code in ((said["to go on"], 1), (said["to analyse it"], 0)):
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stderr


def test_a_run_without_timed_events_is_analysed_by_its_results(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "2", "--log-level", "INFO")
    command = shlex.split(run.summary["analysis_command"])
    assert "eval_mock.log" not in run.summary["analysis_command"]
    done = subprocess.run(command, cwd=run.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "llm_call" in done.stdout


def test_in_a_checkout_the_commands_are_those_of_the_readme(tmp_path: Path) -> None:
    for name in ("run_local.py", "analyze_timing_from_tau2_log.py"):
        (tmp_path / name).write_text((CHECKOUT / name).read_text())
    (tmp_path / "tau2_enhanced").symlink_to(CHECKOUT / "tau2_enhanced")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    python = f".venv/bin/{Path(sys.executable).name}"
    command = [python, "run_local.py", *NEVER_FINISHED, "--run-id", "R"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert f"\nto go on: {python} run_local.py --resume R\n" in done.stdout
    assert f"\nto analyse it: {python} analyze_timing_from_tau2_log.py --log_file logs/eval_mock.log " in done.stdout


def test_a_dry_run_leaves_nothing(run_local: RunLocal) -> None:
    run = run_local("--domains", "retail", "mock", "--dry-run")
    assert run.code == 0
    assert "retail: 114 tasks" in run.out
    assert list(run.folder.iterdir()) == []


def test_seeds_do_not_depend_on_the_order_or_on_other_tasks(run_local: RunLocal) -> None:
    few = run_local("--domains", "mock", "--num-tasks", "2", "--run-id", "few", "--output-dir", "few")
    all_ = run_local("--domains", "mock", "--max-concurrency", "1")
    assert few.code == all_.code == 0

    def seeds(text: str) -> dict[str, Any]:
        return {line["task"]: line["seed"] for line in map(json.loads, text.splitlines())}

    of_few = seeds((few.folder / "few" / "few" / "run" / "record.jsonl").read_text())
    of_all = {line["task"]: line["seed"] for line in all_.record}
    assert of_few.items() <= of_all.items()
    assert len(set(of_all.values())) == MOCK_TASKS


def test_an_enhanced_domain_is_the_same_domain_here(run_local: RunLocal) -> None:
    run = run_local("--domain", "mock_enhanced", "--num-tasks", "1", "--agent-llm", "gold")
    assert run.code == 0
    assert run.results("mock").exists()


def test_a_judge_also_judges_the_informative_assertions(run_local: RunLocal) -> None:
    run = run_local("--domains", "airline", "--task-ids", "1", "--judge-model", "gold")
    assert len(run.events("airline", "evaluator")) == 1
    simulation = run.record[0]["simulation"]
    assert [check["met"] for check in simulation["reward_info"]["nl_assertions"]] == [True]
    assert run.record[0]["reward"] == 1.0
