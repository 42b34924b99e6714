"""Files of the analysis: each is there whole, or as it was before."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tau2_enhanced.errors import UserMistake

_OURS = re.compile(
    r"(report|compare|trace|events)\.\w+|(latency|cost|task_gantt|run_gantt|concurrency|compare|tools)\w*\.(png|svg)"
    r"|simulation_timeline\.(png|svg)"
)
"""The names of files that an analysis writes beside its numbers."""


def check_folder(folder: Path) -> None:
    """Raise UserMistake for a folder that can't be written, before anything is read; it need not be there yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserMistake(f"{folder} can't be written: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserMistake(f"{folder} can't be written: permission denied")


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A path to write to; `target` has its content when the block ends well, and is untouched otherwise.

    The folder is made. Raises UserMistake where the file can't be written.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserMistake(f"{target.parent} can't be written: {error.strerror or error}") from None
    try:
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserMistake(f"{target} can't be written: {error.strerror or error}") from None


def write_index(target: Path, numbers: Mapping[str, Any], files: Sequence[Path]) -> Path:
    """Write an analysis's numbers as JSON, with the names of the `files` that belong to them beside it.

    Files that the analysis which stood there before had written, and this one has not, are removed: they would
    contradict the numbers. Written last, so that whoever finds it finds the files too. Raises UserMistake.
    """
    earlier = _files_of(target)
    named = [path.name for path in files]
    with written_whole(target) as path:
        text = json.dumps({**numbers, "files": named}, indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
    for name in earlier - {*named, target.name}:
        with suppress(OSError):
            target.with_name(name).unlink(missing_ok=True)
    return target


def _files_of(index: Path) -> set[str]:
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["files"]
        return {name for name in names if _OURS.fullmatch(name)}
    except (OSError, ValueError, LookupError, TypeError):
        return set()
