"""Simulations run from Python: the document's snippet, its two files, and what happens when things go wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, StandIn, wait_until

from tau2_enhanced import run_enhanced_simulation
from tau2_enhanced.errors import Tau2EnhancedError, UserMistake
from tau2_enhanced.logging.audit import State, verify
from tau2_enhanced.logging.event_files import read_events
from tau2_enhanced.runner.enhanced_run import RunStopped

pytestmark = pytest.mark.usefixtures("registry")

METHOD_2 = """
from tau2_enhanced import run_enhanced_simulation
from tau2.domains.airline.environment import get_tasks

# Load tasks
tasks = get_tasks()
test_task = next(task for task in tasks if task.id == "2")

# Run enhanced simulation
results, (main_path, logs_path) = run_enhanced_simulation(
    domain="airline_enhanced",
    tasks=[test_task],
    agent="llm_agent",
    user="user_simulator",
    llm_agent="gemini/gemini-2.5-flash",
    llm_user="gemini/gemini-2.5-flash",
    num_trials=1,
    save_dir="./enhanced_logs"
)

print(f"Results saved to: {main_path}")
print(f"Enhanced logs saved to: {logs_path}")
"""
KILLED = """
import sys
from tau2_enhanced import run_enhanced_simulation
run_enhanced_simulation(
    "mock", llm_agent="vllm/gold", llm_user="vllm/gold", num_trials=20, save_dir=sys.argv[1], max_concurrency=4,
    llm_args_agent={"base_url": sys.argv[2]}, llm_args_user={"base_url": sys.argv[2]},
)
"""


def tasks_of(registry: Any, domain: str, *ids: str) -> list[Any]:
    tasks = registry.get_tasks_loader(domain)()
    return [next(task for task in tasks if task.id == wanted) for wanted in ids]


def served(url: str, **more: Any) -> dict[str, Any]:
    """Arguments by which a stand-in answers that is no part of the run."""
    return {
        "llm_agent": "vllm/gold",
        "llm_user": "vllm/gold",
        "llm_args_agent": {"base_url": url},
        "llm_args_user": {"base_url": url},
        **more,
    }


def logs_at(path: Path) -> dict[str, Any]:
    logs: dict[str, Any] = json.loads(path.read_text())
    assert list(logs) == ["timestamp", "execution_events", "state_snapshots", "summary"]
    return logs


def test_the_documents_snippet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(METHOD_2.replace("gemini/gemini-2.5-flash", "gold"), names)
    told = capfd.readouterr()
    assert told.err == ""
    results_line, logs_line = told.out.splitlines()
    main_path, logs_path = names["main_path"], names["logs_path"]
    assert results_line == f"Results saved to: {main_path}"
    assert logs_line == f"Enhanced logs saved to: {logs_path}"
    assert main_path.parent == logs_path.parent == Path("enhanced_logs")
    assert logs_path.name == f"{main_path.stem}_enhanced_logs.json"
    [simulation] = names["results"].simulations
    assert (simulation.task_id, simulation.reward_info.reward) == ("2", 1.0)
    calls = [event for event in logs_at(logs_path)["execution_events"] if event["type"] == "tool_execution"]
    answered = [message for message in simulation.messages if message.role == "tool"]
    assert [call["tool_call_id"] for call in calls] == [message.id for message in answered]


def test_two_trials_of_retail_are_in_both_files(registry: Any, tmp_path: Path) -> None:
    from tau2.data_model.simulation import Results

    tasks = tasks_of(registry, "retail", "0", "3")
    results, (main_path, logs_path) = run_enhanced_simulation(
        "retail", tasks, llm_agent="gold", num_trials=2, save_dir=tmp_path
    )
    assert type(results) is Results
    assert Results.load(main_path) == results
    ended = {(s.task_id, s.trial): s for s in results.simulations}
    assert sorted(ended) == [("0", 0), ("0", 1), ("3", 0), ("3", 1)]
    assert {s.reward_info.reward for s in ended.values()} == {1.0}
    assert results.info.num_trials == 2

    logs = logs_at(logs_path)
    made = Counter((e["task"], e["trial"]) for e in logs["execution_events"] if e["type"] == "tool_execution")
    assert made == {key: sum(m.role == "tool" for m in simulation.messages) for key, simulation in ended.items()}
    around = Counter(s["action_trigger"] for s in logs["state_snapshots"])
    assert around["start"] == around["end"] == 4
    assert logs["summary"]["finished"] == logs["summary"]["planned"] == 4
    assert logs["summary"]["events"]["tool_calls"]["total"] == made.total()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".jsonl"]
    assert verify(logs_path.with_suffix(".jsonl")).state is State.INTACT


def test_the_plain_and_the_enhanced_domain_come_to_the_same(registry: Any, tmp_path: Path) -> None:
    came_to = []
    for domain in ("mock", "mock_enhanced"):
        results, _ = run_enhanced_simulation(domain, save_dir=tmp_path)
        assert results.info.environment_info.domain_name == "mock"
        came_to.append(
            {
                s.task_id: (s.reward_info.reward, s.seed, [(m.role, m.content) for m in s.messages])
                for s in results.simulations
            }
        )
    plain, enhanced = came_to
    assert plain == enhanced
    assert plain.keys() == {task.id for task in registry.get_tasks_loader("mock")()}


@pytest.mark.parametrize(
    ("agent", "user", "ends"),
    [
        ("llm_agent", "user_simulator", "user_stop"),
        ("llm_agent_gt", None, "user_stop"),
        ("llm_agent_solo", None, "agent_stop"),
    ],
)
def test_tau2s_own_agents_by_their_names(
    registry: Any, tmp_path: Path, agent: str, user: str | None, ends: str
) -> None:
    tasks = tasks_of(registry, "mock", "create_task_1", "update_task_1")
    results, (_, logs_path) = run_enhanced_simulation("mock", tasks, agent, user, save_dir=tmp_path)
    assert [(s.reward_info.reward, s.termination_reason.value) for s in results.simulations] == [(1.0, ends)] * 2
    assert results.info.agent_info.implementation == agent
    assert results.info.user_info.implementation == (
        user or ("dummy_user" if ends == "agent_stop" else "user_simulator")
    )
    steps = [event for event in logs_at(logs_path)["execution_events"] if event["type"] == "step_complete"]
    assert ("user" in {step["from_role"] for step in steps}) == (ends == "user_stop")


def test_an_agent_that_only_talks_where_it_must_act_has_failed(
    registry: Any, tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in plays this solo agent as a model that takes the part of one with a user."""
    monkeypatch.setattr("tau2_enhanced.runner.attempt.request_headers", talkative)
    [task] = tasks_of(registry, "mock", "impossible_task_1")
    results, _ = run_enhanced_simulation(
        "mock", [task], "llm_agent_solo", save_dir=tmp_path, **served(stand_in("--no-calls"))
    )
    [simulation] = results.simulations
    assert (simulation.termination_reason.value, simulation.reward_info.reward) == ("agent_error", 0.0)
    assert simulation.messages == []


