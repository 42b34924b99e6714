"""The two files of a run from Python, and those in which it is kept while it runs.

`enhanced_results_TIMESTAMP.json`                  tau2's results, made at the end of
`enhanced_results_TIMESTAMP.record.jsonl`          the run's record, which then goes
`enhanced_results_TIMESTAMP_enhanced_logs.json`    events, snapshots and a summary, made at the end of
`enhanced_results_TIMESTAMP_enhanced_logs.jsonl`   the chained events, which `tau2-enhanced verify` checks
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.event_files import read_events
from tau2_enhanced.logging.events import ExecutionEvent, StateSnapshotEvent, to_json
from tau2_enhanced.logging.redaction import scrub_values
from tau2_enhanced.runner.folder import write_atomically


class EnhancedFiles(NamedTuple):
    """Where one run is written."""

    results: Path
    record: Path
    logs: Path
    events: Path

    @classmethod
    def reserved(cls, save_dir: Path) -> EnhancedFiles:
        """Files of a name that no other run has; the record is there, and empty. Raises UserMistake."""
        now = datetime.now().strftime("%Y%m%d_%H%M%S")
        for number in count(1):
            stem = f"enhanced_results_{now}" + (f"_{number}" if number > 1 else "")
            files = cls(*(save_dir / f"{stem}{end}" for end in _ENDS))
            try:
                save_dir.mkdir(parents=True, exist_ok=True)
                files.record.touch(exist_ok=False)
            except FileExistsError:
                if not save_dir.is_dir():
                    raise UserMistake(f"{save_dir} is no folder") from None
                continue
            except OSError as error:
                raise UserMistake(f"{error.filename or save_dir} can't be written: {error.strerror}") from None
            if not files.results.exists():
                return files
            # of a run that has ended
            files.record.unlink()
        raise AssertionError("unreachable")

    def write_logs(self, summary: Mapping[str, Any]) -> None:
        """Make the logs' document of the events. Raises OSError, and BrokenLine for a file that was changed."""
        write_atomically(self.logs, self._document(summary))

    def _document(self, summary: Mapping[str, Any]) -> Iterator[str]:
        # one event at a time, so that a long run needs no memory for it
        yield f'{{"timestamp":{json.dumps(datetime.now().isoformat(timespec="milliseconds"))},\n"execution_events":['
        yield from _members(event for event in self._read() if not isinstance(event, StateSnapshotEvent))
        yield '],\n"state_snapshots":['
        yield from _members(event for event in self._read() if isinstance(event, StateSnapshotEvent))
        yield f'],\n"summary":{json.dumps(scrub_values(dict(summary)), ensure_ascii=False, default=str)}}}\n'

    def _read(self) -> Iterator[ExecutionEvent]:
        return read_events(self.events)


_ENDS = (".json", ".record.jsonl", "_enhanced_logs.json", "_enhanced_logs.jsonl")


def _members(events: Iterable[ExecutionEvent]) -> Iterator[str]:
    for number, event in enumerate(events):
        yield (",\n" if number else "\n") + to_json(event)
