"""What a report begins with: which runs these are, and what they came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from tau2_enhanced.analysis.number_texts import UNKNOWN, count_text, counted, duration_text, share_text, usd_text
from tau2_enhanced.analysis.series import ROLES
from tau2_enhanced.analysis.sums import total
from tau2_enhanced.analysis.table import EventTable
from tau2_enhanced.analysis.timeline import OUTCOME, OUTCOMES
from tau2_enhanced.analysis.wall_time import why_unknown


class Fact(NamedTuple):
    """A number that matters, as people read it."""

    name: str
    value: str
    note: str = ""


class Head(NamedTuple):
    """All that stands above the tables."""

    runs: list[str]
    began: datetime | None
    """Local time of the first event."""
    ended: datetime | None
    domains: list[str]
    models: list[tuple[str, str]]
    """Each role and its models."""
    outcomes: dict[str, int]
    """How many simulations passed, failed, have no verdict and never ended, without repeated attempts."""
    facts: list[Fact]
    warnings: list[str]
    """What may make the numbers incomplete."""


def head(table: EventTable, found: pl.DataFrame, summary: Mapping[str, Any]) -> Head:
    """The head of a report; `found` are the table's simulations."""
    times = [frame["timestamp"] for frame in table.frames.values()]
    counting = found.filter("counts")
    counts = dict(counting.group_by(OUTCOME).len().iter_rows())
    outcomes = {outcome: counts[outcome] for outcome in OUTCOMES if outcome in counts}
    results = summary.get("results", [])
    domains = dict.fromkeys([*counting["domain"].drop_nulls().to_list(), *(found["domain"] for found in results)])
    return Head(
        runs=[run or "a run without a name" for run in summary.get("runs", [])],
        began=min((moment for series in times if isinstance(moment := series.min(), datetime)), default=None),
        ended=max((moment for series in times if isinstance(moment := series.max(), datetime)), default=None),
        domains=sorted(domains),
        models=_models(summary),
        outcomes=outcomes,
        facts=[*_pass_rates(results, outcomes), *_totals(summary)],
        warnings=list(_warnings(summary)),
    )


def _models(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: dict[str, dict[str, None]] = {}
    for row in summary.get("usage", []):
        found.setdefault(row["role"].replace("_", " "), {})[row["model"] or UNKNOWN] = None
    if not found:
        for results in summary.get("results", []):
            for role, model in (("agent", results["agent_model"]), ("user simulator", results["user_model"])):
                found.setdefault(role, {})[model or UNKNOWN] = None
    return [(role, ", ".join(found[role])) for role in sorted(found, key=_in_order)]


def _in_order(role: str) -> int:
    """Roles stand in one order everywhere: agent, expert, user simulator, judge."""
    order = [name.replace("_", " ") for name in ROLES.values()]
    return order.index(role) if role in order else len(order)


def _pass_rates(results: Sequence[Mapping[str, Any]], outcomes: Mapping[str, int]) -> Iterator[Fact]:
    for found in results:
        share = found["pass_hat_k"]["1"]
        limits = "" if share["low"] is None else f"95 %: {100 * share['low']:.1f} – {100 * share['high']:.1f} · "
        coverage = f"coverage {count_text(found['finished'])}/{count_text(found['planned'])}"
        yield Fact(f"pass^1 {found['domain']}", share_text(share["value"]), f"{limits}{coverage}")
    judged = outcomes.get("passed", 0) + outcomes.get("failed", 0)
    if not results and judged:
        note = f"{count_text(outcomes.get('passed', 0))} of {count_text(judged)} with a verdict"
        yield Fact("passed", share_text(outcomes.get("passed", 0) / judged), note)


def _totals(summary: Mapping[str, Any]) -> Iterator[Fact]:
    path, parts = summary.get("critical_path"), summary.get("wall_time")
    if path:
        notes = [f"{duration_text(parts['total_ms'])} of simulations"] if parts else []
        if path["stopped_ms"]:
            notes.append(f"without {duration_text(path['stopped_ms'])} between its parts")
        runs = len(summary["runs"])
        name = "wall time" if runs == 1 else f"wall time of {runs} runs"
        yield Fact(name, duration_text(path["total_ms"]), " · ".join(notes))
    usage, results = summary.get("usage"), summary.get("results")
    if usage:
        yield from _used(usage, summary["cost_by_role"])
    elif results:
        yield from _told(results)
    if "errors" in summary:
        yield Fact("errors", count_text(sum(row["n"] for row in summary["errors"])), _most_frequent(summary["errors"]))


def _used(usage: Sequence[Mapping[str, Any]], costs: Mapping[str, float | None]) -> Iterator[Fact]:
    """What the recorded calls of models used."""
    by_role = {name.removesuffix("_usd").replace("_", " "): cost for name, cost in costs.items()}
    of_all = by_role.pop("total")
    yield _cost(of_all, {role: by_role[role] for role in sorted(by_role, key=_in_order)})
    read, cached, said = (_known_sum(usage, name) for name in ("input_tokens", "cached_tokens", "output_tokens"))
    yield Fact("tokens in", count_text(read), "" if cached is None else f"{count_text(cached)} cached")
    yield Fact("tokens out", count_text(said), f"{count_text(_known_sum(usage, 'calls'))} calls")


def _told(results: Sequence[Mapping[str, Any]]) -> Iterator[Fact]:
    """What results files tell of it, where no call of a model was recorded."""
    names = {"agent": "agent_cost_usd", "user simulator": "user_cost_usd"}
    costs = {role: total(found[name] for found in results) for role, name in names.items()}
    if any(cost is not None for cost in costs.values()):
        yield _cost(total(costs.values()), costs)
    for name, column in (("tokens in", "input_tokens"), ("tokens out", "output_tokens")):
        if (tokens := _known_sum(results, column)) is not None:
            yield Fact(name, count_text(tokens))


def _cost(of_all: float | None, by_role: Mapping[str, float | None]) -> Fact:
    return Fact("cost USD", usd_text(of_all), " · ".join(f"{role} {usd_text(cost)}" for role, cost in by_role.items()))


def _most_frequent(errors: Sequence[Mapping[str, Any]]) -> str:
    if not errors:
        return ""
    first = f"{errors[0]['type']} {errors[0]['error_type']} {count_text(errors[0]['n'])}"
    return first + (f" · {len(errors) - 1} more kinds" if len(errors) > 1 else "")


def _warnings(summary: Mapping[str, Any]) -> Iterator[str]:
    lines = summary.get("lines", {})
    if lines.get("broken"):
        yield f"{counted(lines['broken'], 'line')} could not be read: {' · '.join(lines['broken_examples'])}"
    yield from notes(summary)


def notes(summary: Mapping[str, Any]) -> Iterator[str]:
    """What is to be known of the numbers: whose times they are, and which attempts and parts are in them."""
    if summary.get("times_between_messages"):
        yield "without a log, times are those between messages: retries, waits and the framework are in them"
    attempts = summary.get("attempts", {})
    if attempts.get("unfinished"):
        yield f"{counted(attempts['unfinished'], 'attempt')} never ended: killed, or still running"
    if attempts.get("repeated"):
        repeated = counted(attempts["repeated"], "attempt")
        yield f"{repeated} had to be repeated: in all times and costs, in no pass rate"
    yield from why_unknown(summary.get("unknown_parts", {}))


def _known_sum(rows: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """None where no row knows it."""
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) if known else None
