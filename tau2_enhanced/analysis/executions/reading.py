"""From paths to `Executions`: which files are meant, what they hold, and what has to be said of it."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from tau2_enhanced.analysis.doubles import DOUBLED, join_file
from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.linking import linked
from tau2_enhanced.analysis.executions.results_calls import with_arguments
from tau2_enhanced.analysis.inputs import find_logs, recorded_files
from tau2_enhanced.analysis.log_lines import Lines
from tau2_enhanced.analysis.results_file import ResultsFile
from tau2_enhanced.analysis.sources import read_source, to_sources
from tau2_enhanced.errors import UserMistake

_EFFECTS_UNKNOWN = (
    "results files do not say what calls changed, so one that comes again after others is not examined for repeats"
)
_EVENT_FOLDERS = ("events", ".")
"""Where a folder that is no run's has its files of events: the first of these that holds some."""


def read_executions(paths: Path | str | Iterable[Path | str]) -> Executions:
    """Read files of events, enhanced logs, results files of tau2 and log files.

    Of a folder its files of events (`*.jsonl`) and the JSON documents beside them are meant; where it has none,
    its logs. Raises UserMistake for a path that is none of these or can't be read, and for a folder that holds
    none; what else is in a folder is passed over, and said.
    """
    given = [paths] if isinstance(paths, Path | str) else list(paths)
    if not given:
        raise UserMistake("no path to read events from")
    read = _Reading()
    for path in dict.fromkeys(map(Path, given)):
        read.add(path)
    alone = bool(read.results) and not read.lines.frames
    table, results = to_sources(read.lines, read.results)
    table = with_arguments(table, results) if alone else linked(table, results)
    executions = Executions(table, results, read.files)
    executions.notes.extend(read.notes)
    if alone:
        executions.notes.append("times of calls are those between the messages of results files")
        executions.notes.append(_EFFECTS_UNKNOWN)
    executions.notes.extend(_notes(executions))
    return executions


class _Reading:
    """What was read so far."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.results: list[ResultsFile] = []
        self.files: list[Path] = []
        self.notes: list[str] = []
        self._known: set[Path] = set()

    def add(self, path: Path) -> None:
        """Read a file, a folder or what a pattern means. Raises UserMistake."""
        before, mistakes = len(self.files), []
        for file in _files_of(path):
            try:
                self._read(file)
            except UserMistake as mistake:
                if not path.is_dir():
                    raise
                mistakes.append(mistake)
        if mistakes and len(self.files) == before:
            raise mistakes[0]
        self.notes.extend(f"passed over: {mistake}" for mistake in mistakes)

    def _read(self, file: Path) -> None:
        """Read one file, once. Raises UserMistake where it holds something, and nothing of what is meant."""
        if file.resolve() in self._known:
            return
        self._known.add(file.resolve())
        found, known = Lines(), len(self.results)
        read_source(file, found, self.results)
        if not found.frames and len(self.results) == known and _holds_others(file, found):
            first = f": {found.broken_examples[0]}" if found.broken_examples else ""
            raise UserMistake(f"{file} holds no events{first}")
        join_file(self.lines, found)
        self.files.append(file)


def _files_of(given: Path) -> list[Path]:
    if not given.is_dir():
        if not given.exists() and not glob.has_magic(str(given)):
            raise UserMistake(f"{given}: there is no such file")
        return find_logs([str(given)])
    if recorded := recorded_files(given):
        return recorded
    for inside in _EVENT_FOLDERS:
        events = sorted([*given.glob(f"{inside}/*.jsonl"), *given.glob(f"{inside}/*.jsonl.gz")])
        if events:
            return [*events, *sorted(given.glob("*.json"))]
    return sorted(given.glob("*.json")) or find_logs([str(given)])


def _holds_others(file: Path, found: Lines) -> bool:
    """Whether a file without events is none of events: it may be that nothing has happened yet."""
    written_as_json = {".json", ".jsonl"} & set(file.suffixes)
    return found.broken > 0 if written_as_json else file.stat().st_size > 0


def _notes(executions: Executions) -> Iterator[str]:
    if executions.table.doubled:
        yield DOUBLED
    replay, gold, assumed = executions.set_aside
    if replay or gold:
        calls = executions.calls.height
        yield (
            f"{replay + gold} of {calls + replay + gold} tool calls are the evaluator's and not counted: "
            f"{_number(replay, 'call')} replayed, {_number(gold, 'gold action')}"
        )
    if assumed:
        yield f"of {_number(assumed, 'tool call')} only the time says whether a simulation or the evaluator made them"
    if executions.table.broken:
        first = executions.table.broken_examples[0]
        yield f"{_number(executions.table.broken, 'line')} could not be read and are not counted, the first: {first}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
