"""The analyses' tables on screens of several widths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Column, Table

from tau2_enhanced import cli
from tau2_enhanced.analysis.fitted_table import fitted
from tau2_enhanced.analysis.main import main

WIDTHS = (80, 100, 120, 170)
TOOLS = (
    "get_order_details",
    "modify_pending_order_items",
    "modify_pending_order_payment",
    "update_reservation_flights",
    "update_reservation_baggages",
    "update_reservation_passengers",
)
HEADINGS = {"type", "name", "n", "errors", "mean", "std", "min", "p50", "p90", "p95", "p99", "max", "total", "share"}
FAULTS = ("data_mode_off", "data_saver_mode_on", "data_usage_exceeded")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Calls of seconds and of less than a millisecond, on tasks whose ids differ in their middle."""
    lines = []
    for number, tool in enumerate(TOOLS):
        task = f"[mobile_data_issue]{FAULTS[number % 3]}|user_abroad_roaming_enabled_off[PERSONA:Hard]"
        head = f"[PROFILE] 2026-03-14 09:26:5{number}.589 task={task} thread=worker-1"
        place = f"run=R sim=s{number} domain=telecom trial=0 step={number} start_ms={1000 + number}.000"
        lines += [
            f"{head} type=llm_call model=openai/gpt-4.1-mini-2025-04-14 duration_ms={1361 + number}.200 {place}"
            f" input_tokens=1234567 cached_tokens=1000000 output_tokens=1000{number} cost_usd=0.1234 attempts=1",
            f"{head} type=tool_call function={tool} duration_ms=0.{253 + number} error=false {place}",
        ]
    path = tmp_path / "eval_telecom.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(shown: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line[:1] == "│"]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_number_is_cut_and_no_line_is_wider_than_the_screen(
    log: Path, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["--log_file", str(log), "--output_dir", str(tmp_path / "out"), "--no-figures"]) == 0
    shown = capsys.readouterr().out.partition("written to")[0]
    assert max(map(len, shown.splitlines())) <= width
    assert not [cell for row in rows(shown) for cell in row[2:] if re.search(r"^…|[\d,.]…", cell)]
    durations, _, rest = shown.partition("durations in ms")[2].partition("tokens and cost")
    usage = rest.partition("cost by role")[0]
    assert "1,364" in durations
    assert {"7,407,402", "6,000,000", "60,015", "0.7404"} <= {cell for row in rows(usage) for cell in row}
    headings = {word for line in durations.splitlines() if line[:1] == "┃" for word in re.findall(r"\w+", line)}
    assert headings == HEADINGS
    names = {row[1] for row in rows(durations) if row[0] == "tool_call"}
    assert len(names) == len(TOOLS)
    assert width < 170 or names == set(TOOLS)


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_of_tools_fit_the_screen(
    log: Path, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert cli.main(["analyze", str(log)]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    tools = shown.partition("Tools\n" if "Tools\n" in shown else "Tools ")[2].partition("Intervals are")[0]
    assert not re.search(r"[\d.]…", tools)
    for tool in TOOLS:
        assert re.search(rf"^ +{tool[:5]}\S*{tool[-5:]} ", tools, re.MULTILINE)
    assert tools.count("20.7 – 100.0") == len(TOOLS)


console = Console(width=200, highlight=False, markup=False)


def shown(texts: Sequence[str], numbers: Sequence[str], width: int) -> str:
    table = Table(title="made")
    table.add_column("name")
    for name in ("first", "second number"):
        table.add_column(name, justify="right")
    for row in zip(texts, numbers, reversed(numbers), strict=True):
        table.add_row(*map(console.render_str, row))
    with console.capture() as captured:
        for part in fitted(table, width):
            console.print(part)
    return captured.get()


def test_names_that_differ_in_their_middle_alone_fold() -> None:
    alike = [f"{'beginning' * 6}_{middle}_{'end' * 18}" for middle in ("this", "that")]
    found = rows(shown(alike, ["1,000", "2,000"], 60))
    assert ["".join(row[0] for row in found[at : at + len(found) // 2]) for at in (0, len(found) // 2)] == alike


def test_a_table_that_fits_is_one_whose_names_and_headings_are_whole() -> None:
    found = shown(["short", "x" * 60], ["1,000", "2,000"], 100)
    assert "second number" in found
    assert "x" * 60 in found
    assert "…" not in found


def test_numbers_that_are_wider_than_the_screen_fold() -> None:
    found = shown(["a", "b"], ["1" * 50, "2" * 50], 30)
    assert max(map(len, found.splitlines())) <= 30
    assert found.count("1") == found.count("2") == 100
    assert "…" not in found


def test_rows_may_end_early() -> None:
    table = Table("name", *(Column(name, justify="right") for name in ("first", "second", "third")))
    table.add_row("long", "1" * 10, "2" * 10, "3" * 10)
    table.add_row("short", "4" * 10)
    first, second = fitted(table, 40)
    assert [[str(cell) for cell in column.cells] for column in first.columns] == [
        ["long", "short"], ["1" * 10, "4" * 10], ["2" * 10, ""],
    ]  # fmt: skip
    assert [[str(cell) for cell in column.cells] for column in second.columns] == [["long"], ["3" * 10]]
