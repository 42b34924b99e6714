"""What there is to analyse: events of logs and JSON files, and tau2's results files, told apart by what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tau2_enhanced.analysis.doubles import join_file
from tau2_enhanced.analysis.inputs import ending, pieces
from tau2_enhanced.analysis.json_events import load_json, read_json_document, read_json_lines
from tau2_enhanced.analysis.log_lines import Lines, read_events, read_pieces
from tau2_enhanced.analysis.results_events import events_of
from tau2_enhanced.analysis.results_file import ResultsFile, results_of
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.analysis.tool_executions import with_tool_calls
from tau2_enhanced.errors import UserMistake


class Sources(NamedTuple):
    """What was read."""

    table: EventTable
    """The events of the logs; where there are none, those that the results files tell of."""
    results: list[ResultsFile]


def read_sources(paths: Sequence[Path], say: Callable[[str], None] = lambda _: None) -> Sources:
    """Read all files. Raises UserMistake for one that can't be read or is neither events nor results.

    `say` is told what is being read.
    """
    lines = Lines()
    results: list[ResultsFile] = []
    for path in paths:
        say(f"reading {path}")
        found = Lines()
        read_source(path, found, results)
        join_file(lines, found)
    sources = to_sources(lines, results)
    return sources._replace(table=with_tool_calls(sources.table))


def read_source(path: Path, lines: Lines, results: list[ResultsFile]) -> None:
    """Read one file, and add what it holds. Raises UserMistake as `read_sources` does."""
    kind = ending(path)
    if kind == ".json":
        _read_document(path, lines, results)
    elif kind == ".jsonl":
        read_json_lines(path, lines)
    else:
        read_pieces(pieces(path, broken=lines.add_broken), lines)


def to_sources(lines: Lines, results: list[ResultsFile]) -> Sources:
    """What was read, as `read_sources` returns it."""
    results = _told_apart(results)
    if not lines.frames:
        for found in results:
            read_events(events_of(found), lines)
    return Sources(to_table(lines), results)


def _told_apart(results: list[ResultsFile]) -> list[ResultsFile]:
    """The results with runs of their own: files of one name and domain are called by their folders too."""
    times = Counter((found.run, found.domain) for found in results)
    return [
        replace(found, run=str(found.path.with_suffix(""))) if times[found.run, found.domain] > 1 else found
        for found in results
    ]


def read_table(paths: Sequence[Path]) -> EventTable:
    """The table of `read_sources`."""
    return read_sources(paths).table


def _read_document(path: Path, lines: Lines, results: list[ResultsFile]) -> None:
    data = load_json(path)
    if isinstance(data, dict) and "simulations" in data:
        results.append(results_of(data, path))
    elif not read_json_document(data, lines, path.stem):
        raise UserMistake(f"{path} holds neither events nor results of tau2")
