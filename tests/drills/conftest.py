"""Prints the drills' table at the end."""

from __future__ import annotations

import re
from typing import Any

import pytest

_HEAD = ("fault", "the line that told the user", "wanted", "finished then", "lost", "run again", "doubled", "exit", "s")
_STAMP = re.compile(r"^(\[\w+\]) \S+ \S+ ")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.option.markexpr != "drill":
        return
    passed = terminalreporter.stats.get("passed", [])
    rows = [value for report in passed for name, value in report.user_properties if name == "drill"]
    terminalreporter.section("drills")
    terminalreporter.write_line(_line(_HEAD))
    terminalreporter.write_line("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        said = _STAMP.sub(r"\1 ", row.pop("said")).replace("|", "·")
        seconds = f"{row.pop('seconds'):.0f}"
        fault = row.pop("fault")
        terminalreporter.write_line(_line((fault, said, *map(str, row.values()), seconds)))


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
