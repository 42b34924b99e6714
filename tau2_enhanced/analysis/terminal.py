"""The analysis on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_TIMES = ("mean_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "total_ms")
_USED = ("calls", "failed_calls", "retries", "input_tokens", "cached_tokens", "output_tokens")
_PIPE_WIDTH = 170


def print_tables(summary: Mapping[str, Any]) -> None:
    """Durations, then tokens and cost."""
    console = Console()
    if not console.is_terminal:
        # a pipe has no width of its own
        console = Console(width=_PIPE_WIDTH)
    console.print(_durations(summary["durations"]))
    if summary["usage"]:
        console.print(_usage(summary["usage"]))


def _durations(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("durations in ms", ("type", "name"), ("n", "errors", *(name.removesuffix("_ms") for name in _TIMES)))
    for row in rows:
        table.add_row(
            row["type"], row["name"], str(row["n"]), str(row["errors"] or ""), *(_number(row[name]) for name in _TIMES)
        )
    return table


def _usage(rows: Sequence[Mapping[str, Any]]) -> Table:
    headings = ("calls", "failed", "retries", "tokens in", "cached", "tokens out", "out/s", "retry wait s", "cost USD")
    table = _table("tokens and cost", ("type", "model"), headings)
    for row in rows:
        cost = "unknown" if row["cost_usd"] is None else f"{row['cost_usd']:,.4f}"
        table.add_row(
            row["type"],
            row["model"],
            *(f"{row[name]:,}" for name in _USED),
            _number(row["output_tokens_per_s"], 1),
            _number((row["retry_wait_ms"] or 0) / 1000, 1),
            cost,
        )
    return table


def _table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, style="bold" if name == "type" else None)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
