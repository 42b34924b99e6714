"""The whole analysis to read and to hand on: `report.html` to explore, `report.md` to paste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tau2_enhanced.analysis.output import written_whole
from tau2_enhanced.analysis.report.data import report_data
from tau2_enhanced.analysis.report.head import head
from tau2_enhanced.analysis.report.html import html_page
from tau2_enhanced.analysis.report.markdown import markdown
from tau2_enhanced.analysis.report.tables import Table
from tau2_enhanced.analysis.table import EventTable

__all__ = ["More", "write_reports"]


class More(NamedTuple):
    """What a report holds beyond the numbers of its summary."""

    tables: Sequence[Table] = ()
    pictures: Sequence[Path] = ()
    """Those (PNG) that the page holds in itself."""
    warnings: Sequence[str] = ()


def write_reports(
    table: EventTable,
    found: pl.DataFrame,
    summary: Mapping[str, Any],
    folder: Path,
    pictures: Sequence[Path] = (),
    more: More | None = None,
) -> list[Path]:
    """Write `report.html` and `report.md`, which names the `pictures` beside it; their paths.

    `found` are the table's simulations. Raises UserMistake where a file can't be written.
    """
    top = head(table, found, summary)
    more = more or More()
    top = top._replace(warnings=[*top.warnings, *more.warnings])
    title = " · ".join(top.runs) or ", ".join(top.domains)
    page = html_page(title, report_data(table, found, summary, top, more=more.tables), more.pictures)
    paths = [folder / "report.html", folder / "report.md"]
    for path, text in zip(paths, (page, markdown(top, summary, pictures, more.tables)), strict=True):
        with written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="replace")
    return paths