def talkative(job: Any, participant: Any, *, solo: bool) -> dict[str, str]:
    named = {"domain": job.domain, "task": job.task, "trial": job.trial, "role": "agent"}
    return {"X-Tau2-Simulation": json.dumps(named)}


def test_what_was_recorded_is_replayed(registry: Any, tmp_path: Path) -> None:
    tasks = tasks_of(registry, "mock", "create_task_1", "update_task_1", "impossible_task_1")
    played, (path, _) = run_enhanced_simulation("mock", tasks, num_trials=2, save_dir=tmp_path / "played")
    again, _ = run_enhanced_simulation("mock", tasks[:2], llm_agent=f"replay:{path}", save_dir=tmp_path / "again")

    def said(results: Any, ids: set[str]) -> dict[tuple[str, int], Any]:
        return {
            (s.task_id, s.trial): ([(m.role, m.content) for m in s.messages], s.reward_info.reward, s.seed)
            for s in results.simulations
            if s.task_id in ids
        }

    wanted = {task.id for task in tasks[:2]}
    assert said(again, wanted) == said(played, wanted)
    assert len(again.simulations) == 4


def test_a_killed_run_leaves_all_it_had_finished(tmp_path: Path, stand_in: StandIn) -> None:
    folder = tmp_path / "runs"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), stand_in("--latency", "0.01")],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def finished() -> int:
        return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.record.jsonl"))

    wait_until(lambda: finished() >= 12, process)
    process.kill()
    _, err = process.communicate()
    assert err == ""
    [record] = folder.glob("*.record.jsonl")
    kept = [json.loads(line) for line in record.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    assert 12 <= len(kept) < 180
    assert all(line["simulation"]["messages"] for line in kept)
    [events] = folder.glob("*_enhanced_logs.jsonl")
    assert verify(events).state in (State.OPEN, State.CUT)
    ended = {event.sim for event in read_events(events) if event.type == "task_complete"}
    assert {line["sim"] for line in kept} <= ended
    assert list(folder.glob("*[0-9].json")) == []


def test_threads_run_side_by_side_and_apart(registry: Any, tmp_path: Path) -> None:
    tasks = tasks_of(registry, "mock", "create_task_1", "update_task_1")

    def run(domain: str) -> tuple[Any, dict[str, Any]]:
        results, (_, logs_path) = run_enhanced_simulation(
            domain, tasks if domain == "mock" else None, save_dir=tmp_path
        )
        return results, logs_at(logs_path)

    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(run, ["mock", "mock_enhanced", "mock"]))
    assert len({results.simulations[0].id for results, _ in made}) == 3
    for results, logs in made:
        sims = {simulation.id for simulation in results.simulations}
        assert {event["sim"] for event in logs["execution_events"] if "sim" in event} == sims
        assert {event["run"] for event in logs["execution_events"]} == {logs["summary"]["run"]}


