from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, RunLocal

from tau2_enhanced.analysis.main import main
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    LLMCallEvent,
    RunStartEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    to_line,
)

MIDNIGHT = datetime(2026, 3, 14)
RECORDED = CHECKOUT.parent / "shared" / "data" / "airline_gemini2_5_flash_10tasks_2t.json"
Write = Callable[..., str]


def simulation(
    run: str, task: str, trial: int, seconds: float, reward: float | None = 1.0, cost: float | None = 0.5,
    *, ended: bool = True, tokens: int | None = 100, attempt: str = "",
) -> list[ExecutionEvent]:  # fmt: skip
    """The events of a simulation that takes `seconds`, half of them in one call of the model."""
    at: dict[str, Any] = {
        "run": run,
        "sim": f"{run}-{task}-{trial}{attempt}",
        "domain": "retail",
        "task": task,
        "trial": trial,
        "start_ms": 0.0,
    }
    call = LLMCallEvent(
        **at, timestamp=MIDNIGHT, model="m", duration_ms=500 * seconds, input_tokens=tokens, output_tokens=tokens
    )
    end = TaskCompleteEvent(
        **at, timestamp=MIDNIGHT + timedelta(hours=trial), duration_ms=1000 * seconds, reward=reward, cost_usd=cost,
        agent_cost_usd=cost, steps=3,
    )  # fmt: skip
    return [TaskStartEvent(**at, timestamp=MIDNIGHT), call, *([end] if ended else [])]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes simulations as the log of a run; its name."""
    monkeypatch.chdir(tmp_path)

    def log(run: str, *simulations: list[ExecutionEvent]) -> str:
        lines = [to_line(event) for events in simulations for event in events]
        Path(f"{run}.log").write_text("\n".join(lines) + "\n")
        return f"{run}.log"

    return log


def compared(*flags: str) -> dict[str, Any]:
    assert main(["--compare", *flags, "--no-figures", "--output_dir", "out"]) == 0
    return json.loads(Path("out/compare.json").read_text())


def test_numbers_by_hand(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    # task 1: trials of 1 s and 3 s against 3 s; task 2: 2 s against 4 s; task 3: 3 s against 6 s
    first = write(
        "A", simulation("A", "1", 0, 1), simulation("A", "1", 1, 3, 0.0), simulation("A", "2", 0, 2),
        simulation("A", "3", 0, 3, 0.0), simulation("A", "9", 0, 9),
    )  # fmt: skip
    second = write(
        "B", simulation("B", "1", 0, 3), simulation("B", "2", 0, 4, 0.0), simulation("B", "3", 0, 6, 1.0, 0.25)
    )
    found = compared(first, second)
    here, there = found["runs"]
    assert (here["name"], here["tasks"], here["simulations"], here["least_trials"], here["most_trials"]) == (
        "A",
        4,
        5,
        1,
        2,
    )
    # shares of 1/2, 1, 0 and 1, whose squared distances from 5/8 are 11/16 together
    assert (here["pass_1"]["value"], here["pass_1"]["standard_error"]) == pytest.approx((5 / 8, (11 / 16 / 12) ** 0.5))
    assert there["pass_1"]["value"] == pytest.approx(2 / 3)
    assert there["wall_time_s"] == 6.0
    (pair,) = found["comparisons"]
    assert (pair["tasks"], pair["baseline_only"], pair["run_only"]) == (3, ["retail:9"], [])
    duration = pair["measures"]["duration_s"]
    # differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t of 2 degrees of freedom 4.302653
    assert (duration["baseline"], duration["run"], duration["difference"]) == pytest.approx((7 / 3, 13 / 3, 2.0))
    assert (duration["low"], duration["high"]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)
    assert duration["percent"] == pytest.approx(100 * 2 / (7 / 3))
    assert pair["measures"]["model_s"]["difference"] == pytest.approx(1.0)
    assert pair["measures"]["cost_usd"]["difference"] == pytest.approx(-0.25 / 3)
    # 0.5 -> 1, 1 -> 0, 0 -> 1
    assert pair["measures"]["pass_1"]["difference"] == pytest.approx((0.5 - 1 + 1) / 3)
    changes = [(change["change"], change["task"]) for change in pair["changes"]]
    assert changes == [("lost", "2"), ("gained", "3"), ("more_often", "1")]
    shown = capsys.readouterr().out
    assert "only A has 1 task, left out here: retail:9" in shown
    assert "different numbers of trials" in shown
    assert "no difference in duration can be told: −0.5 to +4.5 s a task" in shown


def test_the_wall_time_is_without_the_stops_of_a_run(write: Write) -> None:
    def from_second(start_s: int, events: list[ExecutionEvent]) -> list[ExecutionEvent]:
        return [replace(event, start_ms=1000.0 * start_s) for event in events]

    # 5 s, then an hour in which no runner ran, then 3 s, the last 2 of them a simulation's
    again = RunStartEvent(run="A", timestamp=MIDNIGHT, start_ms=3_605_000.0, resumed=True)
    logs = [
        write("A", simulation("A", "1", 0, 5), [again], from_second(3606, simulation("A", "2", 0, 2))),
        write("B", simulation("B", "1", 0, 5), from_second(5, simulation("B", "2", 0, 2))),
    ]
    assert [run["wall_time_s"] for run in compared(*logs)["runs"]] == [8.0, 7.0]
    assert [run["wall_time_s"] for run in compared(*logs, "--task", "1", "2")["runs"]] == [8.0, 7.0]


def test_a_run_and_its_like_do_not_differ(write: Write) -> None:
    seconds = [1.25, 2.5, 7.75, 3.0, 9.1]
    logs = [
        write(run, *(simulation(run, str(n), 0, s, float(n % 2)) for n, s in enumerate(seconds))) for run in ("A", "B")
    ]
    (pair,) = compared(*logs)["comparisons"]
    assert pair["changes"] == []
    for measure in pair["measures"].values():
        assert measure["difference"] == 0
        assert measure["sentence"].startswith("no difference in ")
    assert pair["measures"]["pass_1"]["low"] < 0 < pair["measures"]["pass_1"]["high"]


def test_turned_round_all_signs_turn(write: Write) -> None:
    logs = [
        write("A", *(simulation("A", str(n), 0, n + 1.0, float(n % 2)) for n in range(6))),
        write("B", *(simulation("B", str(n), 0, 0.5 * n * n + 2.0, float(n % 3 == 0), 0.1 * n) for n in range(6))),
    ]
    found, back = (compared(*order)["comparisons"][0] for order in (logs, logs[::-1]))
    assert found["measures"].keys() == back["measures"].keys()
    for key, measure in found["measures"].items():
        assert measure["difference"] == pytest.approx(-back["measures"][key]["difference"])
        if measure["low"] is not None:
            assert measure["low"] == pytest.approx(-back["measures"][key]["high"])
    turned = {"lost": "gained", "gained": "lost"}
    assert [turned[change["change"]] for change in back["changes"]].count("lost") == 2
    assert {c["task"] for c in found["changes"]} == {c["task"] for c in back["changes"]}


def test_what_is_unknown_is_left_out_and_said(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    first = write("A", *(simulation("A", str(n), 0, n + 1.0, cost=None, tokens=None) for n in range(3)))
    second = write(
        "B", *(simulation("B", str(n), 0, 2.0 * n + 3) for n in range(3)), simulation("B", "0", 1, 500.0, None),
        simulation("B", "7", 0, 1.0, ended=False),
    )  # fmt: skip
    found = compared(first, second)
    (pair,) = found["comparisons"]
    assert not {"cost_usd", "agent_cost_usd", "input_tokens", "output_tokens"} & pair["measures"].keys()
    assert found["runs"][1]["mean_duration_s"] == 5.0
    assert (found["runs"][1]["unfinished"], found["runs"][1]["without_verdict"]) == (1, 1)
    assert found["runs"][0]["total_cost_usd"] is None
    shown = capsys.readouterr().out
    for said in (
        "not compared: cost: unknown in A", "not compared: input tokens: unknown in A",
        "B: 1 of 5 simulations had not ended and are left out",
        "B: 1 of 5 simulations ended without a verdict and are left out",
    ):  # fmt: skip
        assert said in shown


def test_a_log_and_results_are_compared_by_the_costs_that_both_tell(write: Write) -> None:
    def costs(task: str, agent: float, expert: float | None) -> list[ExecutionEvent]:
        *rest, end = simulation("A", task, 0, 1.0)
        known = agent + (expert or 0.0) + 0.0625 + 0.03125
        return [*rest, replace(end, cost_usd=known, agent_cost_usd=agent, expert_cost_usd=expert,
                               user_cost_usd=0.0625, judge_cost_usd=0.03125)]  # fmt: skip

    log = write("A", costs("1", 0.25, 0.5), costs("2", 0.5, None), costs("3", 0.1, 0.2))
    entries = [
        {"id": f"B-{task}", "task_id": task, "trial": 0, "start_time": MIDNIGHT.isoformat(), "duration": 1.0,
         "termination_reason": "user_stop", "reward_info": {"reward": 1.0}, "agent_cost": agent, "user_cost": 0.0625,
         "messages": []}
        for task, agent in (("1", 0.75), ("2", 0.75), ("3", 0.3))
    ]  # fmt: skip
    info = {"num_trials": 1, "environment_info": {"domain_name": "retail"}, "agent_info": {}, "user_info": {}}
    told = {"info": info, "tasks": [{"id": "1"}, {"id": "2"}, {"id": "3"}], "simulations": entries}
    Path("B.json").write_text(json.dumps(told))
    found = compared(log, "B.json", "--task", "1", "2")
    (pair,) = found["comparisons"]
    # agent 0.75 and 0.5 against 0.75 twice, each with 0.0625 of the user
    for key, baseline, run in (("agent_cost_usd", 0.625, 0.75), ("cost_usd", 0.6875, 0.8125)):
        numbers = pair["measures"][key]
        assert (numbers["baseline"], numbers["run"], numbers["difference"]) == (baseline, run, 0.125)
    assert found["runs"][0]["total_cost_usd"] == 1.375
    # 0.1 + 0.2 are 0.3
    (pair,) = compared(log, "B.json", "--task", "3")["comparisons"]
    assert (pair["measures"]["agent_cost_usd"]["difference"], pair["measures"]["cost_usd"]["difference"]) == (0, 0)
    # of two logs all that was paid counts
    Path("C.log").write_text(Path(log).read_text().replace("A", "C"))
    alone = compared(log, "C.log", "--task", "1", "2")["runs"][0]
    assert (alone["mean_agent_cost_usd"], alone["total_cost_usd"]) == (0.375, 1.4375)


def test_what_a_run_did_not_log_is_not_compared(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    first = write("A", *(simulation("A", str(n), 0, n + 1.0) for n in range(3)))
    without = [[event for event in simulation("B", str(n), 0, n + 1.0) if event.type != "llm_call"] for n in range(3)]
    (pair,) = compared(first, write("B", *without))["comparisons"]
    assert not {"llm_calls", "tool_calls", "model_s", "tools_s", "framework_s"} & pair["measures"].keys()
    assert pair["measures"]["duration_s"]["difference"] == 0
    assert "not compared: time of the model: unknown in B" in capsys.readouterr().out


def test_an_attempt_that_was_made_again_does_not_count(write: Write) -> None:
    first = write("A", simulation("A", "1", 0, 1.0), simulation("A", "2", 0, 5.0))
    again = write("B", simulation("B", "1", 0, 90.0, None, attempt="-failed"), simulation("B", "1", 0, 2.0))
    write("B-killed", simulation("B", "1", 0, 70.0, ended=False, attempt="-killed"))
    found = compared(first, "B=B*.log", "--task", "1")
    assert again == "B.log"
    run = found["runs"][1]
    assert (run["begun"], run["simulations"], run["mean_duration_s"], run["unfinished"]) == (1, 1, 2.0, 0)
    assert found["comparisons"][0]["measures"]["duration_s"]["difference"] == 1.0


def test_runs_without_any_verdict_are_compared_by_the_rest(write: Write) -> None:
    logs = [write(run, *(simulation(run, str(n), 0, n + s, None) for n in range(3))) for run, s in (("A", 1), ("B", 2))]
    (pair,) = compared(*logs)["comparisons"]
    assert {"pass_1", "reward"}.isdisjoint(pair["measures"])
    assert pair["measures"]["duration_s"]["sentence"] == "B is 1.0 s slower a task, in each of 3 tasks the same"
    assert pair["left_out"][:2] == ["pass^1: unknown in A and in B", "reward: unknown in A and in B"]


def test_tasks_trials_and_times_can_be_chosen(write: Write) -> None:
    logs = [
        write(run, *(simulation(run, str(n), trial, s + 10 * trial + n) for n in range(3) for trial in range(2)))
        for run, s in (("A", 1.0), ("B", 2.0))
    ]
    for flags, tasks, mean in (
        (["--task", "0", "2"], 2, 7.0), (["--trial", "1"], 3, 12.0), (["--since", "2026-03-14T00:30"], 3, 12.0),
        (["--until", "2026-03-14T00:30"], 3, 2.0),
    ):  # fmt: skip
        here = compared(*logs, *flags)["runs"][0]
        assert (here["tasks"], here["mean_duration_s"]) == (tasks, mean)
        assert here["mean_model_s"] == mean / 2


def test_names(write: Write, tmp_path: Path) -> None:
    for folder in ("x/before", "x/after"):
        (tmp_path / folder).mkdir(parents=True)
        log = write("R", simulation("R", "1", 0, 1.0))
        text = Path(log).read_text().replace("sim=R", f"sim={folder[2:]}")
        (tmp_path / folder / "eval_retail.log").write_text(text)
    names = [run["name"] for run in compared("x/before", "x/after/eval_*.log")["runs"]]
    assert names == ["before", "after/eval_*.log"]
    assert [run["name"] for run in compared("x/before", "x/after")["runs"]] == ["before", "after"]
    assert [run["name"] for run in compared("old=x/before", "new=x/after")["runs"]] == ["old", "new"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["A.log"], "--compare needs two runs or more, the baseline first"),
        (["A.log", "A.log"], "A.log and A.log are the same run"),
        (["A.log", "copy.log"], "A.log and copy.log are the same run: they share 1 simulations"),
        (["A.log", "other.log"], "A and other have no task in common"),
        (["A.log", "open.log"], "open.log: no simulation there that ended"),
        (["A.log", "nowhere.log"], "nowhere.log can't be read: No such file or directory"),
        (["A.log", "nowhere*.log"], "nowhere*.log: no logs there"),
        (["n=A.log", "n=B.log"], "two runs are called n"),
        (["A.log", "B.log", "--task", "5"], "A.log: no simulation there that ended and is meant"),
        (["A.log", "B.log", "--log_file", "A.log", "--trace"], "can't be combined with --log_file, --trace"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    write: Write, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    Path("copy.log").write_text(Path(write("A", simulation("A", "1", 0, 1.0))).read_text())
    write("B", simulation("B", "1", 0, 2.0))
    write("other", simulation("other", "2", 0, 1.0))
    write("open", simulation("open", "1", 0, 1.0, ended=False))
    assert main(["--compare", *flags, "--output_dir", "out"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.filterwarnings("error")
def test_three_runs_and_their_pictures(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    logs = [
        write(run, *(simulation(run, str(n), 0, s * (n + 1) ** 2, float(n > s), 0.1 * s * n) for n in range(8)))
        for run, s in (("A", 1.0), ("B", 2.0), ("C$_µ", 40.0))
    ]
    assert main(["--compare", *logs, "--output_dir", "out"]) == 0
    pictures = {
        f"compare_{name}.{form}" for name in ("distributions", "differences", "tasks") for form in ("png", "svg")
    }
    assert {path.name for path in Path("out").iterdir()} == pictures | {"compare.json", "compare.md"}
    # the marks are squares and diamonds
    assert "a mark for each of 8 tasks" in Path("out/compare_tasks.svg").read_text()
    text = Path("out/compare.md").read_text()
    assert text.startswith("# B, C$\\_µ against A\n")
    assert "![compare_tasks.png](compare_tasks.png)" in text
    found = json.loads(Path("out/compare.json").read_text())
    sentences = [row["sentence"] for pair in found["comparisons"] for row in pair["measures"].values()]
    shown = capsys.readouterr().out
    assert all(sentence in shown for sentence in sentences)
    assert not list(Path("out").glob(".*"))


def test_pictures_without_data_are_said(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    logs = [
        write(run, simulation(run, "1", 0, 1.0, None, None)[:1] + simulation(run, "1", 0, 1.0, None, None)[2:])
        for run in "AB"
    ]
    assert main(["--compare", *logs, "--output_dir", "out"]) == 0
    shown = capsys.readouterr().out
    assert "not drawn: compare_distributions: duration of an llm_call of A: unknown" in shown
    assert "not drawn: compare_tasks: no task's duration or cost differs" in shown


def test_a_real_run_against_a_slower_one(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_local("--domains", "mock", "--num-tasks", "3", "--run-id", "fast")
    run_local("--domains", "mock", "--num-tasks", "4", "--num-trials", "2", "--run-id", "twice")
    assert run.code == 0
    for flags in (["outputs/fast", "outputs/twice"], ["logs/fast", "logs"]):
        found = compared(*flags)
        assert [(r["name"], r["tasks"], r["coverage"]) for r in found["runs"]] == [("fast", 3, 1.0), ("twice", 4, 1.0)]
        (pair,) = found["comparisons"]
        assert pair["measures"]["pass_1"]["difference"] == 0
        assert pair["measures"]["steps"]["sentence"] == "no difference in steps: the same in each of 3 tasks"
        assert pair["run_only"] == ["mock:update_task_1"]
    capsys.readouterr()
    mixed = compared("outputs/fast", "logs")
    assert "duration_s" not in mixed["comparisons"][0]["measures"]
    assert "fast: results files tell durations, tokens and model calls otherwise" in capsys.readouterr().out
    assert main(["--compare", "outputs/twice", "logs", "--output_dir", "out"]) == 2
    assert "are the same run: they share 8 simulations" in capsys.readouterr().err


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded run is not here")
def test_the_recorded_runs_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = json.loads(RECORDED.read_text())
    for trial in (0, 1):
        own = [entry for entry in data["simulations"] if entry["trial"] == trial]
        Path(f"trial{trial}.json").write_text(json.dumps(data | {"simulations": own}))
    (pair,) = compared("trial0.json", "trial1.json")["comparisons"]
    assert pair["tasks"] == 10
    assert pair["measures"]["pass_1"]["baseline"] == pytest.approx(0.6)
    costs = [sum(e["agent_cost"] for e in data["simulations"] if e["trial"] == trial) / 10 for trial in (0, 1)]
    assert pair["measures"]["agent_cost_usd"]["difference"] == pytest.approx(costs[1] - costs[0])
