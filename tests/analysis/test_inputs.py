from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.analysis.inputs import pieces


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
