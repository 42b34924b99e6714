"""The end of a run as it is printed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console
from support import RunLocal

from tau2_enhanced.runner.jobs import Outcome, Status
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.report import print_report
from tau2_enhanced.runner.summary import summarise


def printed(summary: Mapping[str, Any], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(summary, console)
    return console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above


def costing(domain: str, **usd: float | None) -> Outcome:
    """A verdict of a domain's task; what each role cost."""
    tokens = {"calls": 1, "input_tokens": 12_345, "output_tokens": 12_345, "cached_tokens": 0}
    used = {role: {**tokens, "cost_usd": cost} for role, cost in usd.items()}
    return Outcome(domain, "1", 0, 0, "s", Status.VERDICT, 1.0, "user_stop", None, None, 12_345.0, 0.0, 1, used=used)


def summary_of(run_local: RunLocal, *outcomes: Outcome, **fields: Any) -> dict[str, Any]:
    """A real run's summary, with the figures of these outcomes."""
    found = {outcome.key: outcome for outcome in outcomes}
    summary = run_local("--domains", "mock", "--num-tasks", "1").summary
    return {**summary, **summarise(list(found), found.get), **fields}


def cells(shown: str, row: str) -> list[str]:
    """A row's cells, of all tables."""
    rows = [line for line in shown.splitlines() if line[:1] in "┃│" and line[1:].split()[:1] == [row]]
    return [cell for line in rows for cell in line[1:-1].replace("┃", "│").replace(" ", "").split("│")]


@pytest.mark.parametrize(("width", "tables"), [(80, 3), (200, 1)])
def test_no_figure_is_cut_where_the_screen_is_narrow(run_local: RunLocal, width: int, tables: int) -> None:
    flags = ["--domains", "mock", "retail", "--num-tasks", "2", "--num-trials", "4", "--experts", "wise=gold"]
    shown = printed(run_local(*flags).summary, width)
    table = shown.partition("ended by")[0]
    assert "…" not in table
    assert all(len(line) <= width for line in table.splitlines())
    assert table.count("domain") == tables
    assert table.count("run R") == 1
    for expected in ("pass^4", "16/16", "100.0 %", "1.000", "expert", "total", "tok out", "P95"):
        assert expected in table


def test_a_pass_k_of_some_tasks_says_of_how_many(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "retail", "--num-tasks", "2", "--num-trials", "4")
    outcomes = {outcome.key: outcome for outcome in Record(run.folder / "outputs/R/run/record.jsonl").outcomes()}
    one_of_mock = next(key for key in outcomes if key.domain == "mock" and key.trial == 3)
    found = summarise(sorted(outcomes), lambda key: outcomes[key] if key != one_of_mock else None)
    summary = {**run.summary, **found}
    table = printed(summary, 200).partition("ended by")[0]
    rows = [[cell.strip() for cell in line.split("│")[1:8]] for line in table.splitlines() if line.startswith("│")]
    assert rows == [
        ["mock", "2", "7/8", *["100.0 %"] * 4],
        ["", "", "", "", "", "", "1 task"],
        ["retail", "2", "8/8", *["100.0 %"] * 4],
        ["all", "4", "15/16", *["100.0 %"] * 4],
        ["", "", "", "", "", "", "3 tasks"],
    ]
    narrow = printed(summary, 80).partition("ended by")[0]
    assert "…" not in narrow
    assert all(shown in narrow for shown in ("3 tasks", "pass^1 ≥", "P95"))
    assert all(len(line) <= 80 for line in narrow.splitlines())


@pytest.mark.parametrize(("width", "tables"), [(80, 3), (120, 2), (140, 1)])
def test_every_role_that_cost_something_has_a_column_and_all_together_too(
    run_local: RunLocal, width: int, tables: int
) -> None:
    judged = costing("retail", agent=0.1, expert=0.2, user=0.05, judge=9.0)
    summary = summary_of(run_local, judged, costing("telecom", agent=0.1, user=None), experts={"wise": "gold"})
    shown = printed(summary, width)
    assert all(len(line) <= width for line in shown.partition("ended by")[0].splitlines())
    assert shown.count("domain") == tables
    names = cells(shown, "domain")
    first, last = names.index("agent"), names.index("total")
    assert names[first : last + 1] == ["agent", "expert", "user", "judge", "total"]
    assert cells(shown, "retail")[first : last + 1] == ["$0.1000", "$0.2000", "$0.0500", "$9.00", "$9.35"]
    assert cells(shown, "telecom")[first : last + 1] == ["$0.1000", "$0.00", "–", "$0.00", "–"]
    assert cells(shown, "all")[first : last + 1] == ["$0.2000", "$0.2000", "–", "$9.00", "–"]
    assert "judge" not in printed(summary_of(run_local, costing("mock", agent=0.1, user=0.1), run_id="J"), width)


def test_what_repeated_attempts_cost_is_said(run_local: RunLocal) -> None:
    known = summary_of(run_local, costing("mock", agent=0.1, user=0.2), spent_usd=0.3)
    assert "spent" not in printed(known, 80)
    assert "spent in all, including repeated attempts: $1.30\n" in printed({**known, "spent_usd": 1.3}, 80)
    in_part = {**known, "cost_usd": None, "spent_usd": 0.1}
    assert "spent in all, including repeated attempts: ≥ $0.1000\n" in printed(in_part, 80)
