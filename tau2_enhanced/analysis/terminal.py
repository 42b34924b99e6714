"""The analysis on the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tau2_enhanced.analysis.fitted_table import fitted
from tau2_enhanced.analysis.number_texts import UNKNOWN, number_text, share_text
from tau2_enhanced.analysis.wall_time import why_unknown

if TYPE_CHECKING:
    from tau2_enhanced.analysis.compare.tables import TextTable

_TIMES = ("mean_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "total_ms")
_USED = ("calls", "failed_calls", "retries", "input_tokens", "cached_tokens", "output_tokens")
_PIPE_WIDTH = 170
_LEVELS = "▁▂▃▄▅▆▇█"


@contextmanager
def saying() -> Iterator[Callable[[str], None]]:
    """Inside the block, what is said is shown while it is done, where somebody is looking."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda text: status.update(escape(text))


def print_tables(summary: Mapping[str, Any]) -> None:
    """Where the time went, durations, tokens and cost, errors, and what was slowest."""
    if summary["wall_time"] is not None:
        print_table(_wall_time(summary["wall_time"], summary["critical_path"], summary["unknown_parts"]))
    for sentence in why_unknown(summary["unknown_parts"]):
        output_console().print(Text(f"note: {sentence}"))
    if summary["durations"]:
        print_table(_durations(summary["durations"]))
    if summary["usage"]:
        print_table(_usage(summary["usage"]))
        print_table(_cost(summary["cost_by_role"]))
    if summary["errors"]:
        print_table(_errors(summary["errors"]))
    if summary["goodput"]:
        print_table(_goodput(summary["goodput"]))
    if summary["concurrency"] is not None:
        print_table(_concurrency(summary["concurrency"]))
    if summary.get("servers"):
        print_table(_servers(summary["servers"]))
    if summary["slowest_simulations"]:
        print_table(_slowest_simulations(summary["slowest_simulations"]))
    if summary["slowest_calls"]:
        print_table(_slowest_calls(summary["slowest_calls"]))


def print_results(results: Sequence[Mapping[str, Any]]) -> None:
    """pass^k of each results file, with 95 % intervals, and the tasks that have k verdicts."""
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
        "precision",
        "recall",
        "flaky",
    )
    table = _table("results", ("domain", "agent"), numbers)
    for found in results:
        for k, share in found["pass_hat_k"].items():
            tasks = _part_of(share["tasks"], found["planned_tasks"])
            shown = (
                share_text(share["value"]),
                UNKNOWN if share["low"] is None else f"{100 * share['low']:.1f} – {100 * share['high']:.1f}",
            )
            if k != "1":
                _row(table, "", "", tasks, "", k, *shown)
                continue
            _row(
                table,
                found["domain"],
                found["agent_model"] or "",
                tasks,
                f"{found['finished']}/{found['planned']}",
                k,
                *shown,
                _number(found["agent_cost_usd"], 4),
                _number(found["user_cost_usd"], 4),
                str(found["tool_calls"]),
                str(found["tool_errors"]),
                *(share_text(found["tool_accuracy"][name]) for name in ("precision", "recall")),
                str(len(found["flaky_tasks"])),
            )
    print_table(table)


def print_text_table(shown: TextTable, most: int | None = None) -> None:
    """A table whose cells are text; at most this many of its rows."""
    table = _table(shown.title, shown.names, shown.numbers)
    for row in shown.rows[:most]:
        _row(table, *row)
    print_table(table)
    if most is not None and len(shown.rows) > most:
        print(f"and {len(shown.rows) - most} more rows, in the files")


def print_sentences(sentences: Sequence[str]) -> None:
    """Each on a line, and a line between them and what follows."""
    for sentence in sentences:
        print(f"  {sentence}")
    print()


def print_table(table: Table) -> None:
    """A table of texts, as several where it is wider than the screen."""
    console = output_console()
    for part in fitted(table, console.width):
        console.print(part)


def output_console() -> Console:
    """Standard output. A pipe has no width of its own: it is `$COLUMNS`, or enough for most tables."""
    console = Console(highlight=False)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdecimal():
        return console
    return Console(highlight=False, width=_PIPE_WIDTH)


def _wall_time(parts: Mapping[str, float], path: Mapping[str, float] | None, unknown: Mapping[str, int]) -> Table:
    of_path = ("critical path s", "share") if path else ()
    table = _table("where the time went", ("part",), ("all simulations s", "share", *of_path))
    if not path:
        why = "times are unknown" if any(unknown.values()) else "this is a part of the run"
        table.caption = f"no critical path: {why}"
    elif path["stopped_ms"]:
        table.caption = f"without {_number(path['stopped_ms'] / 1000, 1)} s between the parts of the run"
    for name in dict.fromkeys([*(path or parts), *parts]):
        if name == "stopped_ms":  # no part of the total
            continue
        cells = [cell for of in (parts, path) if of for cell in _part(of, name)]
        _row(table, name.removesuffix("_ms").replace("_", " "), *cells)
    return table