def test_replays_are_recorded_where_that_is_asked_for(registry: Any, tmp_path: Path) -> None:
    tasks = tasks_of(registry, "retail", "0")

    def phases(save_dir: Path, **asked: bool) -> Counter[str]:
        _, (_, logs_path) = run_enhanced_simulation("retail", tasks, save_dir=save_dir, **asked)
        logs = logs_at(logs_path)
        calls = Counter(e["phase"] for e in logs["execution_events"] if e["type"] == "tool_execution")
        assert logs["summary"]["events"]["tool_calls"]["total"] == calls["live"]
        return calls

    with ThreadPoolExecutor(2) as pool:
        plain = pool.submit(phases, tmp_path / "plain")
        asked = pool.submit(phases, tmp_path / "asked", record_replays=True)
    live = plain.result()["live"]
    assert plain.result() == {"live": live}
    assert (asked.result()["live"], asked.result()["gold"]) == (live, live)
    # tau2 1.0 replays those calls alone that change something
    assert 0 < asked.result()["replay"] <= live


def test_the_start_names_all_who_take_part(registry: Any, tmp_path: Path) -> None:
    [task] = tasks_of(registry, "mock", "create_task_1")
    _, (_, logs) = run_enhanced_simulation("mock", [task], experts=["wise=gold"], save_dir=tmp_path)
    [start] = [event for event in logs_at(logs)["execution_events"] if event["type"] == "run_start"]
    assert (start["agent_model"], start["user_model"], start["experts"]) == ("gold", "gold", "wise=gold")


def test_it_takes_no_signals_and_prints_nothing(
    registry: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, _: taken.append(number))
    run_enhanced_simulation("mock", tasks_of(registry, "mock", "create_task_1"), save_dir=tmp_path)
    assert (taken, *capfd.readouterr()) == ([], "", "")


def test_progress_is_shown_where_it_is_asked_for(
    registry: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_enhanced_simulation("mock", tasks_of(registry, "mock", "create_task_1"), save_dir=tmp_path, show_progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "create_task_1" in err


def test_a_server_that_fails_leaves_simulations_without_verdict(
    registry: Any, tmp_path: Path, stand_in: StandIn
) -> None:
    [task] = tasks_of(registry, "mock", "create_task_1")
    results, (_, logs_path) = run_enhanced_simulation(
        "mock", [task], save_dir=tmp_path, llm_retries=0, **served(stand_in("--fail-every", "1"))
    )
    [simulation] = results.simulations
    assert simulation.reward_info.info["no_verdict"] == "http_500"
    summary = logs_at(logs_path)["summary"]
    assert (summary["finished"], summary["planned"]) == (0, 1)


def test_what_was_finished_below_the_cost_limit_is_kept(registry: Any, tmp_path: Path, stand_in: StandIn) -> None:
    tasks = tasks_of(registry, "mock", "create_task_1", "update_task_1")
    with pytest.raises(
        RunStopped, match=r"--max-cost 0.0001 USD is reached; what had finished is in .*\.json"
    ) as stopped:
        run_enhanced_simulation(
            "mock",
            tasks,
            save_dir=tmp_path,
            num_trials=10,
            max_concurrency=1,
            max_cost=0.0001,
            prices=["vllm/gold=1/1"],
            **served(stand_in()),
        )
    # the next one is begun while the first is put on record
    finished = len(stopped.value.results.simulations)
    assert 1 <= finished < 20
    summary = logs_at(stopped.value.paths[1])["summary"]
    assert (summary["planned"], summary["finished"], len(summary["not_run"])) == (20, finished, 20 - finished)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"domain": "moon"}, "unknown domain 'moon': tau2 has mock, "),
    ({"agent": "my_agent"}, "unknown agent 'my_agent': tau2 has llm_agent, "),
    ({"user": "nobody"}, "unknown user 'nobody': tau2 has user_simulator, dummy_user"),
    ({"user": "dummy_user"}, "don't go together"),
    ({"agent": "llm_agent_solo", "user": "user_simulator"}, "don't go together"),
    ({"agent": "llm_agent_gt"}, "llm_agent_gt can't be given mock create_task_1_nl_eval"),
    ({"tasks": []}, "no tasks are chosen"),
    ({"tasks": ["create_task_1"]}, "'create_task_1' is none of tau2's tasks"),
    ({"num_trials": 0}, "must be at least 1, not 0"),
    ({"llm_agent": "gpt-4.1"}, "needs a key"),
    ({"prices": ["gild=1/2"]}, "the run has no such model, but gold"),
    ({"llm_agent": "replay:nowhere.json"}, "nowhere.json can't be read"),
]


