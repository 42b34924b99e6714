from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Run, RunLocal

from tau2_enhanced import cli
from tau2_enhanced.analysis.terminal_text import harmless
from tau2_enhanced.logging.events import (
    ContextReductionEvent,
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    StateChangeEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    ToolExecutionEvent,
    UserSimEvent,
    to_json,
    to_line,
)
from tau2_enhanced.runner.words import short

BEGAN = datetime(2026, 3, 14, 9, 26)
SIM = "b1946ac92492"


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def said(role: str, seconds: float, content: str | None = None, *calls: dict[str, Any], cost: float = 0.5) -> Any:
    return {
        "role": role, "content": content, "tool_calls": list(calls) or None, "timestamp": after(seconds).isoformat(),
        "cost": cost, "usage": {"prompt_tokens": 100, "completion_tokens": 10}, "raw_data": {"index": 0},
    }  # fmt: skip


def called(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": call_id, "name": name, "arguments": arguments, "requestor": "assistant"}


def answered(call_id: str, seconds: float, content: str, *, error: bool = False) -> dict[str, Any]:
    return {"role": "tool", "id": call_id, "content": content, "error": error, "timestamp": after(seconds).isoformat()}


GREETING = {"role": "assistant", "content": "Hi!", "timestamp": BEGAN.isoformat(), "usage": None, "raw_data": None}
MESSAGES = [
    GREETING,
    said("user", 2, "Cancel it.", cost=0.25),
    said("assistant", 5, None, called("c1", "get_order", id="#7"), called("c1", "cancel_order", id="#7")),
    answered("c1", 5.25, '{"id": "#7"}'),
    answered("c1", 5.5, "Error: too late", error=True),
    said("assistant", 9, "Done. \x1b[31mred"),
    said("user", 10, "###STOP###", cost=0.25),
]
REWARD = {
    "reward": 0.0,
    "db_check": {"db_match": False, "db_reward": 0.0},
    "action_checks": [
        {"action": {"name": "get_order", "arguments": {"id": "#7"}, "requestor": "assistant"}, "action_match": True}
    ],
    "communicate_checks": [{"info": "327", "met": True, "justification": "said so"}],
    "reward_basis": ["DB", "COMMUNICATE"],
    "reward_breakdown": {"DB": 0.0, "COMMUNICATE": 1.0},
    "info": {"nl": {"note": "nothing to judge"}},
}


def simulation(task: str = "7", trial: int = 0, sim: str = SIM, **changed: Any) -> dict[str, Any]:
    return {
        "id": sim, "task_id": task, "trial": trial, "seed": 3, "start_time": BEGAN.isoformat(), "duration": 10.0,
        "termination_reason": "user_stop", "agent_cost": 1.0, "user_cost": 0.5, "reward_info": REWARD,
        "messages": MESSAGES,
    } | changed  # fmt: skip


def results(*simulations: dict[str, Any]) -> dict[str, Any]:
    return {
        "info": {
            "num_trials": 2, "environment_info": {"domain_name": "retail"}, "agent_info": {"llm": "m/agent"},
            "user_info": {"llm": "m/user"},
        },
        "tasks": [{"id": "7", "evaluation_criteria": None}],
        "simulations": list(simulations),
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which files are shown; pipes are 120 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


@pytest.fixture
def show(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """`tau2-enhanced show` with these flags; its output, or the one line of a mistake."""

    def run(*flags: str) -> str:
        code = cli.main(["show", *flags])
        shown = capsys.readouterr()
        assert code == (2 if shown.err else 0)
        assert not shown.err or (shown.err.count("\n") == 1 and not shown.out)
        return shown.err or shown.out

    return run


def write_results(path: str, *simulations: dict[str, Any]) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(results(*simulations)))
    return path


def test_results_of_any_runner_are_shown_with_the_times_between_messages(show: Any) -> None:
    lines = show("--from", write_results("some.json", simulation()), "retail:7").splitlines()
    assert lines[0] == "retail 7 · trial 0 · failed 0"
    assert "agent m/agent · user m/user" in lines
    assert "USD 1.5000: agent 1.0000 · user 0.5000 · tokens 400 in, 40 out" in lines
    assert "5 messages · 2 tool calls · 1 tool error" in lines
    assert any(line.startswith("no log of it") for line in lines)
    assert "reward 0 = DB 0 × COMMUNICATE 1" in lines
    assert "  ✗ DB          the database is not as the gold actions leave it" in lines
    assert '  ✓ ACTION      get_order(id="#7") (not in the reward)' in lines
    assert "  ✓ COMMUNICATE 327 – said so" in lines
    turns = [line.split() for line in lines[lines.index("") :] if line[:1].isspace() or line[:1].isdigit()]
    assert ["2.00", "user", "Cancel", "it.", "2.00", "s", "$0.2500"] in turns
    assert ["5.00", "agent", "→", 'get_order(id="#7")', "3.00", "s", "$0.5000"] in turns
    assert ["←", '{"id":', '"#7"}'] in turns
    assert ["✗", "Error:", "too", "late"] in turns
    assert any(r"Done. \x1b[31mred" in line for line in lines)
    assert not any(line != line.rstrip() for line in lines)


def events() -> list[ExecutionEvent]:
    at: dict[str, Any] = {"sim": SIM, "run": "R", "domain": "retail", "task": "7", "trial": 0}
    looked = {"tool_name": "get_order", "tool_call_id": "c1", "execution_time": 0.002}
    replayed = {"tool_name": "cancel_order", "execution_time": 9.0, "phase": "replay"}
    costs = {"agent_cost_usd": 0.125, "user_cost_usd": 0.25, "expert_cost_usd": 0.5, "judge_cost_usd": 0.01}
    tried = {"attempts": 3, "retry_wait_ms": 250.0}
    tool = {"tool_call_id": "c1#2", "step": 1, "timestamp": after(5.4)}
    diff = [{"op": "replace", "path": "/orders/#7/status", "old": "pending", "new": "cancelled"}]
    return [
        UserSimEvent(**at, step=0, timestamp=after(2), duration_ms=1500.0, cost_usd=0.25, **tried),
        LLMCallEvent(**at, step=1, timestamp=after(3), duration_ms=1000.0, cost_usd=0.125, start_ms=2.0),
        ExpertCallEvent(**at, step=1, timestamp=after(5), duration_ms=500.0, cost_usd=0.5, expert="deep", start_ms=3.0),
        ToolExecutionEvent(**at, step=1, timestamp=after(5.2), **looked),
        ToolExecutionEvent(**at, **tool, tool_name="cancel_order", execution_time=0.25, state_changed=True),
        ToolExecutionEvent(**at, step=1, timestamp=after(1), **replayed),
        StateChangeEvent(**at, **tool, state_type="database", action_trigger="cancel_order", state_diff=diff),
        ContextReductionEvent(**at, step=2, timestamp=after(6), strategy="window", messages_before=4, messages_after=2),
        LLMCallEvent(**at, step=2, timestamp=after(9), duration_ms=2000.0, start_ms=5.0),
        EvaluatorEvent(**at, timestamp=after(10.5), model="m/judge", duration_ms=400.0, cost_usd=0.01),
        TaskCompleteEvent(**at, timestamp=after(10.6), **costs),
    ]  # fmt: skip


def test_turns_without_usage_are_turns(show: Any) -> None:
    bare = [message | {"usage": None, "raw_data": None} for message in MESSAGES]
    found = json.loads(show("--from", write_results("some.json", simulation(messages=bare)), "7", "--json"))
    assert [turn["number"] for turn in found["turns"]] == [-1, 0, 1, 2, 3]
    assert [turn["model_ms"] for turn in found["turns"]] == [None, 2000.0, 3000.0, 3500.0, 1000.0]


def assert_joined(found: dict[str, Any]) -> None:
    turns = found["turns"]
    assert [turn["number"] for turn in turns] == [-1, 0, 1, 2, 3]
    # the last has no event: the time between messages
    assert [turn["model_ms"] for turn in turns] == [None, 1500.0, 1500.0, 2000.0, 1000.0]
    assert [turn["cost_usd"] for turn in turns] == [None, 0.25, 0.625, 0.5, 0.25]
    assert [use["duration_ms"] for use in turns[2]["tools"]] == [pytest.approx(2.0), pytest.approx(250.0)]
    assert [change["state_diff"][0]["new"] for change in turns[2]["tools"][1]["changes"]] == ["cancelled"]
    assert not turns[2]["tools"][0]["changes"]
    assert found["cost_by_role_usd"] == {"agent": 0.125, "user": 0.25, "expert": 0.5, "judge": 0.01}


def test_a_log_gives_times_costs_and_changes(show: Any) -> None:
    write_results("out/R/retail.json", simulation())
    Path("logs").mkdir()
    other = LLMCallEvent(sim="else", step=0, timestamp=after(1), duration_ms=9.0)
    lines = ["a message", *map(to_line, [*events(), other])]
    Path("logs/eval_retail.log").write_text("\n".join([*lines, f"[PROFILE] 2026-03-14 cut sim={SIM}", ""]))
    assert_joined(json.loads(show("--from", "out/R", SIM, "--json")))
    text = show("--from", "R", "--outputs", "out", "retail_enhanced:7:0")
    assert text == show("--from", "R", "--output-dir", "out", "retail_enhanced:7:0")
    assert '~ /orders/#7/status: "pending" → "cancelled"' in text
    assert "user sim · 1.50 s · 3 attempts · after 250 ms of failed ones and waits" in text
    assert "expert deep · 500 ms" in text
    assert "context cut (window): 4 → 2 messages" in text
    assert "evaluator · m/judge · 400 ms" in text
    assert "times from " in text
    assert str(Path("logs/eval_retail.log").resolve()) in text.replace("\n", "")


def test_a_later_evaluation_adds_the_judges_cost_and_takes_nothing_away(show: Any) -> None:
    path = write_results("out/R/retail.json", simulation())
    costs = {"cost_usd": 0.5, "agent_cost_usd": 0.0, "user_cost_usd": 0.0, "judge_cost_usd": 0.5}
    later = TaskCompleteEvent(sim=SIM, timestamp=after(99), continues=SIM, **costs)
    Path("eval.log").write_text("".join(to_line(event) + "\n" for event in [*events(), later]))
    found = json.loads(show("--from", path, SIM, "--json", "--logs", "eval.log"))
    assert found["cost_by_role_usd"] == {"agent": 0.125, "user": 0.25, "expert": 0.5, "judge": 0.51}


def test_files_of_events_are_joined_and_nothing_counts_twice(show: Any) -> None:
    path = write_results("out/R/retail.json", simulation())
    calls = [
        ToolCallEvent(sim=SIM, step=1, function=name, tool_call_id="c1", timestamp=after(5), duration_ms=250.0)
        for name in ("get_order", "cancel_order")
    ]  # fmt: skip
    Path("out/R/run/events").mkdir(parents=True)
    Path("out/R/run/events/retail.jsonl").write_text("".join(to_json(event) + "\n" for event in events()))
    Path("more.log").write_text("".join(to_line(event) + "\n" for event in [*events(), *calls]))
    assert_joined(json.loads(show("--from", path, SIM, "--json")))
    both = ("out/R/run/events/retail.jsonl", "more.log")
    assert_joined(json.loads(show("--from", path, SIM, "--json", "--logs", *both)))


def test_a_time_of_day_that_was_set_back_puts_no_call_before_another(show: Any) -> None:
    path = write_results("some.json", simulation(messages=[*MESSAGES[:2], *MESSAGES[2:5] * 2]))
    made = [(5.0, 100.0, 0.001), (1.0, 200.0, 0.002)]
    with Path("events.jsonl").open("w") as file:
        for second, start_ms, took_s in made:
            event = ToolExecutionEvent(sim=SIM, tool_name="get_order", timestamp=after(second), start_ms=start_ms,
                                       execution_time=took_s)  # fmt: skip
            file.write(to_json(event) + "\n")
    turns = json.loads(show("--from", path, SIM, "--json", "--logs", "events.jsonl"))["turns"]
    assert [turn["tools"][0]["duration_ms"] for turn in turns if turn["tools"]] == [1.0, 2.0]


def test_what_lies_beside_results_is_told_apart_and_joined(show: Any) -> None:
    write_results("runs/first.json", simulation())
    Path("runs/other.json").write_text('{"numbers": []}')
    listed = json.dumps({"execution_events": [json.loads(to_json(event)) for event in events()]})
    Path("runs/first_enhanced_logs.json").write_text(listed)
    assert_joined(json.loads(show("--from", "runs", SIM, "--json")))
    Path("runs/first_enhanced_logs.json").unlink()
    Path("runs/first_events.jsonl").write_text("".join(to_json(event) + "\n" for event in events()))
    assert_joined(json.loads(show("--from", "runs", SIM, "--json")))


def test_results_of_tau2_1_0_in_files_of_their_own_are_shown(show: Any) -> None:
    data = results() | {"simulation_index": [{"id": SIM}]}
    del data["simulations"]
    Path("saved/simulations").mkdir(parents=True)
    Path("saved/results.json").write_text(json.dumps(data))
    Path(f"saved/simulations/{SIM}.json").write_text(json.dumps(simulation(messages=None, ticks=[])))
    assert "retail 7 · trial 0 · failed 0" in show("--from", "saved", "retail:7")


def test_names_find_simulations(show: Any) -> None:
    path = write_results(
        "some.json", simulation(), simulation(trial=1, sim="b19ffff"), simulation("70", sim="c00"),
        simulation("[mobile]a|b[PERSONA:None]", sim="d00"),
    )  # fmt: skip

    def sim(name: str) -> str:
        return json.loads(show("--from", path, name, "--json"))["sim"]

    assert [sim(name) for name in (SIM, "b1946", "retail:7", "7", "retail:7:1", "7:1")] == [SIM] * 4 + ["b19ffff"] * 2
    assert [sim(name) for name in ("retail:70", "c", "retail:[mobile]", "[mobile]a|b[PERSONA:None]:0")] == [
        "c00"
    ] * 2 + ["d00"] * 2
    assert "retail:7:0, retail:7:1" in show("--from", path, "b19")
    assert "no simulation is called" in show("--from", path, "airline:7")


def test_a_name_may_be_shortened_as_lists_show_it(show: Any) -> None:
    long = "[mobile]airplane_mode_on|bad_network_preference|data_mode_off|data_usage_exceeded"
    easy, hard = f"{long}[PERSONA:Easy]", f"{long}[PERSONA:Hard]"
    path = write_results(
        "some.json", simulation(easy), simulation(easy, 1, "b1fff"), simulation(hard, sim="d00"), simulation("7")
    )

    def sim(name: str) -> str:
        return json.loads(show("--from", path, name, "--json"))["sim"]

    shown = short(easy)
    assert "…" in shown
    assert [sim(name) for name in (shown, f"retail:{shown}", f"{shown}:1", f"retail_enhanced:{shown}:1")] == [
        SIM, SIM, "b1fff", "b1fff"
    ]  # fmt: skip
    assert sim(f"{short(hard)}:0") == "d00"
    assert f"may be any of retail:{easy}:0, retail:{easy}:1, retail:{hard}:0\n" in show("--from", path, "[mobile]…")
    for name in (f"airline:{shown}", f"{shown}:2", "[mobile]…[PERSONA:None]"):
        assert "no simulation is called" in show("--from", path, name)


def test_of_a_simulation_that_has_not_ended_it_says_so(run_local: RunLocal, show: Any) -> None:
    run: Run = run_local("--domains", "mock", "--task-ids", "create_task_1")
    outputs = run.folder / "outputs" / "R"
    own = outputs / "run"
    status = json.loads((own / "status.json").read_text())
    going = {"domain": "mock", "task": "update_task_1", "trial": 0, "sim": SIM, "thread": "worker-1", "step": 3}
    waits = {"waiting_for": "agent gold", "waiting_s": 9.0, "age_s": 9.0, "running_s": 10.0, "last_error": None}
    (own / "status.json").write_text(json.dumps({**status, "ended": False, "running": [{**going, **waits}]}))
    told = "tau2-enhanced show: mock:update_task_1:0 has not ended: tau2-enhanced status R says what it does\n"
    for name in ("update_task_1", "mock_enhanced:update_task_1:0", "upd…_1:0", SIM[:5]):
        assert show("--from", str(outputs), name) == told
    assert "mock create_task_1" in show("--from", str(outputs), "create_task_1")
    assert "no simulation is called" in show("--from", str(outputs), "update_task")
    (own / "status.json").unlink()
    assert "no simulation is called" in show("--from", str(outputs), "update_task_1")


def test_all_are_listed_without_a_name(show: Any) -> None:
    path = write_results("some.json", simulation("10"), simulation("9", reward_info=None, agent_cost=None))
    lines = show("--from", path).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["retail:9:0", "retail:10:0"]
    assert "no verdict" in lines[1]
    assert lines[-1] == "2 simulations in some.json: 1 no verdict, 1 failed"
    found = json.loads(show("--from", path, "--json"))
    assert [(one["task"], one["reward"], one["cost_usd"]) for one in found] == [("9", None, None), ("10", 0.0, 1.5)]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "no run in outputs"),
        (["--from", "nowhere"], "nowhere"),
        (["--from", "empty"], "no results"),
        (["--from", "no.json"], "no results file"),
        (["--from", "no.jsonl"], "no record"),
        (["--from", "none.json"], "no simulation yet"),
    ],
)
def test_mistakes_are_one_line(show: Any, flags: list[str], said: str) -> None:
    Path("empty").mkdir()
    Path("no.json").write_text("[]")
    Path("no.jsonl").write_text('{"domain":"x"}\n')
    write_results("none.json")
    assert said in show(*flags)


