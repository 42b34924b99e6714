from __future__ import annotations

import json
import re
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import made_table

from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.main import main
from tau2_enhanced.analysis.number_texts import duration_text, number_text
from tau2_enhanced.analysis.report import write_reports
from tau2_enhanced.analysis.report.data import report_data
from tau2_enhanced.analysis.report.head import head
from tau2_enhanced.analysis.report.html import embedded
from tau2_enhanced.analysis.report.lanes import Lane, lanes
from tau2_enhanced.analysis.report.markdown import escaped
from tau2_enhanced.analysis.report.tables import tables
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.summary import summarise
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    LLMCallEvent,
    RunStartEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
    to_line,
)

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\"> 'a' | `b` <!-- ü\u2028\u202e𝒯 \\"


def of(sim: str, start_ms: float, /, **values: Any) -> dict[str, Any]:
    common = {"run": "R", "sim": sim, "domain": "retail", "task": sim, "trial": 0, "thread": "worker-1"}
    return {"timestamp": datetime(2026, 3, 14, 9, 26), "start_ms": start_ms, **common, **values}


def two_simulations() -> list[ExecutionEvent]:
    """One that passes after a model call, a tool that fails and a call that waited, and one that has no verdict."""
    return [
        TaskStartEvent(**of("1", 10.0)),
        LLMCallEvent(
            **of("1", 10.5), step=0, model="m", duration_ms=2.25, input_tokens=100, output_tokens=5, attempts=1
        ),
        ToolCallEvent(**of("1", 13.0), step=0, function="f", duration_ms=0.125, error=True, requestor="assistant"),
        LLMCallEvent(
            **of("1", 20.0),
            step=1,
            model="m",
            duration_ms=4.0,
            ttft_ms=1.5,
            cost_usd=0.01,
            attempts=2,
            retry_wait_ms=3.0,
        ),
        TaskCompleteEvent(
            **of("1", 10.0), duration_ms=15.0, reward=1.0, termination_reason="user_stop", steps=2, cost_usd=0.01
        ),
        TaskStartEvent(**of("2", 25.5)),
        LLMCallEvent(**of("2", 26.0), step=0, model="n", duration_ms=1.0, error_type="timeout"),
        TaskCompleteEvent(**of("2", 25.5), duration_ms=3.0, error_type="timeout"),
    ]


def table_of(events: list[ExecutionEvent]) -> EventTable:
    lines = Lines()
    read_events(events, lines)
    return to_table(lines)


def data_of(table: EventTable, **more: Any) -> dict[str, Any]:
    found = simulations(table)
    summary = summarise(table, {}, found)
    return report_data(table, found, summary, head(table, found, summary), **more)


def written(table: EventTable, folder: Path, **more: Any) -> list[Path]:
    found = simulations(table)
    return write_reports(table, found, summarise(table, {}, found), folder, **more)


