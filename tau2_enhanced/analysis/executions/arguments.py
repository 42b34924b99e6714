"""What the arguments of calls are like, and how they use the tools' signatures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import share
from tau2_enhanced.analysis.executions.values import MOST, TOOL, histogram, sorted_counts, summary, summary_columns
from tau2_enhanced.analysis.line_pattern import escaped

_SCORE_BINS = 10


def argument_analysis(found: Executions) -> dict[str, Any]:
    """Complexity, size, types and names of arguments, how signatures are used, and what did not fit.

    `complexity_distribution` summarises the score (0 to 1, `logging/complexity.py`) with a histogram of ten equal
    parts; `signature_usage` says for each tool how often each optional argument was given, and how often
    required ones were missing or unknown ones given; `names` counts each argument of each tool with its types.
    """
    calls = found.calls.with_columns(TOOL)
    scores = calls["args_complexity_score"]
    return {
        "calls_with_arguments": calls["args_count"].count(),
        "complexity_distribution": {**summary(scores), "histogram": histogram(scores, 0.0, 1.0, _SCORE_BINS)},
        "complexity_by_tool": _by_tool(calls, "args_complexity_score"),
        "most_complex_calls": _most_complex(calls),
        "arguments_per_call": summary(calls["args_count"]),
        "size_bytes": summary(calls["args_size_bytes"], "bytes"),
        "types": dict(_types(calls)),
        "names": _names(calls),
        "patterns": _patterns(calls),
        "signature_usage": _signature_usage(calls),
        "validation_errors": dict(_listed(calls["validation_errors"]).most_common()),
        "file_arguments": int(calls["has_file_args"].sum()),
        "large_arguments": int(calls["has_large_args"].sum()),
        "sensitive_arguments": int(calls["sensitive_args_detected"].sum()),
        "results": {
            "size_bytes": summary(calls["result_size"], "bytes"),
            "complexity": summary(calls["result_complexity_score"]),
            "truncated_previews": int(calls["result_truncated"].sum()),
        },
    }


def argument_names(calls: pl.DataFrame) -> pl.Expr:
    """The names of the arguments that a call was given, sorted, as one text."""
    known = {text: escaped(", ".join(sorted(read_object(text)))) for text in calls["args_types"].drop_nulls().unique()}
    return pl.col("args_types").replace_strict(known, default=None, return_dtype=pl.String()).alias("names")


def read_object(text: str | None) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _by_tool(calls: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    rows = calls.drop_nulls(column).group_by("tool").agg(summary_columns(column))
    return rows.drop("total").sort("mean", "tool", descending=[True, False]).to_dicts()


def _most_complex(calls: pl.DataFrame) -> list[dict[str, Any]]:
    ranked = calls.drop_nulls("args_complexity_score").sort(
        "args_complexity_score", descending=True, maintain_order=True
    )
    return (
        ranked.head(MOST)
        .select("tool", "args_complexity_score", "args_count", "args_size_bytes", "simulation", "task", "tool_call_id")
        .to_dicts()
    )


def _types(calls: pl.DataFrame) -> Iterator[tuple[str, int]]:
    counted: Counter[str] = Counter()
    for text, count in calls["args_types"].drop_nulls().value_counts().iter_rows():
        for kind, times in Counter(map(str, read_object(text).values())).items():
            counted[kind] += times * count
    yield from sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def _names(calls: pl.DataFrame) -> list[dict[str, Any]]:
    totals = dict(calls.drop_nulls("args_types").group_by("tool").len().iter_rows())
    types: dict[tuple[str, str], Counter[str]] = {}
    for tool, text, count in calls.drop_nulls("args_types").group_by("tool", "args_types").len().iter_rows():
        for name, kind in read_object(text).items():
            types.setdefault((tool, name), Counter())[str(kind)] += count
    return [
        {
            "tool": tool,
            "argument": name,
            "count": counted.total(),
            "rate": counted.total() / totals[tool],
            "types": dict(counted.most_common()),
        }
        for (tool, name), counted in sorted(types.items())
    ]


def _patterns(calls: pl.DataFrame) -> list[dict[str, Any]]:
    named = calls.drop_nulls("args_types").with_columns(argument_names(calls))
    counted = named.group_by("tool", "names").len("count")
    return [
        {"tool": tool, "arguments": names.split(", ") if names else [], "count": count}
        for tool, names, count in counted.sort("count", "tool", "names", descending=[True, False, False]).iter_rows()
    ]


def _signature_usage(calls: pl.DataFrame) -> list[dict[str, Any]]:
    """Of the calls whose tool's signature is known."""
    known = calls.drop_nulls("required_args_provided")
    rows = []
    for part in sorted(known.partition_by("tool"), key=lambda part: str(part["tool"][0])):
        optional = _listed(part["optional_args_provided"])
        rows.append(
            {
                "tool": part["tool"][0],
                "calls": part.height,
                "required": dict(_listed(part["required_args_provided"]).most_common()),
                "optional": {name: share(count, part.height)["value"] for name, count in optional.most_common()},
                "calls_with_optional": int((part["optional_args_provided"].fill_null("[]") != "[]").sum()),
                "missing": dict(_listed(part["missing_args"]).most_common()),
                "unexpected": dict(_listed(part["unexpected_args"]).most_common()),
            }
        )
    return rows


def _listed(texts: pl.Series) -> Counter[str]:
    """In how many lists, which are JSON texts, each item comes."""
    counted: Counter[str] = Counter()
    for text, count in sorted_counts(texts).items():
        for item in dict.fromkeys(_items(text)):
            counted[item] += count
    return counted


def _items(text: str) -> Iterable[str]:
    try:
        read = json.loads(text)
    except ValueError:
        return []
    return map(str, read) if isinstance(read, list) else []
