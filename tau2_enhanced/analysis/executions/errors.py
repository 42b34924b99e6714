"""Which calls fail, why, and what comes after."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.outcomes import simulation_rows
from tau2_enhanced.analysis.executions.statistics import share
from tau2_enhanced.analysis.executions.values import CALLS, ENDED, ERRORS, TOOL, sorted_counts, summary

_SHORTEST = 3
"""Characters of an argument's value that may stand for a place of a message."""
_LONGEST = 200
_VALUE = "…"
_NAMED = re.compile(
    r"""'[^'\n]*'|"[^"\n]*"|`[^`\n]*`      # what is quoted
    |\b[\w.@-]*\d[\w.@:-]*                 # what has a digit: ids, numbers, dates
    |\b[A-Z][A-Z0-9]{4,}\b                 # codes""",
    re.VERBOSE,
)
_PLACE = re.compile(r"\.\d+\b")
"""Which item of a list is meant, where an error names its place."""
_UNKNOWN = "unknown"


def error_analysis(found: Executions) -> dict[str, Any]:
    """How often calls fail, of which type, by tool, and for which causes; and whether the agent recovers.

    `causes` groups messages that differ in values alone: each value of the call's arguments, what is quoted, and
    what has digits becomes `…`; a call whose arguments did not fit is grouped by what was wrong with each.
    `kind` is `arguments` for those, `tool` where the tool refused or broke. `recovery` says how many errors were
    followed, in their simulation, by a success of the same tool, and after how many more calls of it.
    `reported_in_results` are calls that succeeded with a result that speaks of an error.
    """
    calls = found.calls.with_columns(TOOL)
    failed = calls.filter(pl.col("success").eq(False))
    ended = int(calls["success"].count())
    errors = simulation_rows(found)["errors"]
    return {
        "total_errors": failed.height,
        "error_rate": share(failed.height, ended),
        "by_type": sorted_counts(failed["error_type"].fill_null(_UNKNOWN)),
        "by_tool": _by_tool(calls),
        "causes": _causes(failed),
        "recovery": _recovery(calls),
        "longest_streak": _longest_streak(calls),
        "simulations_with_errors": share(int((errors > 0).sum()), errors.len()),
        "reported_in_results": int((calls["result_contains_errors"] & calls["success"].fill_null(True)).sum()),
    }


def _by_tool(calls: pl.DataFrame) -> list[dict[str, Any]]:
    rows = calls.group_by("tool").agg(CALLS, ERRORS, ENDED).filter(pl.col("errors") > 0)
    made = [
        {"tool": tool, "calls": count, "errors": errors, "error_rate": share(errors, ended)}
        for tool, count, errors, ended in rows.iter_rows()
    ]
    return sorted(made, key=lambda row: (-row["errors"], row["tool"]))


def _causes(failed: pl.DataFrame) -> list[dict[str, Any]]:
    grouped: dict[tuple[str, str], dict[str, Any]] = {}
    columns = ("tool", "error", "error_type", "validation_errors", "tool_args", "simulation", "task")
    for call in failed.select(columns).iter_rows(named=True):
        for kind, cause, example in _causes_of(call):
            group = grouped.setdefault(
                (kind, cause),
                {
                    "cause": cause,
                    "kind": kind,
                    "count": 0,
                    "tools": {},
                    "types": {},
                    "_simulations": set(),
                    "_tasks": set(),
                    "example": example[:_LONGEST],
                },
            )
            group["count"] += 1
            _count(group["tools"], call["tool"])
            _count(group["types"], call["error_type"] or _UNKNOWN)
            group["_simulations"].add(call["simulation"])
            group["_tasks"].add(call["task"])
    rows = sorted(grouped.values(), key=lambda group: (-group["count"], group["cause"]))
    for row in rows:
        row["simulations"] = len(row.pop("_simulations") - {None})
        row["tasks"] = len(row.pop("_tasks") - {None})
    return rows


def _causes_of(call: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Why a call failed, and an example: each thing wrong with its arguments, or else its message's first line."""
    wrong = _list(call["validation_errors"])
    if wrong:
        yield from (("arguments", *pair) for pair in {_PLACE.sub(".*", text): text for text in wrong}.items())
    else:
        yield "tool", pattern_of(call["error"], call["tool_args"]), _first_line(call["error"])


def pattern_of(message: str, arguments: str | None = None) -> str:
    """The first line of a message without the values in it; `arguments` are the call's, as JSON."""
    line = _first_line(message)
    for value in sorted(set(_texts(_read(arguments))), key=len, reverse=True):
        if len(value) >= _SHORTEST:
            line = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _VALUE, line)
    line = _NAMED.sub(_VALUE, line)
    line = re.sub(rf"{_VALUE}(?:[\s,;]*{_VALUE})+", _VALUE, line)
    return line[:_LONGEST] or _UNKNOWN


def _first_line(message: str) -> str:
    return next((text.strip() for text in message.splitlines() if text.strip()), "")


def _recovery(calls: pl.DataFrame) -> dict[str, Any]:
    """Of the errors within simulations: those after which the same tool succeeded, and how many calls later."""
    known = calls.filter(pl.col("simulation").is_not_null() & pl.col("success").is_not_null())
    own = ["simulation", "requestor", "tool"]
    place = pl.int_range(pl.len()).over(own).cast(pl.Int64)
    placed = known.with_columns(place.alias("place")).with_columns(
        pl.when("success").then("place").otherwise(None).alias("succeeded")
    )
    next_success = pl.col("succeeded").fill_null(strategy="backward").over(own)
    failed = placed.with_columns(next_success.alias("next")).filter(~pl.col("success"))
    later = (failed["next"] - failed["place"]).drop_nulls()
    return {"recovered": share(later.len(), failed.height), "calls_until_success": summary(later)}


def _longest_streak(calls: pl.DataFrame) -> int:
    """The most calls of one simulation that failed one after the other."""
    known = calls.filter(pl.col("simulation").is_not_null() & pl.col("success").is_not_null())
    if known["success"].all():
        return 0
    sound = pl.col("success").cast(pl.Int64).cum_sum().over("simulation")
    streaks = known.with_columns(sound.alias("streak")).filter(~pl.col("success"))
    return max(streaks.group_by("simulation", "streak").len()["len"].to_list(), default=0)


def _count(into: dict[str, int], name: str) -> None:
    into[name] = into.get(name, 0) + 1


def _list(text: str | None) -> list[str]:
    read = _read(text)
    return [str(item) for item in read] if isinstance(read, list) else []


def _read(text: str | None) -> Any:
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