def _part(parts: Mapping[str, float], name: str) -> tuple[str, str]:
    if name not in parts:
        return "", ""
    return _number(parts[name] / 1000, 1), share_text(parts[name] / parts["total_ms"] if parts["total_ms"] else None)


def _cost(roles: Mapping[str, float | None]) -> Table:
    table = _table("cost by role", ("role",), ("USD", "share"))
    total = roles["total_usd"]
    for name, cost in roles.items():
        share = share_text(cost / total if cost is not None and total else None)
        _row(table, name.removesuffix("_usd").replace("_", " "), _usd(cost), share)
    return table


def _errors(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("errors", ("type", "error_type"), ("n",))
    for row in rows:
        _row(table, row["type"], row["error_type"], f"{row['n']:,}")
    return table


def _concurrency(found: Mapping[str, Any]) -> Table:
    table = _table("what ran at once", ("what",), ("mean", "peak"))
    table.add_column(f"over the run, {_number(found['bin_ms'] / 1000, 2)} s each", no_wrap=True)
    for name, level in found.items():
        if isinstance(level, Mapping):
            bars = _bars(level["mean_over_time"], level["peak"])
            _row(table, name.replace("_", " "), _number(level["mean"], 1), str(level["peak"]), bars)
    return table


def _servers(rows: Sequence[Mapping[str, Any]]) -> Table:
    levels = ("running", "most running", "waiting", "most waiting", "KV cache", "most KV cache")
    table = _table("model servers", ("server",), (*levels, "prefix hits", "preempted", "tok in", "tok out"))
    for row in rows:
        counts = [_number(row[f"{name}_{how}"], 1) for name in ("running", "waiting") for how in ("mean", "max")]
        shares = [
            share_text(row[name]) for name in ("kv_cache_usage_mean", "kv_cache_usage_max", "prefix_cache_hit_rate")
        ]
        sums = [_number(row[name], 0) for name in ("preemptions", "prompt_tokens", "generation_tokens")]
        _row(table, row["server"], *counts, *shares, *sums)
    return table


def _bars(values: Sequence[float], peak: float) -> str:
    return "".join(
        _LEVELS[min(len(_LEVELS) - 1, int(value / peak * len(_LEVELS)))] if value else " " for value in values
    )


def _goodput(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("goodput", ("name",), ("limit ms", "n", "within", "share"))
    for row in rows:
        share = share_text(row["share"])
        _row(table, row["name"], f"{row['limit_ms']:,.10g}", str(row["n"]), str(row["within"]), share)
    return table


def _slowest_simulations(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("slowest simulations", ("domain", "task"), ("trial", "s", "steps", "reward", "ended by"))
    for row in rows:
        reward = "no verdict" if row["reward"] is None else f"{row['reward']:g}"
        reason = row["error_type"] or row["termination_reason"] or ""
        cells = (row["trial"], _number(row["duration_ms"] / 1000, 2), row["steps"], reward, reason)
        _row(table, row["domain"], row["task"] or "", *map(_text, cells))
    return table


def _slowest_calls(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("slowest calls", ("type", "name", "domain", "task"), ("trial", "step", "ms"))
    for row in rows:
        cells = (row["trial"], row["step"], number_text(row["duration_ms"]))
        _row(table, row["type"], row["name"], row["domain"], row["task"] or "", *map(_text, cells))
    return table


def _durations(rows: Sequence[Mapping[str, Any]]) -> Table:
    headings = ("n", "errors", *(name.removesuffix("_ms") for name in _TIMES), "share")
    table = _table("durations in ms", ("type", "name"), headings)
    for row in rows:
        kind = row["type"] if row["measure"] == "duration" else f"{row['type']} {row['measure']}"
        share = share_text(row["share"])
        times = (number_text(row[name]) for name in _TIMES)
        _row(table, kind, row["name"], str(row["n"]), str(row["errors"] or ""), *times, share)
    return table


def _usage(rows: Sequence[Mapping[str, Any]]) -> Table:
    headings = (
        "calls",
        "failed",
        "retries",
        "tokens in",
        "cached",
        "tokens out",
        "in/s",
        "out/s",
        "retry wait s",
        "cost USD",
    )
    table = _table("tokens and cost", ("type", "model"), headings)
    for row in rows:
        _row(
            table,
            row["type"],
            row["model"],
            *(_number(row[name], 0) for name in _USED),
            _number(row["input_tokens_per_s"], 1),
            _number(row["output_tokens_per_s"], 1),
            _number((row["retry_wait_ms"] or 0) / 1000, 1),
            _usd(row["cost_usd"]),
        )
    return table


def _table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, style="bold" if name == "type" else None)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _row(table: Table, *cells: Text | str) -> None:
    """Add a row of texts: what stands in a log is no markup."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.4f}"


def _part_of(part: int, whole: int) -> str:
    return f"{part}/{whole}" if part < whole else str(part)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:,.{digits}f}"
