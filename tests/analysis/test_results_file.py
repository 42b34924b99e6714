from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, MOCK_TASKS, NEVER_PASSED, RunLocal

from tau2_enhanced.analysis.main import main
from tau2_enhanced.analysis.results_file import result_statistics
from tau2_enhanced.analysis.sources import read_sources
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.replay import read_recording

RECORDED = CHECKOUT.parent / "shared" / "data" / "airline_gemini2_5_flash_10tasks_2t.json"


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded run has no licence to be part of the project")
def test_the_recorded_run() -> None:
    found = result_statistics(read_sources([RECORDED]).results[0])
    assert (found["tool_calls"], found["tool_errors"]) == (79, 8)
    assert round(found["agent_cost_usd"], 4) == 0.2065
    assert round(found["user_cost_usd"], 4) == 0.0729
    assert found["pass_hat_k"]["1"]["value"] == pytest.approx(0.60)
    assert (found["finished"], found["planned"], found["coverage"]) == (20, 20, 1.0)


def test_a_runs_summary_and_its_results_agree(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--num-trials", "2")
    assert main(["--results", "outputs/R/mock.json", "--output_dir", "analysed"]) == 0
    (found,) = json.loads(Path("analysed/summary.json").read_text())["results"]
    ours = run.summary["domains"]["mock"]
    assert {k: share["value"] for k, share in found["pass_hat_k"].items()} == pytest.approx(ours["pass_hat_k"])
    assert (found["finished"], found["planned"]) == (ours["finished"], ours["planned"]) == (2 * MOCK_TASKS,) * 2
    assert set(found["never_passed_tasks"]) == NEVER_PASSED
    assert found["flaky_tasks"] == []
    assert set(found["mean_reward_by_basis"]) == {"ACTION", "COMMUNICATE", "DB", "ENV_ASSERTION"}


def simulation(task: str, trial: int, reward: float | None, **more: Any) -> dict[str, Any]:
    info = None if reward is None else {"reward": reward, "reward_breakdown": {"DB": reward}}
    return {
        "id": f"{task}-{trial}",
        "task_id": task,
        "trial": trial,
        "reward_info": info,
        "termination_reason": "user_stop",
        "duration": 2.0,
        "messages": [],
        **more,
    }


def results(**more: Any) -> dict[str, Any]:
    return {
        "info": {
            "num_trials": 2,
            "environment_info": {"domain_name": "retail"},
            "agent_info": {"llm": "m"},
            "user_info": {},
        },
        "tasks": [{"id": "a"}, {"id": "b"}],
        **more,
    }


@pytest.fixture
def of_tau2_1(tmp_path: Path) -> Path:
    """Results as tau2 1.0 keeps those of voice runs: an index, and each simulation in a file of its own."""
    simulations = [
        simulation("a", 0, 1.0, messages=None, ticks=[{"tick_id": 0}]),
        simulation("a", 1, 0.0, termination_reason="infrastructure_error"),
    ]
    path = tmp_path / "voices" / "results.json"
    folder = path.parent / "simulations"
    folder.mkdir(parents=True)
    for entry in simulations:
        (folder / f"{entry['id']}.json").write_text(json.dumps(entry))
    path.write_text(json.dumps(results(simulation_index=[{"id": entry["id"]} for entry in simulations])))
    return path


def test_results_may_lie_in_a_file_for_each_simulation(of_tau2_1: Path) -> None:
    [read] = read_sources([of_tau2_1]).results
    assert read.run == "voices"
    assert [(s.task, s.trial, s.reward, len(s.messages)) for s in read.simulations] == [
        ("a", 0, 1.0, 0),
        ("a", 1, None, 0),
    ]
    found = result_statistics(read)
    assert (found["finished"], found["planned"], found["pass_hat_k"]["1"]["value"]) == (1, 4, 1.0)


def test_results_without_all_their_files_are_damaged(of_tau2_1: Path) -> None:
    (of_tau2_1.parent / "simulations" / "a-1.json").unlink()
    with pytest.raises(UserMistake, match="1 of its simulations are missing, a-1 first"):
        read_sources([of_tau2_1])


def test_a_voice_run_cant_be_replayed(of_tau2_1: Path) -> None:
    with pytest.raises(UserMistake, match="a voice run holds no messages"):
        read_recording(of_tau2_1)


def test_what_has_no_verdict_is_coverage_and_no_failure(tmp_path: Path) -> None:
    data = results(
        simulations=[
            simulation("a", 0, 1.0, agent_cost=0.5),
            simulation("a", 1, 0.0, agent_cost=0.25),
            simulation("b", 0, 0.0, agent_cost=None, skipped=True),
            simulation("b", 1, None),
        ]
    )
    path = tmp_path / "retail.json"
    path.write_text(json.dumps(data))
    found = result_statistics(read_sources([path]).results[0])
    assert (found["finished"], found["planned"], found["coverage"]) == (2, 4, 0.5)
    assert found["flaky_tasks"] == ["a"]
    assert found["pass_hat_k"]["1"]["value"] == 0.5
    assert found["pass_hat_k"]["2"]["value"] == 0.0
    assert found["agent_cost_usd"] is None
    assert found["mean_reward_by_basis"] == {"DB": 0.5}


def test_a_pass_k_of_some_tasks_says_of_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulations = [simulation("a", 0, 1.0), simulation("a", 1, 1.0), simulation("b", 0, 0.0)]
    path = tmp_path / "retail.json"
    path.write_text(json.dumps(results(simulations=simulations)))
    assert main(["--results", str(path), "--output_dir", str(tmp_path), "--no-figures"]) == 0
    (found,) = json.loads((tmp_path / "summary.json").read_text())["results"]
    assert found["planned_tasks"] == 2
    assert {k: (share["value"], share["tasks"]) for k, share in found["pass_hat_k"].items()} == {
        "1": (0.5, 2),
        "2": (1.0, 1),
    }
    shown = [line.split("│")[3:7] for line in capsys.readouterr().out.partition("results")[2].splitlines()]
    assert [[cell.strip() for cell in cells] for cells in shown if len(cells) == 4][:2] == [
        ["2", "3/4", "1", "50.0 %"],
        ["1/2", "", "2", "100.0 %"],
    ]
    rows = [line.split(" | ") for line in (tmp_path / "report.md").read_text().splitlines() if " | m | " in line]
    assert [(row[3], row[4], row[6], row[7]) for row in rows] == [("1", "50.0 %", "2", "2"), ("2", "100.0 %", "1", "2")]


def test_results_without_a_verdict_have_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "retail.json"
    path.write_text(json.dumps(results(simulations=[simulation("a", 0, None), simulation("b", 0, 0.0, skipped=True)])))
    assert main(["--results", str(path), "--output_dir", str(tmp_path), "--no-figures"]) == 0
    shown = capsys.readouterr().out.partition("results")[2].splitlines()
    [row] = [[cell.strip() for cell in line.split("│")[1:8]] for line in shown if line.startswith("│")]
    assert row == ["retail", "m", "0/2", "0/4", "1", "–", "–"]
    text = (tmp_path / "report.md").read_text()
    assert "- pass^1 retail: **–** (coverage 0/4)" in text
    assert "| retail | m | – | 1 | – | – | 0 | 2 | 0 | 4 | 0.0 % |" in text


def test_a_gold_action_that_was_never_reached_is_not_missed(tmp_path: Path) -> None:
    gold = [{"name": "cancel", "arguments": {"id": "A"}}, {"name": "refund", "arguments": {"id": "A"}}]
    said = [{"role": "assistant", "tool_calls": [{"id": "1", **gold[0]}, {"id": "2", **gold[0]}]}]
    data = results(
        tasks=[{"id": "a", "evaluation_criteria": {"actions": gold}}],
        simulations=[
            simulation("a", 0, 0.0, messages=said),
            simulation("a", 1, None, messages=said),
            simulation("a", 1, 0.0, termination_reason="infrastructure_error"),
        ],
    )
    path = tmp_path / "retail.json"
    path.write_text(json.dumps(data))
    found = result_statistics(read_sources([path]).results[0])["tool_accuracy"]
    assert (found["gold"], found["called"], found["matched"]) == (2, 2, 1)
    assert (found["precision"], found["recall"]) == (0.5, 0.5)


@pytest.mark.parametrize("content", [None, "", "[]", '{"info": {}}'])
def test_a_file_that_is_no_results_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    assert main(["--results", str(path), "--output_dir", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert str(path) in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
