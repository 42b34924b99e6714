"""The end of a run, for a person: what happened, what it cost, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tau2_enhanced.runner import words

_LISTED = 5
_MOST_KS = 4
_GOLD = "gold played the benchmark's own actions: this reward is its upper bound, not a model's score"
_SCAFFOLD = {
    "experts": "the agent could let experts take its turn: this is a custom scaffold, not a model by itself",
    "context": "the agent's conversations were cut to fit: this is a custom scaffold, not tau2's own agent",
}
_REDACTED = "sensitive data is replaced in events and logs; results and record hold the conversations as they were"
_GOLD_BESIDE = "gold played a part beside the agent: this reward can't be compared with published scores"


def print_report(summary: Mapping[str, Any], console: Console) -> None:
    """The summary in tables."""
    console.print(_domains(summary))
    console.print(_reasons(summary["termination_reasons"]), highlight=False)
    _simulations(console, "slowest", summary["slowest"][:_LISTED], len(summary["slowest"][:_LISTED]))
    _simulations(console, "failed", summary["failed"][:_LISTED], len(summary["failed"]))
    _simulations(console, "without verdict", summary["without_verdict"], len(summary["without_verdict"]))
    _loops(console, summary["looped"])
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
        console.print(f"to go on: {summary['resume_command']}", soft_wrap=True, highlight=False, markup=False)
    for name, paths in summary["paths"].items():
        listed = paths if isinstance(paths, str) else "  ".join(paths)
        console.print(f"{name + ':':9} {listed}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"to analyse it: {summary['analysis_command']}", soft_wrap=True, highlight=False, markup=False)


def _domains(summary: Mapping[str, Any]) -> Table:
    groups = summary["domains"]
    ks = sorted({int(k) for group in groups.values() for k in group["pass_hat_k"]}) or [1]
    ks = ks if len(ks) <= _MOST_KS else [*ks[: _MOST_KS - 1], ks[-1]]
    incomplete = summary["finished"] < summary["planned"]
    table = Table(title=f"run {summary['run_id']}", title_justify="left")
    table.add_column("domain", style="bold")
    bounds = ["pass^1 ≥"] if incomplete else []
    priced = _priced(summary)
    names = ["tasks", "coverage", *(f"pass^{k}" for k in ks), *bounds, "reward", *priced, "tok in", "tok out"]
    for name in [*names, "median", "P95"]:
        table.add_column(name, justify="right")
    for domain, group in groups.items():
        table.add_row(domain, *_cells(group, ks, priced, incomplete))
    if len(groups) > 1:
        table.add_section()
        table.add_row("all", *_cells(summary, ks, priced, incomplete))
    return table


def _cells(group: Mapping[str, Any], ks: Sequence[int], priced: Sequence[str], incomplete: bool) -> list[str]:
    costs = group["cost_usd_by_role"]
    return [
        str(group["tasks"]),
        f"{group['finished']}/{group['planned']}",
        *(words.percent(group["pass_hat_k"].get(str(k))) for k in ks),
        # the least pass^1 can be: with all that is missing counted as failed
        *([words.percent(group["pass_hat_k_lower_bound"].get("1"))] if incomplete else []),
        "–" if group["mean_reward"] is None else f"{group['mean_reward']:.3f}",
        *(words.money(costs.get(role, 0.0 if role == "expert" else None)) for role in priced),
        words.count(group["input_tokens"]),
        words.count(group["output_tokens"]),
        _time(group["duration_ms_median"]),
        _time(group["duration_ms_p95"]),
    ]


def _priced(summary: Mapping[str, Any]) -> list[str]:
    """The roles whose cost is shown."""
    return ["agent", *(["expert"] if summary["experts"] else []), "user"]


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
