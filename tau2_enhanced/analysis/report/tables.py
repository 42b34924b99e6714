"""The tables of a report, as plain values. Whoever shows them decides how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tau2_enhanced.analysis.number_texts import duration_text

Kind = Literal["text", "label", "count", "number", "usd", "share", "range", "interval"]
"""What a column holds: `label` is a text that has a colour; `range` is [min, P50, P90, P99, max]; `interval` is a share
with its limits, [value, low, high]. All others are one number."""
Row = Sequence[Any]

_LATENCY = ("mean_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")
_RANGE = ("min_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms")
_TOTAL = "total"


class Column(NamedTuple):
    """A column's heading, with its unit, and what it holds."""

    name: str
    kind: Kind = "text"


class Table(NamedTuple):
    """Rows of values in the order of the columns; None is unknown or does not apply."""

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    total: Row | None = None
    note: str = ""


def tables(summary: Mapping[str, Any]) -> list[Table]:
    """The tables that a summary has data for."""
    return [table for table in _all(summary) if table.rows]


def _all(summary: Mapping[str, Any]) -> Iterator[Table]:
    results = summary.get("results", [])
    if results:
        yield _pass_hat_k(results)
    if summary.get("wall_time"):
        yield _wall_time(summary["wall_time"], summary["critical_path"] or {})
    if "durations" in summary:
        yield _cost(summary["cost_by_role"])
        yield _durations(summary["durations"])
        yield _usage(summary["usage"])
        yield _errors(summary["errors"])
        yield _goodput(summary["goodput"])
        yield _slowest_simulations(summary["slowest_simulations"])
        yield _slowest_calls(summary["slowest_calls"])
    if results:
        yield _tasks(results)
        yield _rewards(results)
        yield _tool_accuracy(results)


def _wall_time(parts: Mapping[str, float], path: Mapping[str, float]) -> Table:
    names = [name for name in dict.fromkeys([*parts, *path]) if name not in ("total_ms", "stopped_ms")]
    columns = (
        Column("part", "label"),
        Column("all simulations s", "number"),
        Column("of their time", "share"),
        Column("critical path s", "number"),
        Column("of the run", "share"),
    )
    rows = [[_words(name), *_part(parts, name), *_part(path, name)] for name in names]
    total = [_TOTAL, *_part(parts, "total_ms"), *_part(path, "total_ms")]
    note = "The critical path is what the run as a whole waited for: the last simulation, the one before it, and so on."
    if stopped_ms := path.get("stopped_ms"):
        note += f" Between parts of the run nothing ran for {duration_text(stopped_ms)}, which is left out."
    return Table("wall-time", "Where the time went", columns, rows, total, note)


def _part(parts: Mapping[str, float], name: str) -> list[float | None]:
    if name not in parts:
        return [None, None]
    return [parts[name] / 1000, _share(parts[name], parts["total_ms"])]


def _cost(roles: Mapping[str, float | None]) -> Table:
    total = roles["total_usd"]
    rows = [[_words(name), cost, _share(cost, total)] for name, cost in roles.items() if name != "total_usd"]
    columns = (Column("role", "label"), Column("USD", "usd"), Column("share", "share"))
    return Table("cost", "Cost by role", columns, rows, [_TOTAL, total, _share(total, total)])


def _durations(rows: Iterable[Mapping[str, Any]]) -> Table:
    columns = (
        Column("type", "label"),
        Column("name"),
        Column("spread", "range"),
        Column("n", "count"),
        Column("errors", "count"),
        *(Column(_heading(name), "number") for name in _LATENCY),
        Column("total s", "number"),
        Column("of the time", "share"),
    )
    note = (
        "Spread, on a logarithmic axis: a line from minimum to maximum, a bar from P50 to P90, ticks at P50 and P99."
        " Calls that failed for good are counted as errors and leave the times alone."
    )
    shown = [
        [
            row["type"] if row["measure"] == "duration" else f"{row['type']} {row['measure']}",
            row["name"],
            [row[name] for name in _RANGE] if row["n"] else None,
            row["n"],
            row["errors"],
            *(row[name] for name in _LATENCY),
            _seconds(row["total_ms"]),
            row["share"],
        ]
        for row in rows
    ]
    return Table("durations", "Durations in ms", columns, shown, note=note)


def _heading(name: str) -> str:
    word = name.removesuffix("_ms")
    return word.upper() if word.startswith("p") else word


def _usage(rows: Iterable[Mapping[str, Any]]) -> Table:
    columns = (
        Column("type", "label"),
        Column("model"),
        *(Column(name, "count") for name in ("calls", "failed", "retries")),
        Column("retry wait s", "number"),
        *(Column(name, "count") for name in ("tokens in", "cached", "tokens out")),
        *(Column(name, "number") for name in ("tokens in/s", "tokens out/s", "decoded/s")),
        Column("cost USD", "usd"),
    )
    shown = [
        [
            row["type"],
            row["model"],
            row["calls"],
            row["failed_calls"],
            row["retries"],
            _seconds(row["retry_wait_ms"]),
            row["input_tokens"],
            row["cached_tokens"],
            row["output_tokens"],
            row["input_tokens_per_s"],
            row["output_tokens_per_s"],
            row["decode_tokens_per_s"],
            row["cost_usd"],
        ]
        for row in rows
    ]
    return Table("usage", "Tokens and cost by model", columns, shown)