@pytest.mark.parametrize(("given", "said"), MISTAKES)
def test_a_mistake_is_an_exception_and_leaves_nothing(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserMistake) as mistake:
        run_enhanced_simulation(**{"domain": "mock", "save_dir": tmp_path / "runs", **given})
    assert said in str(mistake.value)
    assert not (tmp_path / "runs").exists()


def test_two_tasks_of_one_id_are_a_mistake(registry: Any, tmp_path: Path) -> None:
    [task] = tasks_of(registry, "mock", "create_task_1")
    with pytest.raises(UserMistake, match="same id"):
        run_enhanced_simulation("mock", [task, task], save_dir=tmp_path)


def test_a_folder_that_cant_be_written_is_a_mistake(registry: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserMistake, match="file"):
        run_enhanced_simulation("mock", tasks_of(registry, "mock", "create_task_1"), save_dir=tmp_path / "file")


def test_an_unknown_argument_is_named(tmp_path: Path) -> None:
    run: Callable[..., Any] = run_enhanced_simulation
    with pytest.raises(TypeError, match="unexpected keyword argument 'log_dir'"):
        run("mock", save_dir=tmp_path, log_dir="x")


def test_what_an_interrupted_run_had_finished_is_in_its_files(
    registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """^C comes between two simulations, as far as the caller can tell."""
    seen: list[Any] = []

    def interrupted(outcome: Any, *_: Any, **__: Any) -> None:
        seen.append(outcome)
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("tau2_enhanced.runner.enhanced_run.look_at_cost", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run_enhanced_simulation("mock", save_dir=tmp_path, max_concurrency=1)
    [results] = tmp_path.glob("*[0-9].json")
    assert {s["task_id"] for s in json.loads(results.read_text())["simulations"]} == {outcome.task for outcome in seen}
    assert threading.active_count() <= before + 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
@pytest.mark.parametrize("end", [".json", "_enhanced_logs.json"])
def test_a_document_that_the_disk_has_no_room_for_is_named_and_the_record_stays(
    registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    def fill_the_disk(*_: Any, **__: Any) -> None:
        [record] = tmp_path.glob("*.record.jsonl")
        unfinished = tmp_path / f"{record.name.removesuffix('.record.jsonl')}{end}.tmp"
        if not unfinished.is_symlink():
            unfinished.symlink_to("/dev/full")

    monkeypatch.setattr("tau2_enhanced.runner.enhanced_run.look_at_cost", fill_the_disk)
    with pytest.raises(Tau2EnhancedError) as failed:
        run_enhanced_simulation("mock", tasks_of(registry, "mock", "create_task_1"), save_dir=tmp_path)
    [record] = tmp_path.glob("*.record.jsonl")
    named = str(record).replace(".record.jsonl", end)
    assert str(failed.value) == f"{named} can't be written: No space left on device"
    assert record.read_text().count("\n") == 1


def test_importing_the_package_stays_light() -> None:
    script = "import sys, tau2_enhanced; print([m for m in sys.modules if m.startswith(('tau2', 'pydantic', 'rich'))])"
    told = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    modules = set(eval(told.stdout))
    assert not {name for name in modules if name.partition(".")[0] in ("tau2", "pydantic", "rich")}
    assert "tau2_enhanced.runner" not in modules
