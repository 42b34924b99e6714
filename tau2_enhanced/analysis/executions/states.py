"""What calls change in the databases."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.outcomes import simulation_rows
from tau2_enhanced.analysis.executions.statistics import share
from tau2_enhanced.analysis.executions.values import CALLS, TOOL, sorted_counts


def state_change_analysis(found: Executions) -> dict[str, Any]:
    """Which tools change the state, what they change, and what is changed back.

    `operations` and `places` count the entries of JSON Patch diffs, places by the first part of their path (a
    collection: `/reservations`); `by_tool` says how many of a tool's calls changed something;
    `states_seen_before` are changes that led back to a state the simulation had had, `distinct_states` how many
    states there were by their hashes. `failed_calls_that_changed` should be 0: a tool that fails half-way leaves
    a state that nobody asked for. Numbers are None, and shares of nothing, where no call says what it changed.
    """
    calls = found.calls.with_columns(TOOL)
    changes = found.state_changes
    known = calls.drop_nulls("state_changed")
    changing = simulation_rows(found)["state_changing_calls"].drop_nulls()
    operations, places = _diffs(changes["state_diff"])
    failed_that_changed = int((known["state_changed"] & known["success"].eq(False)).sum())
    watched = known.height or changes.height
    hashes = pl.concat([changes["pre_state_hash"], changes["post_state_hash"]])
    return {
        "state_changes": changes.height if watched else None,
        "changing_calls": share(int(known["state_changed"].sum()), known.height),
        "by_tool": _by_tool(known),
        "changes_by_trigger": sorted_counts(changes["action_trigger"]),
        "changes_by_state": sorted_counts(changes["state_type"]),
        "operations": dict(operations.most_common()),
        "places": dict(places.most_common()),
        "simulations_with_changes": share(int((changing > 0).sum()), changing.len()),
        "failed_calls_that_changed": failed_that_changed if known.height else None,
        "distinct_states": hashes.drop_nulls().n_unique() if watched else None,
        "states_seen_before": _seen_before(changes) if watched else None,
        "changes_without_diff": changes["state_diff"].null_count(),
    }


def _by_tool(known: pl.DataFrame) -> list[dict[str, Any]]:
    rows = known.group_by("tool").agg(CALLS, pl.col("state_changed").sum().cast(pl.Int64).alias("changed"))
    return [
        {"tool": tool, "calls": calls, "changing_calls": changed, "changing_rate": changed / calls}
        for tool, calls, changed in rows.sort("changed", "tool", descending=[True, False]).iter_rows()
    ]


def _diffs(texts: pl.Series) -> tuple[Counter[str], Counter[str]]:
    operations: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for text in texts.drop_nulls():
        for change in _changes(text):
            operations[str(change.get("op"))] += 1
            places["/" + str(change.get("path", "")).lstrip("/").partition("/")[0]] += 1
    return operations, places


def _changes(text: str) -> list[dict[str, Any]]:
    try:
        read = json.loads(text)
    except ValueError:
        return []
    return [change for change in read if isinstance(change, dict)] if isinstance(read, list) else []


def _seen_before(changes: pl.DataFrame) -> int:
    """Changes of a simulation that led to a state it had been in before."""
    seen: dict[tuple[str, str | None], set[str]] = {}
    again = 0
    columns = ("simulation", "state_type", "pre_state_hash", "post_state_hash")
    for simulation, state, before, after in changes.drop_nulls("simulation").select(columns).iter_rows():
        had = seen.setdefault((simulation, state), set())
        if before is not None:
            had.add(before)
        again += after in had
        if after is not None:
            had.add(after)
    return again