class Scripts(HTMLParser):
    """The elements of a page, and what its data element holds."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.data = ""
        self._in_data = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self._in_data = ("id", "data") in attributes

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data

    def handle_endtag(self, tag: str) -> None:
        self._in_data = False


def test_the_columns_of_a_small_run() -> None:
    data = data_of(table_of(two_simulations()))
    assert data["lanes"] == [{"run": "R", "thread": "worker-1"}]
    assert data["left_out"] == {"simulations": 0, "calls": 0}
    assert data["simulations"] == {
        "n": 2,
        "run": {"texts": ["R"], "at": 0},
        "domain": {"texts": ["retail"], "at": 0},
        "task": {"texts": ["1", "2"], "at": [0, 1]},
        "trial": 0,
        "outcome": {"texts": ["passed", "no verdict"], "at": [0, 1]},
        "agent_model": {"texts": ["m", "n"], "at": [0, 1]},
        "ended_by": {"texts": ["user_stop", "timeout"], "at": [0, 1]},
        "reward": [1, None],
        "start_us": [10_000, 25_500],
        "span_us": [15_000, 3_000],
        "duration_us": [15_000, 3_000],
        "steps": [2, None],
        "llm_calls": [2, 1],
        "tool_calls": [1, 0],
        "tool_errors": [1, 0],
        "retries": [1, 0],
        "input_tokens": [100, 0],
        "cached_tokens": 0,
        "output_tokens": [5, 0],
        "cost_usd": [0.01, None],
        "counts": 1,
        "lane": 0,
        "calls": [3, 1],
    }
    assert data["calls"] == {
        "n": 4,
        "kind": {"texts": ["llm_call", "tool_call"], "at": [0, 1, 0, 0]},
        "name": {"texts": ["m", "f", "n"], "at": [0, 1, 0, 2]},
        "step": [0, 0, 1, 0],
        # from the simulation's start or the call before
        "start_us": [500, 2_500, 7_000, 500],
        "duration_us": [2_250, 125, 4_000, 1_000],
        "ttft_us": [None, None, 1_500, None],
        "retry_wait_us": [None, None, 3_000, None],
        "input_tokens": [100, None, None, None],
        "output_tokens": [5, None, None, None],
        "attempts": [1, None, 2, None],
        "cost_usd": [None, None, 0.01, None],
        "requestor": {"texts": ["assistant"], "at": [-1, 0, -1, -1]},
        "error": {"texts": ["unknown", "timeout"], "at": [-1, 0, -1, 1]},
    }


def test_the_head_says_what_the_run_came_to() -> None:
    table = table_of(two_simulations())
    found = simulations(table)
    top = head(table, found, summarise(table, {}, found))
    facts = {fact.name: (fact.value, fact.note) for fact in top.facts}
    assert (top.runs, top.domains, top.models) == (["R"], ["retail"], [("agent", "m, n")])
    assert top.outcomes == {"passed": 1, "no verdict": 1}
    assert facts["passed"] == ("100.0 %", "1 of 1 with a verdict")
    assert facts["wall time"] == ("18.5 ms", "18.0 ms of simulations")
    assert facts["cost USD"] == ("–", "agent –")
    assert facts["errors"] == ("3", "llm_call timeout 1 · 2 more kinds")


def test_what_never_ended_is_no_verdict_that_is_missing() -> None:
    table = table_of([*two_simulations(), TaskStartEvent(**of("3", 30.0)), LLMCallEvent(**of("3", 31.0), model="m")])
    found = simulations(table)
    top = head(table, found, summarise(table, {}, found))
    assert top.outcomes == {"passed": 1, "no verdict": 1, "unfinished": 1}
    assert data_of(table)["simulations"]["outcome"]["texts"] == ["passed", "no verdict", "unfinished"]


def test_a_stop_of_the_run_is_said_and_left_out() -> None:
    later = RunStartEvent(run="R", timestamp=datetime(2026, 3, 14, 9, 26), start_ms=5028.5, resumed=True)
    call = LLMCallEvent(**of("3", 5029.0), model="m", duration_ms=2.0)
    end = TaskCompleteEvent(**of("3", 5028.5), duration_ms=3.0, reward=1.0)
    table = table_of([*two_simulations(), later, call, end])
    found = simulations(table)
    summary = summarise(table, {}, found)
    facts = {fact.name: (fact.value, fact.note) for fact in head(table, found, summary).facts}
    # 18.5 ms, 5 s without a runner, 3 ms
    assert facts["wall time"] == ("21.5 ms", "21.0 ms of simulations · without 5.00 s between its parts")
    parts = next(shown for shown in tables(summary) if shown.id == "wall-time")
    assert [row[0] for row in parts.rows][-2:] == ["framework", "idle"]
    assert "nothing ran for 5.00 s, which is left out" in parts.note


def test_beyond_the_most_calls_the_fastest_simulations_lose_theirs() -> None:
    data = data_of(table_of(two_simulations()), most_calls=3)
    assert data["left_out"] == {"simulations": 1, "calls": 1}
    assert data["simulations"]["calls"] == [3, 0]
    assert data["calls"]["n"] == 3


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([("a", 0, 5), ("a", 5.5, 9)], ([Lane("R", "a")], [0, 0])),
        # a worker's two simulations that overlap, as in a run that was resumed
        ([("a", 0, 5), ("a", 3, 9)], ([Lane("R", "a")] * 2, [0, 1])),
        ([(None, 0, 5), (None, 3, 9), (None, 6, 7)], ([Lane("R", None)] * 2, [0, 1, 0])),
        ([("worker-10", 0, 1), ("worker-9", 0, 1)], ([Lane("R", "worker-9"), Lane("R", "worker-10")], [1, 0])),
        ([("a", None, None)], ([], [None])),
    ],
)
def test_in_one_row_no_two_simulations_run_at_once(spans: list[Any], expected: tuple[Any, Any]) -> None:
    schema = {"thread": pl.String(), "start_ms": pl.Float64(), "end_ms": pl.Float64()}
    found = pl.DataFrame(spans, schema=schema, orient="row").with_columns(pl.lit("R").alias("run"))
    assert tuple(lanes(found)) == expected


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_embedded_data_is_the_data_and_cannot_end_its_element(value: Any) -> None:
    text = embedded({"value": value})
    assert json.loads(text) == {"value": value}
    assert text.isascii()
    assert "<" not in text


def test_names_from_a_log_stay_text(tmp_path: Path) -> None:
    common = of(HOSTILE, 0.0, domain=HOSTILE, run=HOSTILE, thread=HOSTILE)
    events = [
        LLMCallEvent(**common, model=HOSTILE, duration_ms=1.0, error_type=HOSTILE),
        ToolCallEvent(**common, function=HOSTILE, duration_ms=1.0, error=True, error_type=HOSTILE),
        TaskCompleteEvent(**common, duration_ms=5.0, termination_reason=HOSTILE),
    ]
    html, markdown = (path.read_text(encoding="utf-8") for path in written(table_of(events), tmp_path))
    page = Scripts()
    page.feed(html)
    assert "img" not in page.elements
    assert page.elements.count("script") == 2
    assert json.loads(page.data)["simulations"]["task"]["texts"] == [HOSTILE]
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert rows
    assert "<img" not in re.sub(r"\\<", "", markdown)
    for line in rows:
        assert re.fullmatch(r"\|( (\\.|[^\\|])* \|)+", line), line


@given(st.text())
def test_markdown_shows_text_as_it_is(text: str) -> None:
    shown = escaped(text)
    assert not re.search(r"[\n\r\x00-\x1f]", shown)
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<`*]", shown)
    assert re.sub(r"\\(.)", r"\1", shown) == re.sub(r"[\s\x00-\x1f\x7f]+", " ", text)


def test_markdown_has_every_table_and_the_pictures(tmp_path: Path) -> None:
    table = made_table(12)
    found = simulations(table)
    summary = summarise(table, {"llm_call": 5000.0}, found)
    pictures = [tmp_path / "run_gantt.png"]
    text = write_reports(table, found, summary, tmp_path, pictures)[1].read_text()
    assert "![run gantt](run_gantt.png)" in text
    titles = [shown.title for shown in tables(summary)]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == titles
    assert "Goodput" in titles
    durations = text[text.index("## Durations") :].splitlines()
    row = next(line for line in durations if line.startswith("| expert_call | "))
    numbers = next(row for row in summary["durations"] if (row["type"], row["measure"]) == ("expert_call", "duration"))
    assert row.split(" | ")[2:5] == [str(numbers["n"]), str(numbers["errors"]), number_text(numbers["mean_ms"])]


def test_a_page_of_300_simulations_is_small(tmp_path: Path) -> None:
    page, _ = written(made_table(300), tmp_path)
    assert 100_000 < page.stat().st_size < 2_000_000


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    html = written(table_of(two_simulations()), tmp_path)[0].read_text()
    assert not re.search(r"https?://|@import|url\(", html)


def test_results_without_events_have_reports_too(tmp_path: Path) -> None:
    summary = {
        "results": [
            {
                "domain": "airline", "agent_model": "m", "user_model": None, "tasks": 1, "planned_tasks": 1,
                "planned": 2, "finished": 2, "coverage": 1.0,
                "pass_hat_k": {"1": {"value": 0.5, "low": None, "high": None, "tasks": 1}},
                "mean_reward_by_basis": {"DB": 0.5}, "flaky_tasks": ["7"], "never_passed_tasks": [],
                "agent_cost_usd": None, "user_cost_usd": None, "input_tokens": None, "output_tokens": None,
                "tool_accuracy": {"by_tool": []},
            }
        ]
    }  # fmt: skip
    table = EventTable()
    html, markdown = write_reports(table, simulations(table), summary, tmp_path)
    assert html.stat().st_size
    text = markdown.read_text()
    assert "- pass^1 airline: **50.0 %** (coverage 2/2)" in text
    assert "cost USD" not in text
    assert "| airline | 7 | some trials pass |" in text


def test_the_script_writes_the_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "eval_retail.log"
    log.write_text(
        "".join(f"{to_line(event)}\n" for event in two_simulations()) + "[PROFILE] 2026-03-14 09:26:53.589 type=llm_"
    )
    assert main(["--log_file", str(log), "--output_dir", str(tmp_path / "out"), "--no-figures"]) == 0
    assert "report.html report.md" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"summary.json", "report.html", "report.md"}


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0.0, "0 ms"), (0.125, "0.125 ms"), (999.4, "999 ms"), (999.6, "1.00 s"), (161573, "162 s"), (7.2e6, "2.00 h")],
)
def test_durations_have_the_unit_that_suits_them(duration_ms: float, text: str) -> None:
    assert duration_text(duration_ms) == text
