"""A comparison as `compare.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tau2_enhanced.analysis.compare import tables
from tau2_enhanced.analysis.compare.tables import TextTable

HOW = (
    "A task's trials are averaged first; differences are those of tasks that both runs have. Intervals are 95 % each "
    "by itself: of many measures some seem to differ by chance. pass^1 and reward: Tango's score interval; all else: "
    "Student's interval of paired differences."
)


def markdown(found: Mapping[str, Any], pictures: Iterable[str]) -> str:
    """The whole comparison; `pictures` are names of files beside it."""
    return "\n".join(_lines(found, pictures)) + "\n"


def _lines(found: Mapping[str, Any], pictures: Iterable[str]) -> Iterator[str]:
    baseline, *others = [_plain(run["name"]) for run in found["runs"]]
    yield f"# {', '.join(others)} against {baseline}"
    yield from _table(tables.overview(found), heading=False)
    yield from _list(tables.notes(found))
    for pair in found["comparisons"]:
        yield from _table(tables.measures(pair))
        yield from _list(tables.sentences(pair))
        if changed := tables.changes(pair):
            yield from _table(changed)
    for name in pictures:
        yield from ("", f"![{name}]({name})")
    yield from ("", HOW)


def _table(table: TextTable, *, heading: bool = True) -> Iterator[str]:
    if heading:
        yield from ("", f"## {_plain(table.title)}")
    yield ""
    yield _row([*table.names, *table.numbers])
    yield _row(["---"] * len(table.names) + ["---:"] * len(table.numbers))
    yield from map(_row, table.rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _list(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield ""
        yield from (f"- {_plain(sentence)}" for sentence in sentences)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    for letter in "\\|*_`<[]":
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())
