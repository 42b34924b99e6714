"""A report as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tau2_enhanced.analysis.number_texts import count_text
from tau2_enhanced.analysis.report.cells import TEXTS, cell_text, written
from tau2_enhanced.analysis.report.head import Head
from tau2_enhanced.analysis.report.tables import Column, Row, Table, tables

_SPECIAL = re.compile(r"([\\`*\[\]<>&|~#])|(?<!\w)_|_(?!\w)")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")


def markdown(head: Head, summary: Mapping[str, Any], pictures: Sequence[Path], more: Sequence[Table] = ()) -> str:
    """The head, the pictures (files beside the report), the summary's tables and `more` of them."""
    all_tables = [*tables(summary), *more]
    return "\n".join([*_head(head), *_pictures(pictures), *(line for table in all_tables for line in _table(table))])


def _head(head: Head) -> Iterator[str]:
    yield f"# {escaped(' · '.join(head.runs) or 'Results')}"
    yield ""
    if head.began and head.ended:
        yield f"{head.began:%Y-%m-%d %H:%M} to {head.ended:%Y-%m-%d %H:%M} · {escaped(', '.join(head.domains))}"
        yield ""
    for role, models in head.models:
        yield f"- {role}: {escaped(models)}"
    if head.outcomes:
        yield f"- simulations: {', '.join(f'{count_text(n)} {outcome}' for outcome, n in head.outcomes.items())}"
    for fact in head.facts:
        yield f"- {escaped(fact.name)}: **{escaped(fact.value)}**" + (f" ({escaped(fact.note)})" if fact.note else "")
    for warning in head.warnings:
        yield f"- {escaped(warning)}"
    yield ""


def _pictures(pictures: Sequence[Path]) -> Iterator[str]:
    for picture in pictures:
        yield f"![{escaped(picture.stem.replace('_', ' '))}]({quote(picture.name)})"
        yield ""


def _table(table: Table) -> Iterator[str]:
    shown = written(table.columns)
    columns = [table.columns[place] for place in shown]
    yield f"## {table.title}"
    yield ""
    yield _line(escaped(column.name) for column in columns)
    yield _line("---" if column.kind in TEXTS else "---:" for column in columns)
    for row in (*table.rows, *([table.total] if table.total else [])):
        yield _line(_cells(columns, [row[place] for place in shown]))
    yield ""
    if table.note and len(shown) == len(table.columns):
        yield escaped(table.note)
        yield ""


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(columns: Sequence[Column], row: Row) -> Iterator[str]:
    for column, value in zip(columns, row, strict=True):
        yield _cell(column, value)


def _cell(column: Column, value: Any) -> str:
    text = cell_text(column, value)
    return escaped(text) if column.kind in TEXTS else text


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line, in a table too."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", _SPACES.sub(" ", text))
