"""The end of a run, for a person: what happened, what it cost, and where everything lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tau2_enhanced.models.cutoff import GivenUp
from tau2_enhanced.runner import words

_LISTED = 5
_MOST_KS = 4
_WIDER_THAN_ANY_TABLE = 1000
_LEAST_USD = 1e-6
"""What is less than this between two sums was lost in adding."""
_GOLD = "gold played the benchmark's own actions: this reward is its upper bound, not a model's score"
_SCAFFOLD = {
    "experts": "the agent could let experts take its turn: this is a custom scaffold, not a model by itself",
    "context": "the agent's conversations were cut to fit: this is a custom scaffold, not tau2's own agent",
}
_REDACTED = "sensitive data is replaced in events and logs; results and record hold the conversations as they were"
_GOLD_BESIDE = "gold played the user, an expert or the judge: this reward can't be compared with published scores"


def print_report(summary: Mapping[str, Any], console: Console) -> None:
    """The summary in tables."""
    _print_domains(summary, console)
    _spent(summary, console)
    console.print(_reasons(summary["termination_reasons"]), highlight=False)
    _simulations(console, "slowest", summary["slowest"][:_LISTED], len(summary["slowest"][:_LISTED]))
    _simulations(console, "failed", summary["failed"][:_LISTED], len(summary["failed"]))
    lacking = [entry for entry in summary["without_verdict"] if entry["error_type"] != GivenUp.error_type]
    _simulations(console, "without verdict", lacking, len(lacking))
    _loops(console, summary["looped"])
    if given_up := len(summary["without_verdict"]) - len(lacking):
        console.print(f"given up while they ran: {given_up}", style="yellow")
    if summary["not_run"]:
        console.print(f"not run: {len(summary['not_run'])}", style="yellow")
    if summary["played_by_gold"]:
        console.print(_GOLD if "agent" in summary["played_by_gold"] else _GOLD_BESIDE, style="cyan")
    for part in summary["custom_scaffold"]:
        console.print(_SCAFFOLD[part], style="cyan")
    if summary["redacted"]:
        console.print(_REDACTED, style="cyan")
    if summary["stopped"]:
        console.print(f"stopped: {summary['stopped']}", style="yellow", markup=False)
    if summary["resume_command"]:
        needs = f", with {' and '.join(summary['resume_needs'])}" if summary["resume_needs"] else ""
        console.print(f"to go on{needs}: {summary['resume_command']}", soft_wrap=True, highlight=False, markup=False)
    for name, paths in summary["paths"].items():
        listed = paths if isinstance(paths, str) else "  ".join(paths)
        console.print(f"{name + ':':9} {listed}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"to analyse it: {summary['analysis_command']}", soft_wrap=True, highlight=False, markup=False)


def _print_domains(summary: Mapping[str, Any], console: Console) -> None:
    """A row for each domain; in several tables where one would be wider than the screen."""
    anywhere = console.options.update(width=_WIDER_THAN_ANY_TABLE)
    tables = [_outcomes(summary)]
    for columns in (_rewards(summary), _costs(summary), _efforts()):
        wider = _table(summary, tables[-1] + columns)
        if console.measure(wider, options=anywhere).maximum <= console.width:
            tables[-1] += columns
        else:
            tables.append(columns)
    for number, columns in enumerate(tables):
        console.print(_table(summary, columns, titled=number == 0))


def _spent(summary: Mapping[str, Any], console: Console) -> None:
    """What the run cost with every attempt, where that is more than the tables say."""
    spent, cost = summary["spent_usd"], summary["cost_usd"]
    if spent - (cost or 0.0) >= _LEAST_USD:
        money = words.money(spent, at_least=cost is None)
        console.print(f"spent in all, including repeated attempts: {money}", highlight=False)


class _Column(NamedTuple):
    name: str
    cell: Callable[[Mapping[str, Any]], str]
    """What stands there for a domain, or for all of them."""


def _table(summary: Mapping[str, Any], columns: Sequence[_Column], *, titled: bool = True) -> Table:
    groups = summary["domains"]
    table = Table(title=f"run {summary['run_id']}" if titled else None, title_justify="left")
    table.add_column("domain", style="bold", no_wrap=True)
    for column in columns:
        table.add_column(column.name, justify="right", no_wrap=True)
    for domain, group in groups.items():
        table.add_row(domain, *(column.cell(group) for column in columns))
    if len(groups) > 1:
        table.add_section()
        table.add_row("all", *(column.cell(summary) for column in columns))
    return table


def _outcomes(summary: Mapping[str, Any]) -> list[_Column]:
    """What came of it."""
    ks = sorted({int(k) for group in summary["domains"].values() for k in group["pass_hat_k"]}) or [1]
    ks = ks if len(ks) <= _MOST_KS else [*ks[: _MOST_KS - 1], ks[-1]]
    return [
        _Column("tasks", lambda group: str(group["tasks"])),
        _Column("coverage", lambda group: f"{group['finished']}/{group['planned']}"),
        *(_Column(f"pass^{k}", partial(_pass_hat, k=k)) for k in ks),
    ]


def _rewards(summary: Mapping[str, Any]) -> list[_Column]:
    """The mean reward, and the least that pass^1 can be where verdicts are missing."""
    reward = _Column("reward", _reward)
    if summary["finished"] == summary["planned"]:
        return [reward]
    # the least pass^1 can be: with all that is missing counted as failed
    return [_Column("pass^1 ≥", lambda group: words.percent(group["pass_hat_k_lower_bound"].get("1"))), reward]


def _costs(summary: Mapping[str, Any]) -> list[_Column]:
    """What was paid for whom. Experts and a judge that a domain has not asked cost nothing there."""
    beside = {"expert": bool(summary["experts"]), "judge": "judge" in summary["cost_usd_by_role"]}
    roles = [role for role in ("agent", "expert", "user", "judge") if beside.get(role, True)]
    return [
        *(_Column(role, partial(_cost, role=role, unasked=0.0 if role in beside else None)) for role in roles),
        _Column("total", lambda group: words.money(group["cost_usd"])),
    ]


def _efforts() -> list[_Column]:
    """What it took."""
    return [
        _Column("tok in", lambda group: words.count(group["input_tokens"])),
        _Column("tok out", lambda group: words.count(group["output_tokens"])),
        _Column("median", lambda group: _time(group["duration_ms_median"])),
        _Column("P95", lambda group: _time(group["duration_ms_p95"])),
    ]


def _reward(group: Mapping[str, Any]) -> str:
    return "–" if group["mean_reward"] is None else f"{group['mean_reward']:.3f}"


def _pass_hat(group: Mapping[str, Any], k: int) -> str:
    """With the number of its tasks below it, where that is not all."""
    share = words.percent(group["pass_hat_k"].get(str(k)))
    tasks = group["pass_hat_k_tasks"].get(str(k), 0)
    if not 0 < tasks < group["tasks"]:
        return share
    return f"{share}\n{tasks} task{'' if tasks == 1 else 's'}"


def _cost(group: Mapping[str, Any], role: str, unasked: float | None) -> str:
    return words.money(group["cost_usd_by_role"].get(role, unasked))


def _reasons(reasons: Mapping[str, int]) -> Text:
    return Text("ended by: " + ", ".join(f"{reason} {number}" for reason, number in reasons.items()))


def _simulations(console: Console, title: str, listed: Sequence[Mapping[str, Any]], total: int) -> None:
    if not listed:
        return
    more = f" (the first {len(listed)} of {total})" if total > len(listed) else ""
    console.print(f"{title}{more}:")
    for entry in listed:
        verdict = "no verdict" if entry["reward"] is None else f"reward {entry['reward']:g}"
        why = f"{entry['error_type']}: {entry['error']}" if entry["error_type"] else entry["termination_reason"]
        task = f"{entry['domain']} {words.short(entry['task'])} #{entry['trial']}"
        line = f"  {task}  {verdict}, {_time(entry['duration_ms'])}, {why}"
        console.print(Text(line, overflow="ellipsis"), no_wrap=True)


def _loops(console: Console, looped: Sequence[Mapping[str, Any]]) -> None:
    if not looped:
        return
    longest_first = sorted(looped, key=lambda entry: -entry["repeats"])[:_LISTED]
    more = f" (the longest {_LISTED} of {len(looped)})" if len(looped) > _LISTED else ""
    console.print(f"in a loop{more}:")
    for entry in longest_first:
        task = f"{entry['domain']} {words.short(entry['task'])} #{entry['trial']}"
        line = f"  {task}  {entry['function']} {entry['repeats']} times in a row with the same answer"
        console.print(Text(line, overflow="ellipsis"), no_wrap=True)


def _time(milliseconds: float | None) -> str:
    return words.duration(None if milliseconds is None else milliseconds / 1000)
