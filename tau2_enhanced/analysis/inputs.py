"""Which files are meant, and their text in pieces that end where a line does."""

from __future__ import annotations

import glob
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from tau2_enhanced.errors import UserMistake

_SMALLEST_PIECE, _LARGEST_PIECE = 2 * 2**20, 24 * 2**20
_STEP = 2**18
"""Bytes for each read: of a damaged file, those of the read that fails are lost."""
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
"""How a gzipped file shows that it is not whole."""
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


def pieces(path: Path, size: int | None = None, *, broken: Callable[[str, str], None] | None = None) -> Iterator[bytes]:
    """A file in pieces of about `size` bytes, unpacked where it is gzipped. Raises UserMistake where it can't be read.

    A last line that is not ended yet is left out: its writer is still at it. `broken` is told of a gzipped file that
    is cut or damaged further on: the part of a line that comes before, and why there is no more.
    """
    try:
        size = size or min(max(path.stat().st_size // _PIECES, _SMALLEST_PIECE), _LARGEST_PIECE)
        with opened(path) as file:
            # to go back in a packed file is to unpack it again
            if path.suffix == ".gz" or not file.seekable():
                yield from _streamed_pieces(file, size, path, broken)
            else:
                while piece := _whole_lines(file, size):
                    yield piece
    except (OSError, *DAMAGE) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserMistake(f"{path} can't be read: {reason}") from None


def _whole_lines(file: BufferedIOBase, size: int) -> bytes:
    """About so many bytes from where the file is, up to the end of a line; none where no line ends any more."""
    start = file.tell()
    file.seek(start + size)
    file.readline()
    end = file.tell()
    file.seek(start)
    # read at once, since a copy's fresh memory takes longer than reading
    text = file.read(end - start)
    whole = text.rfind(b"\n") + 1
    file.seek(start + whole)
    return text if whole == len(text) else text[:whole]


def _streamed_pieces(
    file: BufferedIOBase, size: int, path: Path, broken: Callable[[str, str], None] | None
) -> Iterator[bytes]:
    buffer, kept, damage = bytearray(size), 0, None
    while damage is None:
        read, damage = _fill(file, memoryview(buffer)[kept:])
        if damage is not None and (broken is None or not file.tell()):
            raise damage
        if not read and damage is None:
            return
        filled = kept + read
        end = buffer.rfind(b"\n", 0, filled) + 1
        if end:
            yield bytes(memoryview(buffer)[:end])
        kept = filled - end
        buffer[:kept] = buffer[end:filled]
        if kept == len(buffer):
            buffer *= 2
    if broken is not None:
        broken(buffer[:kept].decode("utf-8", "replace"), f"{path.name} is damaged from here on ({damage})")


def _fill(file: BufferedIOBase, space: memoryview) -> tuple[int, Exception | None]:
    """Read until the space is full or the file ends; how many bytes, and what kept it from reading on."""
    filled = 0
    try:
        while filled < len(space) and (read := file.readinto1(space[filled : filled + _STEP])):
            filled += read
    except DAMAGE as damage:
        return filled, damage
    return filled, None


def ending(path: Path) -> str:
    """What a file's name ends in, as `.jsonl`; of one that is gzipped before its `.gz`."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def opened(path: Path) -> BufferedIOBase:
    """A file's bytes, unpacked where it is gzipped."""
    return cast(BufferedIOBase, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
