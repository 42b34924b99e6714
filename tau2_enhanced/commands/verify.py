"""Check that event files are as they were written; exit code 1 if lines were changed or dropped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tau2_enhanced.commands.parser import CommandParser
from tau2_enhanced.commands.run_paths import run_paths
from tau2_enhanced.errors import UserMistake


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("verify", str(__doc__))
    parser.add_argument("files", nargs="+", metavar="FILE", help="an event file, or a run's id or folder")
    parser.add_outputs()
    parser.add_argument(
        "--head", metavar="DIGEST", help="the last digest of the (single) FILE, as you noted it elsewhere"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each file")
    options = parser.parse_args(arguments)
    files = [file for path in run_paths(options.files, options.outputs) for file in _files_of(Path(path))]
    if options.head and len(files) > 1:
        parser.error("--head is the digest of one file")
    from tau2_enhanced.logging.audit import State
    from tau2_enhanced.logging.audit import verify as verified

    verdicts = []
    for path in files:
        try:
            verdicts.append(verified(path, options.head))
        except OSError as error:
            raise UserMistake(f"{path} can't be read: {error.strerror}") from None
        if verdicts[-1].state is State.FOREIGN:
            raise UserMistake(f"{path} {verdicts[-1]}{_beside(path)}")
    for path, verdict in zip(files, verdicts, strict=True):
        print(json.dumps({"file": str(path), **verdict._asdict()}) if options.json else f"{path}: {verdict}")
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _beside(path: Path) -> str:
    """Where the chained lines are that a document of enhanced logs was made of."""
    lines = path.with_suffix(".jsonl")
    return f": {lines} does" if lines != path and lines.exists() else ""


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    events = sorted(path.glob("run/events/*.jsonl"))
    if not events:
        raise UserMistake(f"{path} is no folder of a run that recorded its events")
    return events
