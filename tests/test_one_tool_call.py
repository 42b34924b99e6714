"""`docs/one-tool-call.md` shows what a run of that task leaves, but for times, ids and digests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, RunLocal

from tau2_enhanced import cli
from tau2_enhanced.analysis.main import main as analyse

PAGE = CHECKOUT / "docs" / "one-tool-call.md"
TOOL = "cancel_pending_order"
VARYING = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+", "TIME"),
    (r"\bR\b|\d{8}-\d{6}-[0-9a-f]{4}", "RUN"),
    (r"worker-\d+", "WORKER"),
    (r'((?:sim"?[=:] ?"?)|"digest": ")[0-9a-f]+', r"\1ID"),
    (r'((?:\w+_ms|execution_time|share|seq)"?[=:] ?)[\d.e-]+', r"\1NUMBER"),
    # where a line of a table is broken depends on how long its times are
    (r"\b[\d.,]+ (?:µs|ms|s)\b|^ *\d+\.\d+(?= agent| user)", ""),
    (r"\d+ lines", "LINES"),
    (r"\s+", " "),
)
"""What differs from run to run, and what stands for it where pages are compared."""


def shown_by(folder: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What each step of the page prints, in its order; the working directory is `folder`."""
    run = folder / "outputs" / run_id
    messages = json.loads((run / "retail.json").read_text())["simulations"][0]["messages"]
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    lines = (folder / "logs" / "eval_retail.log").read_text().splitlines()
    events = [json.loads(line) for line in (run / "run" / "events" / "retail.jsonl").read_text().splitlines()]
    told = {event["type"]: event for event in events if TOOL in (event.get("tool_name"), event.get("action_trigger"))}
    analyse(["--log_file", "logs/eval_retail.log", "--no-figures"])
    summary = json.loads(Path("analysis_results/summary.json").read_text())
    capsys.readouterr()
    return [
        json.dumps(next(call for call in calls if call["name"] == TOOL)),
        next(line for line in lines if f"function={TOOL}" in line),
        _a_field_a_line(told["tool_execution"]),
        _a_field_a_line(told["state_change"]),
        _printed(capsys, "verify", str(Path("outputs", run_id, "run", "events", "retail.jsonl"))),
        _turn(_printed(capsys, "show", "retail:69")),
        _a_field_a_line(next(row for row in summary["durations"] if row["name"] == TOOL)),
        json.dumps(_state_changes(_printed(capsys, "analyze", f"outputs/{run_id}", "--json"))),
    ]


def _a_field_a_line(values: Mapping[str, Any]) -> str:
    fields = [f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "{\n" + ",\n".join(fields) + "\n}"


def _printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(list(arguments)) == 0
    return capsys.readouterr().out.strip()


def _turn(shown: str) -> str:
    """The turn in which the tool was called."""
    lines = shown.splitlines()
    begin = next(place for place, line in enumerate(lines) if f"→ {TOOL}" in line)
    end = next(place for place in range(begin + 1, len(lines)) if lines[place][:1].strip())
    return "\n".join(lines[begin:end])


def _state_changes(analysis: str) -> Any:
    return next(row for row in json.loads(analysis)["state_changes"]["by_tool"] if row["tool"] == TOOL)


def same(text: str) -> str:
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text.strip()


def test_the_page_shows_what_a_run_leaves(
    run_local: RunLocal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    run = run_local("--domains", "retail", "--task-ids", "69", "--enhanced")
    assert run.code == 0
    page = PAGE.read_text()
    blocks = re.findall(r"```(?:text|json)\n(.*?)\n```", page, flags=re.DOTALL)
    fresh = shown_by(run.folder, "R", capsys)
    assert [same(block) for block in blocks] == [same(text) for text in fresh]


def test_the_page_names_files_that_are_there() -> None:
    page = PAGE.read_text()
    named = re.findall(r"\]\(([^)#:]+)\)|`(tau2_enhanced/[\w/]+\.py)`", page)
    assert named
    assert [path for pair in named for path in pair if path and not _is_there(path)] == []


def _is_there(path: str) -> bool:
    return (CHECKOUT / path).exists() or (PAGE.parent / path).exists()
