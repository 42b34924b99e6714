from __future__ import annotations

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.analysis.inputs import pieces
from tau2_enhanced.analysis.json_events import load_json
from tau2_enhanced.errors import UserMistake


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@given(text=st.text("ab\n", max_size=60).map(str.encode), size=st.integers(1, 20), packed=st.booleans())
def test_pieces_end_with_lines_and_leave_out_the_unfinished_one(
    folder: Path, text: bytes, size: int, packed: bool
) -> None:
    log = folder / ("eval.log.gz" if packed else "eval.log")
    log.write_bytes(gzip.compress(text) if packed else text)
    found = list(pieces(log, size))
    assert b"".join(found) == text[: text.rfind(b"\n") + 1]
    assert all(piece.endswith(b"\n") for piece in found)


@given(parts=st.lists(st.text("ab\n", max_size=20).map(str.encode), min_size=1, max_size=6), size=st.integers(1, 20))
def test_a_file_that_grows_loses_no_part_of_a_line(folder: Path, parts: list[bytes], size: int) -> None:
    log = folder / "grows.log"
    log.write_bytes(b"first\n")
    found = []
    for piece in pieces(log, size):
        found.append(piece)
        if parts:
            with log.open("ab") as file:
                file.write(parts.pop(0))
    written = log.read_bytes()
    assert written.startswith(b"".join(found))
    assert all(piece.endswith(b"\n") for piece in found)


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    pipe = tmp_path / "eval.log"
    os.mkfifo(pipe)
    lines = [f"line {number}\n".encode() for number in range(50_000)]
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(pipe.write_bytes, b"".join(lines))
        assert b"".join(pieces(pipe, 1000)) == b"".join(lines)
        assert written.result()


@pytest.mark.parametrize("damage", ["cut", "overwritten", "followed by something else"])
def test_of_a_damaged_gzipped_file_what_can_be_read_is_read(tmp_path: Path, damage: str) -> None:
    lines = [f"line {number} {number**9}\n".encode() for number in range(20_000)]
    packed = gzip.compress(b"".join(lines))
    half = len(packed) // 2
    log = tmp_path / "eval.log.gz"
    made = {
        "cut": packed[:half],
        "overwritten": packed[:half] + b"\xff" * 64 + packed[half + 64 :],
        "followed by something else": packed + b"something else",
    }
    log.write_bytes(made[damage])
    told: list[tuple[str, str]] = []
    read = b"".join(pieces(log, broken=lambda line, why: told.append((line, why)))).splitlines(keepends=True)
    assert read[:5_000] == lines[:5_000]
    [(line, why)] = told
    assert why.startswith("eval.log.gz is damaged from here on (")
    if damage != "overwritten":
        assert read == lines[: len(read)]
        assert b"".join(lines[len(read) :]).startswith(line.encode())
    with pytest.raises(UserMistake, match="can't be read"):
        list(pieces(log))


def test_what_is_no_gzipped_file_is_said_to_be_none(tmp_path: Path) -> None:
    log = tmp_path / "eval.log.gz"
    log.write_text("[PROFILE] …")
    with pytest.raises(UserMistake, match="Not a gzipped file"):
        list(pieces(log, broken=lambda *_: None))


def test_a_damaged_gzipped_document_is_one_line(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps([{"number": number**9} for number in range(5_000)]).encode())
    document = tmp_path / "events.json.gz"
    for place in range(20, len(packed) - 8, len(packed) // 60):
        document.write_bytes(packed[:place] + bytes([packed[place] ^ 0x40]) + packed[place + 1 :])
        with pytest.raises(UserMistake, match=r"events\.json\.gz"):
            load_json(document)
