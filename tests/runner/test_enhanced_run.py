"""`--enhanced`: every event of a run in one chained file a domain, whatever became of the run."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from support import MOCK_TASKS, RunLocal, Spawn, wait_until

from tau2_enhanced import cli
from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.analysis.doubles import DOUBLED
from tau2_enhanced.analysis.inputs import find_logs
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.logging.audit import State, verify
from tau2_enhanced.logging.event_files import read_events
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    StateChangeEvent,
    StateSnapshotEvent,
    ToolExecutionEvent,
)
from tau2_enhanced.logging.sensitive import find_sensitive


def recorded(folder: Path, domain: str, run_id: str = "R") -> Path:
    return folder / "outputs" / run_id / "run" / "events" / f"{domain}.jsonl"


def test_the_events_of_a_run_are_recorded_beside_its_results(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "retail", "--num-tasks", "3", "--enhanced", "--log-level", "INFO")
    assert run.summary["paths"]["enhanced"] == [f"outputs/R/run/events/{domain}.jsonl" for domain in ("mock", "retail")]
    for domain in ("mock", "retail"):
        path = recorded(run.folder, domain)
        assert verify(path).state is State.INTACT
        events = list(read_events(path))
        assert {event.domain for event in events if event.sim} == {domain}
        sims = {outcome["sim"]: outcome for outcome in run.record if outcome["domain"] == domain}
        made = Counter(event.sim for event in events if isinstance(event, ToolExecutionEvent))
        messages = {
            sim: sum(message["role"] == "tool" for message in outcome["simulation"]["messages"])
            for sim, outcome in sims.items()
        }
        assert made == Counter({sim: count for sim, count in messages.items() if count})
        for event in events:
            if event.sim:
                outcome = sims[event.sim]
                assert (event.task, event.trial, event.run) == (outcome["task"], outcome["trial"], "R")
        snapshots = [event for event in events if isinstance(event, StateSnapshotEvent)]
        triggers = Counter(event.action_trigger for event in snapshots)
        assert triggers["start"] == triggers["end"] == 3
        assert any(isinstance(event, StateChangeEvent) for event in events)


def test_a_plain_run_records_nothing_and_a_name_of_an_enhanced_domain_asks_for_it(run_local: RunLocal) -> None:
    assert not recorded(run_local("--domains", "mock", "--num-tasks", "1").folder, "mock").parent.exists()
    run = run_local("--domains", "mock_enhanced", "--num-tasks", "1", "--run-id", "E")
    assert verify(recorded(run.folder, "mock", "E")).state is State.INTACT


def test_results_are_those_of_a_plain_run(run_local: RunLocal) -> None:
    def what_counts(run_id: str, *flags: str) -> object:
        run = run_local("--domains", "mock", "--run-id", run_id, *flags)
        record = (run.folder / "outputs" / run_id / "run" / "record.jsonl").read_text().splitlines()
        outcomes = {line["task"]: line for line in map(json.loads, record)}
        return {
            task: (
                outcome["reward"],
                outcome["simulation"]["reward_info"],
                [(message["role"], message["content"]) for message in outcome["simulation"]["messages"]],
            )
            for task, outcome in outcomes.items()
        }

    assert what_counts("P") == what_counts("E", "--enhanced") == what_counts("F", "--enhanced", "--record-replays")


def test_log_and_events_give_the_same_analysis_and_replays_are_not_counted(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--enhanced", "--record-replays")
    path = recorded(run.folder, "mock")
    phases = Counter(event.phase for event in read_events(path) if isinstance(event, ToolExecutionEvent))
    assert phases["replay"] > 0
    assert phases["gold"] > 0
    logged, read = (read_table([source]) for source in (run.folder / "logs" / "eval_mock.log", path))
    assert read.of("tool_call").height == phases["live"] == len(run.events("mock", "tool_call"))
    columns = [pl.col("sim"), pl.col("function"), pl.col("duration_ms"), pl.col("error"), pl.col("tool_call_id")]
    assert_frame_equal(
        logged.of("tool_call").select(columns), read.of("tool_call").select(columns), check_row_order=False
    )
    for kind in ("llm_call", "user_sim", "step_complete", "task_complete"):
        assert_frame_equal(logged.of(kind), read.of(kind), check_column_order=False, check_row_order=False)


def test_logs_and_events_of_one_run_count_once(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--enhanced", "--log-level", "DEBUG")
    logs, events = run.folder / "logs", recorded(run.folder, "mock")
    alone = read_table([events])
    for files in ([logs / "eval_mock.log", events], [events, logs / "eval_mock.log", logs / "tau2_mock.log"]):
        table = read_table(files)
        assert table.doubled > 0
        for kind in ("llm_call", "user_sim", "tool_call", "step_complete", "task_start", "task_complete"):
            assert table.of(kind).height == alone.of(kind).height > 0
        analyzer = LogAnalyzer(files)
        assert analyzer.to_frame().shape[0] == alone.of("tool_call").height
        assert DOUBLED in analyzer.notes
    assert alone.doubled == 0
    assert DOUBLED not in LogAnalyzer([events]).notes


def test_a_runs_folder_or_id_means_its_events_and_results(
    run_local: RunLocal, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_local("--domains", "mock", "--enhanced", "--run-id", "E")
    folder = run.folder / "outputs" / "E"
    assert find_logs([str(folder)], with_events=True) == [folder / "mock.json", recorded(run.folder, "mock", "E")]
    assert find_logs([str(folder)]) == [folder / "mock.json"]
    said = []
    for paths in ([], ["E"], [str(folder)], ["--outputs", str(folder.parent), "E"]):
        assert cli.main(["analyze", *paths, "--json"]) == 0
        analysis = json.loads(capsys.readouterr().out)
        assert analysis.pop("files")
        said.append(analysis)
    assert said[0]["state_changes"]["by_tool"]
    assert all(analysis == said[0] for analysis in said)
    assert cli.main(["verify", "E"]) == 0
    assert capsys.readouterr().out.startswith("outputs/E/run/events/mock.jsonl: intact: ")
    assert cli.main(["verify", "outputs"]) == 2
    assert capsys.readouterr().err == "tau2-enhanced verify: outputs is no folder of a run that recorded its events\n"
    assert cli.main(["analyze", "--outputs", "nowhere"]) == 2
    assert capsys.readouterr().err == "tau2-enhanced analyze: no run in nowhere: name a run's folder, or files\n"


def test_a_killed_runs_events_hold_to_the_last_one_and_go_on_when_it_is_resumed(
    tmp_path: Path, spawn_run: Spawn
) -> None:
    path = recorded(tmp_path, "mock", "K")
    process = spawn_run("--domains", "mock", "--num-trials", "30", "--enhanced", "--run-id", "K", "--display", "none")
    wait_until(lambda: path.exists() and path.read_bytes().count(b'"type":"tool_execution"') >= 20, process)
    assert process.poll() is None
    process.kill()
    process.communicate()
    verdict = verify(path)
    assert verdict.holds
    assert verdict.state in (State.OPEN, State.CUT)
    before = sum(isinstance(event, ToolExecutionEvent) for event in read_events(path))
    assert before >= 20
    again = spawn_run("--resume", "K", "--display", "none")
    _, err = again.communicate()
    assert again.returncode == 0, err
    assert verify(path).state is State.INTACT
    assert verify(path).lines > verdict.lines
    ended = {event.sim for event in read_events(path) if event.type == "task_complete"}
    record = (tmp_path / "outputs" / "K" / "run" / "record.jsonl").read_text().splitlines()
    outcomes = [json.loads(line) for line in record]
    assert len(outcomes) == 30 * MOCK_TASKS
    assert {outcome["sim"] for outcome in outcomes} <= ended


def test_sensitive_data_is_replaced_in_events_and_logs_and_left_in_results(run_local: RunLocal) -> None:
    run = run_local("--domains", "airline", "--task-ids", "8", "--enhanced", "--redact", "--log-level", "DEBUG")
    assert "results and record hold the conversations as they were" in run.out
    told = json.dumps([outcome["simulation"]["messages"] for outcome in run.record])
    [address] = set(re.findall(r"[\w.]+@example\.com", told))
    for path in [recorded(run.folder, "airline"), *(run.folder / "logs").glob("*_airline.log")]:
        assert address not in path.read_text()
        assert "[email]" in path.read_text() or path.name.startswith("eval_")
    for event in read_events(recorded(run.folder, "airline")):
        assert found_in(event) == []


def found_in(event: ExecutionEvent) -> list[object]:
    if isinstance(event, ToolExecutionEvent):
        return [*find_sensitive(event.tool_args), *find_sensitive(event.result_preview)]
    if isinstance(event, StateChangeEvent):
        return list(find_sensitive(event.state_diff))
    if isinstance(event, StateSnapshotEvent):
        return list(find_sensitive(event.state_data))
    return []


def test_replays_are_recorded_only_with_the_rest(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--record-replays")
    assert run.code == 2
    assert run.err.count("\n") == 1
