"""Where sensitive data stands in arguments. The data itself is never shown."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from tau2_enhanced.analysis.executions.arguments import read_object
from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.statistics import share
from tau2_enhanced.analysis.executions.values import TOOL


def sensitive_data(found: Executions) -> dict[str, Any]:
    """How many calls carry sensitive data, of which kinds, and where: pointers (RFC 6901) into a tool's arguments.

    Items of a list are one place, `/passengers/*/dob`.
    """
    calls = found.calls.with_columns(TOOL)
    examined = calls.drop_nulls("sensitive_args_detected")
    kinds: Counter[str] = Counter()
    places: Counter[tuple[str, str, str]] = Counter()
    texts = examined.drop_nulls("sensitive_args").group_by("tool", "sensitive_args").len()
    for tool, text, count in texts.iter_rows():
        for kind, pointers in read_object(text).items():
            for pointer in pointers if isinstance(pointers, list) else ():
                kinds[kind] += count
                places[tool, _place(str(pointer)), kind] += count
    by_tool = examined.group_by("tool").agg(pl.col("sensitive_args_detected").sum().alias("found"), pl.len())
    return {
        "calls_with_sensitive_data": share(int(examined["sensitive_args_detected"].sum()), examined.height),
        "findings_by_kind": dict(sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))),
        "findings_by_place": [
            {"tool": tool, "place": place, "kind": kind, "count": count}
            for (tool, place, kind), count in sorted(places.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
        "by_tool": [
            {"tool": tool, "calls_with_sensitive_data": share(with_some, count)}
            for tool, with_some, count in by_tool.sort("tool").iter_rows()
        ],
        "calls_not_examined": calls.height - examined.height,
    }


def _place(pointer: str) -> str:
    return "/".join("*" if part.isdigit() else part for part in pointer.split("/"))
