from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, RunLocal

from tau2_enhanced.analysis.main import main
from tau2_enhanced.analysis.results_file import result_statistics
from tau2_enhanced.analysis.sources import read_sources

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
    assert (found["finished"], found["planned"]) == (ours["finished"], ours["planned"]) == (18, 18)
    assert found["never_passed_tasks"] == ["update_task_with_history_and_env_assertions"]
    assert found["flaky_tasks"] == []
    assert set(found["mean_reward_by_basis"]) == {"ACTION", "COMMUNICATE", "DB", "ENV_ASSERTION"}


def test_what_has_no_verdict_is_coverage_and_no_failure(tmp_path: Path) -> None:
    def simulation(task: str, trial: int, reward: float | None, **more: Any) -> dict[str, Any]:
        info = None if reward is None else {"reward": reward, "reward_breakdown": {"DB": reward}}
        return {
            "task_id": task,
            "trial": trial,
            "reward_info": info,
            "termination_reason": "user_stop",
            "duration": 2.0,
            "messages": [],
            **more,
        }

    data = {
        "info": {
            "num_trials": 2,
            "environment_info": {"domain_name": "retail"},
            "agent_info": {"llm": "m"},
            "user_info": {},
        },
        "tasks": [{"id": "a"}, {"id": "b"}],
        "simulations": [
            simulation("a", 0, 1.0, agent_cost=0.5),
            simulation("a", 1, 0.0, agent_cost=0.25),
            simulation("b", 0, 0.0, agent_cost=None, skipped=True),
            simulation("b", 1, None),
        ],
    }
    path = tmp_path / "retail.json"
    path.write_text(json.dumps(data))
    found = result_statistics(read_sources([path]).results[0])
    assert (found["finished"], found["planned"], found["coverage"]) == (2, 4, 0.5)
    assert found["flaky_tasks"] == ["a"]
    assert found["pass_hat_k"]["1"]["value"] == 0.5
    assert found["pass_hat_k"]["2"]["value"] == 0.0
    assert found["agent_cost_usd"] is None
    assert found["mean_reward_by_basis"] == {"DB": 0.5}


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
