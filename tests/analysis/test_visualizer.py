from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chromium import chromium, opened
from matplotlib.image import imread
from support import CHECKOUT, RunLocal

from tau2_enhanced import cli
from tau2_enhanced.analysis import LogAnalyzer, LogVisualizer
from tau2_enhanced.analysis.executions.reading import read_executions
from tau2_enhanced.analysis.tool_figures import (
    FIGURES,
    argument_heatmap,
    bottlenecks,
    dashboard,
    failures,
    simulation_timeline,
    state_changes,
    tool_flow,
)
from tau2_enhanced.analysis.trajectory.listed import Listed
from tau2_enhanced.analysis.trajectory.logged import Logged
from tau2_enhanced.analysis.trajectory.trajectory import trajectory
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    StateChangeEvent,
    TaskCompleteEvent,
    ToolExecutionEvent,
    to_json,
)
from tau2_enhanced.logging.execution_logger import ExecutionLogger

pytestmark = pytest.mark.filterwarnings("error")

BEGAN = datetime(2026, 3, 14, 9, 26)
RECORDED = CHECKOUT.parent / "shared" / "data" / "airline_gemini2_5_flash_10tasks_2t_enhanced_logs.json"
PICTURES = {
    "tools_dashboard",
    "tools_failures",
    "tools_state_changes",
    "tools_flow",
    "tools_bottlenecks",
    "tools_arguments",
    "simulation_timeline",
}


def call(sim: str, at_s: float, tool: str, took_s: float, **more: Any) -> ToolExecutionEvent:
    values = {"success": True, "state_changed": False, "args_count": 1, "args_complexity_score": 0.25} | more
    return ToolExecutionEvent(
        run="R", sim=sim, domain="retail", task=sim[1:], trial=0, timestamp=BEGAN + timedelta(seconds=at_s),
        start_ms=1000 * (at_s - took_s), tool_name=tool, tool_call_id=f"{sim}-{at_s}", execution_time=took_s, **values,
    )  # fmt: skip


def events() -> list[ExecutionEvent]:
    """Two simulations: look, look, change; and look (fails), look (fails), look; and what the evaluator replayed."""
    failed = {"success": False, "error_type": "ValueError", "state_changed": False}
    given = {"tool_args": {"id": "#W7"}, "args_types": {"id": "str"}}
    diff = [{"op": "replace", "path": "/orders/#W7/status", "old": "pending", "new": "cancelled"}]
    return [
        call("s1", 1.0, "look", 0.25, **given),
        call("s1", 3.0, "look", 0.25, tool_args={"id": "#W8", "deep": True}, args_types={"id": "str", "deep": "bool"}),
        call("s1", 6.0, "cancel", 1.0, **given, state_changed=True),
        StateChangeEvent(
            run="R", sim="s1", domain="retail", task="1", trial=0, timestamp=BEGAN + timedelta(seconds=6),
            tool_call_id="s1-6.0", state_type="database", action_trigger="cancel", state_diff=diff,
            change_summary="orders/#W7/status: pending → cancelled",
        ),
        call("s2", 2.0, "look", 0.125, error_message="Order #W9 not found", **failed, **given),
        call("s2", 4.0, "look", 0.125, error_message="Order #W10 not found", **failed, **given),
        call("s2", 5.0, "look", 0.25, **given),
        call("s2", 7.0, "cancel", 6.0, phase="replay", **given),
        TaskCompleteEvent(
            run="R", sim="s2", domain="retail", task="2", trial=0, timestamp=BEGAN + timedelta(seconds=8), reward=0.0,
            duration_ms=8000.0, start_ms=0.0,
        ),
    ]  # fmt: skip


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("events.jsonl").write_text("".join(to_json(event) + "\n" for event in events()))
    return "events.jsonl"


