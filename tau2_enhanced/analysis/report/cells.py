"""A table's values as text: what Markdown and the terminal show alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tau2_enhanced.analysis.number_texts import UNKNOWN, count_text, number_text, share_text, usd_text
from tau2_enhanced.analysis.report.tables import Column

TEXTS = {"text", "label"}
DRAWN = {"range"}
"""Columns that are pictures; the others have their numbers too."""


def cell_text(column: Column, value: Any) -> str:
    """A value as people read it. What is unknown is a dash."""
    if column.kind in TEXTS:
        return str(value) if value not in (None, "") else UNKNOWN
    if column.kind == "interval":
        return UNKNOWN if value is None else f"{100 * value[1]:.1f} – {100 * value[2]:.1f}"
    shown = {"count": count_text, "share": share_text, "usd": usd_text}.get(column.kind, number_text)
    return shown(value)


def written(columns: Sequence[Column]) -> list[int]:
    """The places of the columns that are not pictures."""
    return [place for place, column in enumerate(columns) if column.kind not in DRAWN]