def _errors(rows: Iterable[Mapping[str, Any]]) -> Table:
    columns = (Column("type", "label"), Column("error"), Column("n", "count"))
    return Table("errors", "Errors", columns, [[row["type"], row["error_type"], row["n"]] for row in rows])


def _goodput(rows: Iterable[Mapping[str, Any]]) -> Table:
    columns = (
        Column("name", "label"),
        Column("limit ms", "number"),
        Column("n", "count"),
        Column("within", "count"),
        Column("goodput", "share"),
    )
    shown = [[row[name] for name in ("name", "limit_ms", "n", "within", "share")] for row in rows]
    return Table("goodput", "Goodput", columns, shown, note="The share of calls that stayed within the limit.")


def _slowest_simulations(rows: Iterable[Mapping[str, Any]]) -> Table:
    columns = (
        Column("domain"),
        Column("task"),
        Column("trial", "count"),
        Column("s", "number"),
        Column("steps", "count"),
        Column("reward", "number"),
        Column("cost USD", "usd"),
        Column("ended by"),
    )
    shown = [
        [
            *(row[name] for name in ("domain", "task", "trial")),
            _seconds(row["duration_ms"]),
            *(row[name] for name in ("steps", "reward", "cost_usd")),
            row["error_type"] or row["termination_reason"],
        ]
        for row in rows
    ]
    return Table("slowest-simulations", "Slowest simulations", columns, shown)


def _slowest_calls(rows: Iterable[Mapping[str, Any]]) -> Table:
    columns = (
        Column("type", "label"),
        Column("name"),
        Column("domain"),
        Column("task"),
        Column("trial", "count"),
        Column("step", "count"),
        Column("ms", "number"),
    )
    names = ("type", "name", "domain", "task", "trial", "step", "duration_ms")
    return Table("slowest-calls", "Slowest calls", columns, [[row[name] for name in names] for row in rows])


def _pass_hat_k(results: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("domain"),
        Column("agent"),
        Column("user simulator"),
        Column("k", "count"),
        Column("pass^k", "share"),
        Column("95 % interval", "interval"),
        Column("tasks", "count"),
        Column("planned tasks", "count"),
        Column("verdicts", "count"),
        Column("planned", "count"),
        Column("coverage", "share"),
        Column("agent USD", "usd"),
        Column("user USD", "usd"),
    )
    rows = [
        [
            *(found[name] for name in ("domain", "agent_model", "user_model")),
            int(k),
            share["value"],
            [share["value"], share["low"], share["high"]] if share["low"] is not None else None,
            share["tasks"],
            found["planned_tasks"],
            *(found[name] for name in ("finished", "planned", "coverage", "agent_cost_usd", "user_cost_usd")),
        ]
        for found in results
        for k, share in found["pass_hat_k"].items()
    ]
    note = (
        "The share of tasks of which k trials in a row pass, over the tasks that have k verdicts; where those are not"
        " all planned ones, a larger k is of fewer of them. Intervals: Wilson's with standard errors clustered by task"
        " for pass^1, a bootstrap over tasks for larger k."
    )
    return Table("pass-k", "Results", columns, rows, note=note)


def _tasks(results: Sequence[Mapping[str, Any]]) -> Table:
    columns = (Column("domain"), Column("task"), Column("what"))
    rows = [
        [found["domain"], task, what]
        for found in results
        for name, what in (("flaky_tasks", "some trials pass"), ("never_passed_tasks", "no trial passes"))
        for task in found[name]
    ]
    return Table("tasks", "Tasks that do not always pass", columns, rows)


def _rewards(results: Sequence[Mapping[str, Any]]) -> Table:
    columns = (Column("domain"), Column("basis"), Column("mean reward", "share"))
    rows = [[found["domain"], *basis] for found in results for basis in found["mean_reward_by_basis"].items()]
    return Table("rewards", "Reward by basis", columns, rows)


def _tool_accuracy(results: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("domain"),
        Column("tool"),
        *(Column(name, "count") for name in ("gold", "called", "matched")),
        Column("precision", "share"),
        Column("recall", "share"),
    )
    names = ("gold", "called", "matched", "precision", "recall")
    rows = [
        [found["domain"], tool["tool"], *(tool[name] for name in names)]
        for found in results
        for tool in found["tool_accuracy"]["by_tool"]
    ]
    note = "Calls against the tasks' gold actions: precision is the share of calls that did one, recall of those done."
    return Table("tool-accuracy", "Tools against gold actions", columns, rows, note=note)


def _words(name: str) -> str:
    return name.removesuffix("_ms").removesuffix("_usd").replace("_", " ")


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _share(value: float | None, total: float | None) -> float | None:
    return value / total if value is not None and total else None