def test_what_pictures_show_by_hand(log: str) -> None:
    analysis = LogAnalyzer(log).get_comprehensive_analysis()
    shown = dashboard.select(analysis)
    assert shown is not None
    assert (shown.tools, shown.calls, shown.errors) == (["look", "cancel"], [5, 1], [2, 0])
    assert shown.success[0] is not None
    assert shown.success[0].value == pytest.approx(3 / 5)
    assert sum(part.calls for part in shown.durations_ms) == 6
    assert (sum(part.calls for part in shown.over_time_s), sum(part.errors for part in shown.over_time_s)) == (6, 2)
    assert "6 calls in 2 simulations" in shown.headline

    failed = failures.select(analysis)
    assert failed is not None
    assert [(tool, share.value, count) for tool, share, count in failed.tools] == [("look", 2 / 5, 2)]
    assert failed.causes == [("Order #… not found", 2)]
    assert [(name, share.value) for name, share in failed.places] == [("call 1", 0.5), ("call 2", 0.5), ("call 3", 0.0)]

    changed = state_changes.select(analysis)
    assert changed is not None
    assert (changed.tools, changed.places, changed.changes) == ([("cancel", 1, 0)], [("/orders", 1)], 1)

    flow = tool_flow.select(analysis)
    assert flow is not None
    begun_and_ended = {("(begin)", "look"): 2, ("look", "(end)"): 1, ("cancel", "(end)"): 1}
    assert flow.counts == {("look", "look"): 3, ("look", "cancel"): 1, **begun_and_ended}
    assert flow.shares["look", "look"] == pytest.approx(3 / 5)

    slow = bottlenecks.select(analysis)
    assert slow is not None
    assert {tool: (ms, calls) for tool, ms, _, _, calls in slow.tools} == {"look": (1000.0, 5), "cancel": (1000.0, 1)}
    assert slow.slowest[0][:2] == ("cancel · retail 1 #0", 1000.0)

    given = argument_heatmap.select(analysis)
    assert given is not None
    assert given.rates == {("look", "id"): 1.0, ("look", "deep"): 1 / 5, ("cancel", "id"): 1.0}
    assert given.arguments[0] == "id"


def test_every_picture_is_written_twice_and_names_its_run(log: str) -> None:
    visualizer = LogVisualizer(log, "out")
    drawn = visualizer.draw_all()
    assert {path.stem for path in drawn.paths} == PICTURES
    assert {path.suffix for path in drawn.paths} == {".png", ".svg"}
    assert not drawn.left_out
    for path in drawn.paths:
        if path.suffix == ".png":
            assert imread(path).std() > 0.01
        else:
            ET.parse(path)
    assert visualizer.source == "run R"


