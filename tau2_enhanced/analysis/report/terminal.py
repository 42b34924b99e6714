"""The tables of a report on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from tau2_enhanced.analysis.number_texts import duration_text, share_text
from tau2_enhanced.analysis.report.cells import TEXTS, cell_text, written
from tau2_enhanced.analysis.report.tables import Table
from tau2_enhanced.analysis.terminal_text import harmless

_WIDEST = 60


def rich_table(table: Table) -> RichTable:
    """A table as rich shows it; long texts are cut."""
    shown = RichTable(
        title=table.title, title_justify="left", caption=table.note or None, caption_justify="left", box=box.SIMPLE_HEAD
    )
    places = written(table.columns)
    for place in places:
        column = table.columns[place]
        if column.kind in TEXTS:
            shown.add_column(column.name, max_width=_WIDEST, overflow="fold")
        else:
            shown.add_column(column.name, justify="right")
    for row in (*table.rows, *([table.total] if table.total else [])):
        shown.add_row(*(Text(harmless(cell_text(table.columns[place], row[place]))) for place in places))
    return shown


def headline(analysis: Mapping[str, Any]) -> str:
    """What was analysed, in a line."""
    stats = analysis["basic_stats"]
    success = analysis["confidence_intervals"]["success_rate"]
    parts = [
        f"{stats['total_tool_calls']:,} tool calls of {stats['tools']} tools in {stats['simulations']:,} simulations"
    ]
    if success["value"] is not None:
        sure = "" if success["low"] is None else f" (95 %: {100 * success['low']:.1f} – {100 * success['high']:.1f})"
        parts.append(f"{share_text(success['value'])} succeed{sure}")
    parts.append(f"{stats['failed_calls']:,} fail")
    if stats["execution_time"]["p50_ms"] is not None:
        parts.append(f"median {duration_text(stats['execution_time']['p50_ms'])}")
    return " · ".join(parts)
