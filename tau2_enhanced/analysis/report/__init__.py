"""The whole analysis to read and to hand on: `report.html` to explore, `report.md` to paste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tau2_enhanced.analysis.output import written_whole
from tau2_enhanced.analysis.report.data import report_data
from tau2_enhanced.analysis.report.head import head
from tau2_enhanced.analysis.report.html import html_page
from tau2_enhanced.analysis.report.markdown import markdown
from tau2_enhanced.analysis.table import EventTable

__all__ = ["write_reports"]


def write_reports(
    table: EventTable, found: pl.DataFrame, summary: Mapping[str, Any], folder: Path, pictures: Sequence[Path] = ()
) -> list[Path]:
    """Write `report.html` and `report.md`, which names the `pictures` beside it; their paths.

    `found` are the table's simulations. Raises UserMistake where a file can't be written.
    """
    top = head(table, found, summary)
    title = " · ".join(top.runs) or ", ".join(top.domains)
    page = html_page(title, report_data(table, found, summary, top))
    paths = [folder / "report.html", folder / "report.md"]
    for path, text in zip(paths, (page, markdown(top, summary, pictures)), strict=True):
        with written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="replace")
    return paths