def test_what_has_no_data_is_said(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(to_json(ToolExecutionEvent(timestamp=BEGAN, tool_name="look")) + "\n")
    visualizer = LogVisualizer(path, tmp_path)
    assert {path.stem for path in visualizer.draw_all().paths} == {"tools_dashboard"}
    assert {sentence.partition(":")[0] for sentence in visualizer.left_out} == PICTURES - {"tools_dashboard"}
    assert LogVisualizer(visualizer.analyzer, tmp_path).failures() == []


def test_any_names_and_any_number_of_tools_are_drawn(tmp_path: Path) -> None:
    names = [f"tool_{number}_{'x' * number}" for number in range(45)] + ["$\\frac{a}$", "<b>", "工具", "", "\x1b[31m"]
    calls = []
    for number, name in enumerate(names):
        given = {"tool_args": {name: 1}, "args_types": {name: "int"}, "success": bool(number % 3)}
        calls.append(call("s1", 1.0 + number, name, 0.01 * number, **given))
    path = tmp_path / "events.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in calls))
    drawn = LogVisualizer(path, tmp_path).draw_all()
    assert {path.stem for path in drawn.paths} == PICTURES - {"tools_state_changes"}


def test_half_a_character_in_arguments_is_reported_as_its_escape(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with ExecutionLogger(path) as logger:
        for title in ("cut \ud83d", "cut \ud83d", "whole"):
            logger.log_tool_execution(
                "put", True, 0.1, {"title": title, "\ud83d": 1}, sim="s", state_changed=False, validation_errors=[title]
            )
    analysis, *_ = LogVisualizer(path, tmp_path).write_report(figures=False)
    found = json.loads(analysis.read_text(encoding="utf-8"))["tools"]
    [repeated] = found["redundant_calls"]["most_repeated"]
    assert json.loads(repeated["arguments"]) == {"title": "cut \ud83d", "\ud83d": 1}
    assert found["arguments"]["patterns"] == [{"tool": "put", "arguments": ["title", "\\ud83d"], "count": 3}]
    assert found["arguments"]["validation_errors"] == {"cut \\ud83d": 2, "whole": 1}


def test_a_timeline_has_messages_calls_and_changes_at_their_times() -> None:
    calls = [{"id": "a", "name": "look", "arguments": {"id": 7}}, {"id": "b", "name": "cancel", "arguments": {}}]
    messages = [
        {"role": "user", "content": "Cancel it.", "timestamp": "2026-03-14T09:26:02", "usage": {"prompt_tokens": 1}},
        {"role": "assistant", "content": None, "tool_calls": calls, "timestamp": "2026-03-14T09:26:05"},
        {"role": "tool", "id": "a", "content": "7", "timestamp": "2026-03-14T09:26:05.5"},
        {"role": "tool", "id": "b", "content": "no", "error": True, "timestamp": "2026-03-14T09:26:06"},
    ]
    entry = {"start_time": BEGAN.isoformat(), "messages": messages}
    listed = Listed(Path("r.json"), "R", "retail", "1", 0, "s1", 0.0, "user_stop", 10.0, None, load=lambda: entry)
    logged = [event for event in events() if event.sim == "s1"][1:]
    shown = simulation_timeline.select(trajectory(listed, Logged(logged, [])))
    assert shown is not None
    assert [(row.who, row.text, row.at_s, row.began_s) for row in shown.rows] == [
        ("user", "Cancel it.", 2.0, 0.0),
        ("agent", "", 5.0, 2.0),
        ("tool", "look(\nid=7)", 5.25, 5.0),
        ("tool", "cancel(\n)", 6.25, 5.25),
    ]
    assert [row.failed for row in shown.rows] == [False, False, False, True]
    assert [row.change for row in shown.rows] == [None, None, None, "orders/#W7/status: pending → cancelled"]


def test_calls_whose_id_comes_again_have_each_their_own_outcome() -> None:
    def asked(second: int, *numbers: int) -> dict[str, Any]:
        calls = [{"id": "call_0", "name": "look", "arguments": {"id": number}} for number in numbers]
        return {"role": "assistant", "content": None, "tool_calls": calls, "timestamp": f"2026-03-14T09:26:0{second}"}

    def answer(second: int, content: str, *, error: bool = False) -> dict[str, Any]:
        moment = f"2026-03-14T09:26:0{second}"
        return {"role": "tool", "id": "call_0", "content": content, "error": error, "timestamp": moment}

    messages = [asked(1, 1), answer(2, "no", error=True), asked(3, 2, 3), answer(4, "two"), answer(5, "no", error=True)]
    entry = {"start_time": BEGAN.isoformat(), "messages": messages}
    listed = Listed(Path("r.json"), "R", "retail", "1", 0, "s1", 0.0, "user_stop", 10.0, None, load=lambda: entry)
    found = trajectory(listed, Logged([], []))
    assert [use.answer for turn in found.turns for use in turn.tools] == ["no", "two", "no"]
    shown = simulation_timeline.select(found)
    assert shown is not None
    assert [(row.text, row.failed) for row in shown.rows if row.who == "tool"] == [
        ("look(\nid=1)", True), ("look(\nid=2)", False), ("look(\nid=3)", True),
    ]  # fmt: skip


def test_a_timeline_without_a_conversation_has_calls_and_changes(log: str) -> None:
    found = read_executions(log)
    own = [frame.filter(frame["simulation"] == "s1") for frame in (found.calls, found.state_changes)]
    shown = simulation_timeline.select_calls(*own)
    assert shown is not None
    assert [(row.at_s, row.text) for row in shown.rows] == [
        (0.25, 'look(\nid="#W7")'),
        (2.25, 'look(\nid="#W8", deep=true)'),
        (5.25, 'cancel(\nid="#W7")'),
    ]
    assert shown.rows[2].change == "orders/#W7/status: pending → cancelled"
    drawn = LogVisualizer(log, "out")
    for name in ("s1", "retail:1", "retail:1:0", "retail_enhanced:1"):
        assert [path.name for path in drawn.timeline(name)] == ["simulation_timeline.png", "simulation_timeline.svg"]
    for name in ("nobody", "retail:1:7", "airline:1"):
        with pytest.raises(UserMistake, match=name):
            drawn.timeline(name)


def test_a_timeline_without_a_conversation_has_the_changes_of_both_databases(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with ExecutionLogger(path) as logger:
        logger.log_tool_execution("resume", True, 0.1, sim="s", tool_call_id="c", state_changed=True)
        for state in ("database", "user_database"):
            logger.log_state_change("resume", {state: 0}, {state: 1}, state_type=state, sim="s", tool_call_id="c")
    found = read_executions(path)
    timeline = simulation_timeline.select_calls(found.calls, found.state_changes)
    assert timeline is not None
    assert [row.change for row in timeline.rows] == ["database: 0 → 1; user_database: 0 → 1"]


def test_the_report_of_a_real_run(run_local: RunLocal, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_local("--domains", "mock", "--task-ids", "create_task_1", "update_task_1")
    assert (
        cli.main(["report", "logs", str(run.results("mock")), "--output-dir", "out", "--simulation", "update_task_1"])
        == 0
    )
    assert "not drawn: tools_state_changes" in capsys.readouterr().out
    page, text = Path("out/report.html").read_text(), Path("out/report.md").read_text()
    assert "## Tools" in text
    assert "| create\\_task | 1 |" in text or "| create_task | 1 |" in text
    assert "![simulation timeline](simulation_timeline.png)" in text
    assert page.count("data:image/png;base64,") == text.count(".png)")
    numbers = json.loads(Path("out/analysis.json").read_text())
    assert numbers["tools"]["basic_stats"]["total_tool_calls"] == 2
    assert numbers["summary"]["results"][0]["finished"] == 2
    assert {path.name for path in Path("out").iterdir()} == {"analysis.json", *numbers["files"]}


def test_analyze_prints_tables_or_all_numbers(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["analyze", log]) == 0
    shown = capsys.readouterr().out
    assert "6 tool calls of 2 tools in 2 simulations · 66.7 % succeed" in shown
    assert "Order #… not found" in shown
    assert "note: 1 of 7 tool calls" in shown
    assert cli.main(["analyze", log, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["errors"]["total_errors"] == 2
    for command in ("analyze", "report"):
        assert cli.main([command, "nowhere.json"]) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["", "[INFO] 2026-03-14 09:26:53.589 task=1 thread=worker-1 type=task_start run=R start_ms=1.000\n"]
)
def test_where_nothing_is_told_an_earlier_report_stays(
    log: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.log"
    empty.write_text(text)
    assert cli.main(["report", log, "--output-dir", "out", "--no-figures"]) == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    for command in (["report", "--output-dir", "out"], ["analyze"], ["analyze", "--json"]):
        assert cli.main([*command, str(empty)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        assert "these logs have neither tool calls nor timed events" in shown.err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "chromium").mkdir()
    with opened(tmp_path / "chromium") as page:
        yield page


@pytest.mark.skipif(chromium() is None, reason="no chromium on PATH, and CHROME names none")
def test_the_page_shows_its_pictures_offline(log: str, browser: Any) -> None:
    LogVisualizer(log, "out").write_report()
    browser.open(Path("out/report.html").resolve())
    widths = browser.run("[...document.querySelectorAll('.pictures img')].map(image => image.naturalWidth)")
    assert len(widths) >= len(PICTURES)
    assert all(width > 800 for width in widths)
    titles = browser.run("[...document.querySelectorAll('h2')].map(title => title.textContent)")
    assert {"Tools", "Why calls of tools fail", "Calls that changed a database", "Which tool follows which"} <= set(
        titles
    )
    assert browser.complaints == []
    assert all(request.startswith(("file:", "data:")) for request in browser.requests)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded run is not here")
def test_the_recorded_run_is_drawn_with_its_true_counts() -> None:
    analysis = LogVisualizer(RECORDED).analysis
    shown = dashboard.select(analysis)
    assert shown is not None
    assert (sum(shown.calls), sum(shown.errors)) == (79, 8)
    assert all(module.select(analysis) is not None for module, _ in FIGURES.values())


def test_importing_the_analysis_loads_no_plots() -> None:
    script = (
        "import sys, tau2_enhanced.analysis; print([n for n in ('matplotlib', 'polars', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert done.stdout.strip() == "[]"
