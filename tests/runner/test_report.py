"""The end of a run as it is printed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from support import RunLocal

from tau2_enhanced.runner.report import print_report


@pytest.mark.parametrize(("width", "tables"), [(80, 2), (200, 1)])
def test_no_figure_is_cut_where_the_screen_is_narrow(run_local: RunLocal, width: int, tables: int) -> None:
    flags = ["--domains", "mock", "retail", "--num-tasks", "2", "--num-trials", "4", "--experts", "wise=gold"]
    summary = run_local(*flags).summary
    console = Console(file=io.StringIO(), width=width)
    print_report(summary, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    table = shown.partition("ended by")[0]
    assert "…" not in table
    assert all(len(line) <= width for line in table.splitlines())
    assert table.count("domain") == tables
    assert table.count("run R") == 1
    for expected in ("pass^4", "16/16", "100.0 %", "1.000", "expert", "tok out", "P95"):
        assert expected in table
