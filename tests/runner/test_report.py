"""The end of a run as it is printed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console
from support import RunLocal

from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.report import print_report
from tau2_enhanced.runner.summary import summarise


def tables_of(summary: Mapping[str, Any], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(summary, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    return shown.partition("ended by")[0]


@pytest.mark.parametrize(("width", "tables"), [(80, 2), (200, 1)])
def test_no_figure_is_cut_where_the_screen_is_narrow(run_local: RunLocal, width: int, tables: int) -> None:
    flags = ["--domains", "mock", "retail", "--num-tasks", "2", "--num-trials", "4", "--experts", "wise=gold"]
    summary = run_local(*flags).summary
    table = tables_of(summary, width)
    assert "…" not in table
    assert all(len(line) <= width for line in table.splitlines())
    assert table.count("domain") == tables
    assert table.count("run R") == 1
    for expected in ("pass^4", "16/16", "100.0 %", "1.000", "expert", "tok out", "P95"):
        assert expected in table


def test_a_pass_k_of_some_tasks_says_of_how_many(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "retail", "--num-tasks", "2", "--num-trials", "4")
    outcomes = {outcome.key: outcome for outcome in Record(run.folder / "outputs/R/run/record.jsonl").outcomes()}
    one_of_mock = next(key for key in outcomes if key.domain == "mock" and key.trial == 3)
    found = summarise(list(outcomes), lambda key: outcomes[key] if key != one_of_mock else None)
    summary = {**run.summary, **found}
    table = tables_of(summary, 200)
    rows = [[cell.strip() for cell in line.split("│")[1:8]] for line in table.splitlines() if line.startswith("│")]
    assert rows == [
        ["mock", "2", "7/8", *["100.0 %"] * 4],
        ["", "", "", "", "", "", "1 task"],
        ["retail", "2", "8/8", *["100.0 %"] * 4],
        ["all", "4", "15/16", *["100.0 %"] * 4],
        ["", "", "", "", "", "", "3 tasks"],
    ]
    narrow = tables_of(summary, 80)
    assert "…" not in narrow
    assert all(shown in narrow for shown in ("3 tasks", "pass^1 ≥", "P95"))
    assert all(len(line) <= 80 for line in narrow.splitlines())
