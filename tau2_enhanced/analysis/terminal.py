"""The analysis on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_TIMES = ("mean_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "total_ms")
_USED = ("calls", "failed_calls", "retries", "input_tokens", "cached_tokens", "output_tokens")
_PIPE_WIDTH = 170
_TASK_WIDTH = 60


def print_tables(summary: Mapping[str, Any]) -> None:
    """Where the time went, durations, tokens and cost, and what was slowest."""
    console = _console()
    if summary["wall_time"] is not None:
        console.print(_wall_time(summary["wall_time"]))
    console.print(_durations(summary["durations"]))
    if summary["usage"]:
        console.print(_usage(summary["usage"]))
    if summary["goodput"]:
        console.print(_goodput(summary["goodput"]))
    if summary["slowest_simulations"]:
        console.print(_slowest_simulations(summary["slowest_simulations"]))
    console.print(_slowest_calls(summary["slowest_calls"]))


def print_results(results: Sequence[Mapping[str, Any]]) -> None:
    """pass^k of each results file, with 95 % intervals."""
    numbers = (
        "tasks",
        "coverage",
        "k",
        "pass^k",
        "95 %",
        "agent USD",
        "user USD",
        "tool calls",
        "tool errors",
        "flaky",
    )
    table = _table("results", ("domain", "agent"), numbers)
    for found in results:
        for k, share in found["pass_hat_k"].items():
            shown = (
                f"{100 * share['value']:.1f} %",
                "–" if share["low"] is None else f"{100 * share['low']:.1f} – {100 * share['high']:.1f}",
            )
            if k != "1":
                table.add_row("", "", "", "", k, *shown)
                continue
            table.add_row(
                found["domain"],
                found["agent_model"] or "",
                str(found["tasks"]),
                f"{found['finished']}/{found['planned']}",
                k,
                *shown,
                _number(found["agent_cost_usd"], 4),
                _number(found["user_cost_usd"], 4),
                str(found["tool_calls"]),
                str(found["tool_errors"]),
                str(len(found["flaky_tasks"])),
            )
    _console().print(table)


def _console() -> Console:
    console = Console()
    # a pipe has no width of its own
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def _wall_time(parts: Mapping[str, float]) -> Table:
    table = _table("where the time of all simulations went", ("part",), ("s", "share"))
    for name, ms in parts.items():
        part = name.removesuffix("_ms").replace("_", " ")
        share = f"{100 * ms / parts['total_ms']:.1f} %" if parts["total_ms"] else "–"
        table.add_row(part, _number(ms / 1000, 1), share)
    return table


def _goodput(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("goodput", ("name",), ("limit ms", "n", "within", "share"))
    for row in rows:
        share = "–" if row["share"] is None else f"{100 * row['share']:.1f} %"
        table.add_row(row["name"], _number(row["limit_ms"], 0), str(row["n"]), str(row["within"]), share)
    return table


def _slowest_simulations(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("slowest simulations", ("domain", "task"), ("trial", "s", "steps", "reward", "ended by"))
    for row in rows:
        reward = "no verdict" if row["reward"] is None else f"{row['reward']:g}"
        reason = row["error_type"] or row["termination_reason"] or ""
        cells = (row["trial"], _number(row["duration_ms"] / 1000, 2), row["steps"], reward, reason)
        table.add_row(row["domain"], _short(row["task"]), *map(str, cells))
    return table


def _slowest_calls(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("slowest calls", ("type", "name", "domain", "task"), ("trial", "step", "ms"))
    for row in rows:
        cells = (row["trial"], row["step"], _number(row["duration_ms"]))
        table.add_row(row["type"], row["name"], row["domain"], _short(row["task"]), *map(str, cells))
    return table


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


def _short(task: str | None) -> Text:
    """A task's id; telecom's are long, and their brackets are no markup."""
    text = Text(task or "")
    text.truncate(_TASK_WIDTH, overflow="ellipsis")
    return text


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
