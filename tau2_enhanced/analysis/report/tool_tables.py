"""The tables of what `LogAnalyzer` found, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tau2_enhanced.analysis.report.tables import Column, Row, Table

Found = Mapping[str, Any]
_MOST = 30
"""Rows of the long tables; `--json` has all."""


def tool_tables(analysis: Found) -> list[Table]:
    """The tables that an analysis has data for; `analysis` is `get_comprehensive_analysis()`."""
    return [table for table in _all(analysis) if table.rows]


def _all(analysis: Found) -> Iterator[Table]:
    yield _tools(analysis)
    yield _causes(analysis["errors"])
    yield _slowest(analysis["bottlenecks"])
    yield _state_changes(analysis["state_changes"])
    yield _flow(analysis["transitions"])
    yield _arguments(analysis["arguments"])
    yield _repeats(analysis["redundant_calls"])
    yield _sensitive(analysis["sensitive_data"])
    yield _predictors(analysis["argument_correlations"])
    yield _outcomes(analysis["outcomes"])
    yield _trends(analysis["temporal"])


def _interval(share: Found) -> list[float] | None:
    """A share as a column of intervals has it."""
    return None if share["low"] is None else [share["value"], share["low"], share["high"]]


def _cut(rows: Sequence[Row], note: str = "") -> tuple[Sequence[Row], str]:
    """The first rows, and a note that says so where there are more."""
    more = f"The first {_MOST} of {len(rows):,}." if len(rows) > _MOST else ""
    return rows[:_MOST], " ".join(filter(None, (note, more)))


def _tools(analysis: Found) -> Table:
    columns = (
        Column("tool"),
        *(Column(name, "count") for name in ("calls", "errors")),
        Column("succeed", "share"),
        Column("95 % interval", "interval"),
        *(Column(name, "number") for name in ("P50 ms", "P95 ms", "max ms", "total ms")),
        Column("of the tools' time", "share"),
        Column("changed the state", "count"),
    )
    sure = {row["tool"]: row["success_rate"] for row in analysis["confidence_intervals"]["by_tool"]}
    times = {row["tool"]: row for row in analysis["performance"]["slowest_tools"]}
    errors = {row["tool"]: row["errors"] for row in analysis["errors"]["by_tool"]}
    changed = {row["tool"]: row["changing_calls"] for row in analysis["state_changes"]["by_tool"]}
    rows = []
    for used in analysis["distributions"]["tool_usage"]:
        tool = used["tool"]
        time, success = times.get(tool, {}), sure.get(tool)
        rows.append(
            [
                tool,
                used["count"],
                errors.get(tool, 0),
                success["value"] if success else None,
                _interval(success) if success else None,
                *(time.get(name) for name in ("p50_ms", "p95_ms", "max_ms", "total_ms", "share_of_time")),
                changed.get(tool),
            ]
        )
    return Table("tools", "Tools", columns, rows, note="Intervals are Wilson's.")


def _causes(errors: Found) -> Table:
    columns = (Column("cause"), Column("kind"), Column("n", "count"), Column("simulations", "count"), Column("tools"))
    rows, note = _cut(
        [
            [row["cause"], row["kind"], row["count"], row["simulations"], ", ".join(row["tools"])]
            for row in errors["causes"]
        ],
        "Messages that differ in values alone are one cause.",
    )
    return Table("tool-causes", "Why calls of tools fail", columns, rows, note=note)


def _slowest(bottlenecks: Found) -> Table:
    columns = (
        *(Column(name) for name in ("tool", "domain", "task")),
        *(Column(name, "count") for name in ("trial", "step")),
        Column("ms", "number"),
        Column("of the tool's median", "number"),
    )
    names = ("tool", "domain", "task", "trial", "step", "duration_ms", "times_median")
    rows = [[row[name] for name in names] for row in bottlenecks["slowest_operations"]]
    return Table("tool-slowest", "Slowest calls of tools", columns, rows)


def _state_changes(changes: Found) -> Table:
    columns = (Column("tool"), Column("calls", "count"), Column("changed", "count"), Column("share", "share"))
    rows = [
        [row[name] for name in ("tool", "calls", "changing_calls", "changing_rate")]
        for row in changes["by_tool"]
        if row["changing_calls"]
    ]
    places = ", ".join(f"{place} {count}" for place, count in changes["places"].items())
    return Table("tool-states", "Calls that changed a database", columns, rows, note=places and f"Values: {places}.")


def _flow(transitions: Found) -> Table:
    columns = (
        *(Column(name) for name in ("tool", "next tool")),
        Column("n", "count"),
        Column("of what follows", "share"),
        Column("lift", "number"),
    )
    names = ("from", "to", "count", "probability", "lift")
    rows, note = _cut(
        [[row[name] for name in names] for row in transitions["transitions"]],
        "Within a simulation. Lift: how many times more often than after any tool.",
    )
    return Table("tool-flow", "Which tool follows which", columns, rows, note=note)


def _arguments(arguments: Found) -> Table:
    columns = (
        Column("tool"),
        Column("argument"),
        Column("given", "count"),
        Column("of its calls", "share"),
        Column("types"),
    )
    rows, note = _cut(
        [
            [row["tool"], row["argument"], row["count"], row["rate"], ", ".join(row["types"])]
            for row in arguments["names"]
        ]
    )
    return Table("tool-arguments", "Arguments", columns, rows, note=note)


def _repeats(repeats: Found) -> Table:
    columns = (Column("tool"), Column("calls", "count"), Column("repeated", "count"), Column("share", "share"))
    names = ("tool", "calls", "repeated_calls", "repeated_rate")
    note = "Calls with the same arguments as one before in their simulation, with no change of state between them."
    return Table(
        "tool-repeats",
        "Calls that repeat others",
        columns,
        [[r[n] for n in names] for r in repeats["by_tool"]],
        note=note,
    )


def _sensitive(sensitive: Found) -> Table:
    columns = (Column("tool"), Column("place"), Column("kind"), Column("n", "count"))
    rows, note = _cut(
        [[row[name] for name in ("tool", "place", "kind", "count")] for row in sensitive["findings_by_place"]]
    )
    return Table("tool-sensitive", "Sensitive data in arguments", columns, rows, note=note)


def _predictors(correlations: Found) -> Table:
    columns = (
        *(Column(name) for name in ("of a call", "goes with")),
        *(Column(name, "number") for name in ("ρ", "ρ within tools", "q")),
        Column("n", "count"),
    )
    found = [*correlations["performance_predictors"], *correlations["error_predictors"]]
    names = ("predictor", "outcome", "rho", "rho_within_tools", "q_value", "n")
    rows = [[row[name] for name in names] for row in found if row["rho"] is not None]
    note = "Spearman's ρ; q is corrected for all tests (Benjamini and Hochberg), small where chance is unlikely."
    return Table("tool-predictors", "What goes with slow and failing calls", columns, rows, note=note)


def _outcomes(outcomes: Found) -> Table:
    columns = (
        Column("of a simulation"),
        *(Column(name, "number") for name in ("mean, passed", "mean, failed")),
        Column("passed has more", "share"),
        Column("q", "number"),
    )
    names = ("measure", "mean_passed", "mean_failed", "effect", "q_value")
    rows = [[row[name] for name in names] for row in outcomes["measures"] if row["effect"] is not None]
    note = "Mann-Whitney's test; 50 %: alike. Whoever solves hard tasks calls more tools: no cause is claimed."
    return Table("tool-outcomes", "How passed simulations differ from failed ones", columns, rows, note=note)


def _trends(temporal: Found) -> Table:
    columns = (
        *(Column(name) for name in ("measure", "tool", "trend")),
        *(Column(name, "number") for name in ("τ", "q", "slope an hour")),
        Column("n", "count"),
    )
    names = ("measure", "tool", "direction", "tau", "q_value", "slope_per_hour", "n")
    rows = [[row[name] for name in names] for row in temporal["trends"] if row["tau"] is not None]
    return Table("tool-trends", "Trends over the run", columns, rows, note="Mann-Kendall's test, q as above.")
