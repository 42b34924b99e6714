"""Which files are meant, and their text in pieces that end where a line does."""

from __future__ import annotations

import glob
import gzip
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from tau2_enhanced.errors import UserMistake

_SMALLEST_PIECE, _LARGEST_PIECE = 2 * 2**20, 24 * 2**20
_PIECES = 4
"""Into how many a file is divided at least, so that they are read at the same time."""
_OF_A_FOLDER = (("eval_*.log", "eval_*.log.gz"), ("*.log*",), ("*.jsonl", "*.jsonl.gz"), ("*.json", "*.json.gz"))
"""Which files of a folder are meant: the first of these that it has."""


def find_logs(given: Sequence[str], *, with_events: bool = False) -> list[Path]:
    """The files that names, folders and patterns mean, each once. Raises UserMistake for one that means none.

    Of a folder its event logs (`eval_*.log`) are meant; where it has none every `*.log`, else every `*.jsonl`, else
    every `*.json`. `with_events` prefers `recorded_files`.
    """
    found: dict[Path, Path] = {}
    for text in given:
        path = Path(text)
        if path.is_dir():
            kinds = ([file for pattern in kind for file in path.glob(pattern)] for kind in _OF_A_FOLDER)
            inside = (recorded_files(path) if with_events else []) or next(filter(None, kinds), [])
        elif path.exists() or not glob.has_magic(text):
            inside = [path]
        else:
            inside = [Path(name) for name in glob.glob(text, recursive=True)]
        if not inside:
            raise UserMistake(f"{text}: no logs there")
        for file in sorted(inside):
            found.setdefault(file.resolve(), file)
    # what was packed and kept beside the packed file is there once
    return [file for place, file in found.items() if place.suffix != ".gz" or place.with_suffix("") not in found]


def recorded_files(folder: Path) -> list[Path]:
    """Of the folder of a run that recorded its events: their files, and the results; none of any other folder."""
    events = [file for kind in ("*.jsonl", "*.jsonl.gz") for file in folder.glob(f"run/events/{kind}")]
    return [*sorted(events), *sorted(folder.glob("*.json"))] if events else []


def pieces(path: Path, size: int | None = None) -> Iterator[bytes]:
    """A file in pieces of about `size` bytes, unpacked where it is gzipped. Raises UserMistake where it can't be read.

    A last line that is not ended yet is left out: its writer is still at it.
    """
    try:
        size = size or min(max(path.stat().st_size // _PIECES, _SMALLEST_PIECE), _LARGEST_PIECE)
        with opened(path) as file:
            # filled again and again: fresh memory for each piece takes longer than reading it
            buffer, kept = bytearray(size), 0
            while read := file.readinto(memoryview(buffer)[kept:]):
                filled = kept + read
                end = buffer.rfind(b"\n", 0, filled) + 1
                if end:
                    yield bytes(memoryview(buffer)[:end])
                kept = filled - end
                buffer[:kept] = buffer[end:filled]
                if kept == len(buffer):
                    buffer *= 2
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserMistake(f"{path} can't be read: {reason}") from None


def opened(path: Path) -> BufferedIOBase:
    """A file's bytes, unpacked where it is gzipped."""
    return cast(BufferedIOBase, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