def test_long_texts_are_shortened_unless_all_is_wanted(show: Any) -> None:
    long = json.dumps({"text": "word " * 400 + "end"})
    messages = [GREETING, said("assistant", 1, None, called("c", "note", text="a" * 2000)), answered("c", 2, long)]
    path = write_results("some.json", simulation(messages=messages))
    assert "characters more" in show("--from", path, "7")
    whole = show("--from", path, "7", "--full")
    assert "characters more" not in whole
    assert 'end"' in whole


def test_a_real_run_is_shown_while_it_runs_and_after(
    run_local: RunLocal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Run = run_local("--domains", "mock", "--task-ids", "create_task_1", "update_task_with_message_history")
    for name in ("create_task_1", "mock:update_task_with_message_history"):
        assert cli.main(["show", name, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        spoken = [turn for turn in found["turns"] if turn["number"] >= 0]
        events = [event for event in run.events("mock") if event.sim == found["sim"]]
        calls = [event for event in events if event.type in ("llm_call", "user_sim")]
        assert [turn["model_ms"] for turn in spoken] == [pytest.approx(event.duration_ms) for event in calls]
        uses = [use for turn in spoken for use in turn["tools"]]
        tools = [event for event in events if event.type == "tool_call"]
        assert [(use["name"], use["duration_ms"]) for use in uses] == [(e.function, e.duration_ms) for e in tools]
        assert uses
    run.results("mock").unlink()  # as before a run's end
    assert cli.main(["show", "create_task_1", "--no-pager"]) == 0
    assert "passed 1" in capsys.readouterr().out


@given(st.text(st.characters(), max_size=40))
def test_a_text_commands_no_terminal(text: str) -> None:
    shown = harmless(text)
    assert all(letter == "\n" or letter.isprintable() or ord(letter) > 0x9F for letter in shown)
    assert "\x1b" not in shown
    shown.encode()
