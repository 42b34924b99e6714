from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tau2_enhanced.analysis.json_columns import read_columns
from tau2_enhanced.analysis.json_events import read_json_document
from tau2_enhanced.analysis.log_lines import Lines
from tau2_enhanced.analysis.sources import read_source
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.logging.events import EVENT_TYPES, ExecutionEvent

SOUND = {"type": "tool_execution", "level": "DEBUG", "timestamp": "2026-01-02T03:04:05.678", "execution_time": 0.25}


def fast(objects: list[Any]) -> EventTable | None:
    lines = Lines()
    piece = "".join(json.dumps(made) + "\n" for made in objects).encode()
    return None if read_columns(piece, lines) is None else to_table(lines)


def by_the_schema(objects: list[Any]) -> EventTable:
    lines = Lines()
    assert read_json_document({"events": objects}, lines)
    return to_table(lines)


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 3, 2**40, 2**63, 10**30, -(10**19) + 1, -1, 0.5, -0.25, 1e-5, 1.23456789012345]),
    st.sampled_from(
        ["", "a", "\udfff", "é", "…", "\x00", "\ufffd", "2026-01-02T03:04:05.678901", "2026-01-02T03:04:05+02:00"]
    ),
    st.lists(st.sampled_from(["x", 1, None]), max_size=2),
    st.dictionaries(st.sampled_from("ab"), st.sampled_from([1, "é", 1e-5, 10**30, "\ud800"]), max_size=2),
)
_fields = [
    "timestamp",
    "task",
    "tool_name",
    "execution_time",
    "success",
    "tool_args",
    "args_count",
    "start_ms",
    "trial",
]
_names = st.sampled_from([*_fields, "trial", "seq", "digest", "mine", "^run$", "level"])
_kinds = st.sampled_from(["tool_execution", "tool_call", "audit"])


_objects = st.builds(lambda kind, rest: rest | {"type": kind}, _kinds, st.dictionaries(_names, _values, max_size=4))


@given(st.lists(_objects, max_size=5))
def test_what_is_read_fast_is_read_as_the_schema_reads_it(objects: list[Any]) -> None:
    found = fast(objects)
    if found is not None:
        expected = by_the_schema(objects)
        assert (found.broken, expected.broken) == (0, 0)
        assert found.frames.keys() == expected.frames.keys()
        for kind, frame in found.frames.items():
            assert_frame_equal(frame, expected.frames[kind], check_column_order=False)


@pytest.mark.parametrize(
    "odd",
    [
        SOUND | {"execution_time": "long"},
        SOUND | {"success": 1},
        SOUND | {"success": None},
        {"type": "tool_call", "duration_ms": -1.0},
        SOUND | {"trial": 2**63},
        SOUND | {"tool_name": "\ufffd"},
        SOUND | {"timestamp": "2026-01-02T03:04:05+02:00"},
        ["no object"],
        {"type": ["no text"]},
        SOUND | {"tool_args": {"id": 10**30}},
        SOUND | {"tool_args": [-(10**19) + 1]},
    ],
)
def test_pieces_with_anything_odd_are_refused_whole(odd: Any) -> None:
    assert fast([SOUND]) is not None
    assert fast([SOUND, odd]) is None


def test_what_began_before_the_clock_did_is_read() -> None:
    found = fast([SOUND | {"start_ms": -1.0}])
    assert found is not None
    assert found.of("tool_execution")["start_ms"].to_list() == [-1.0]


def test_a_name_that_polars_takes_for_those_of_others_is_read() -> None:
    table = fast([SOUND | {"^run$": "a"}, SOUND | {"*": "b"}])
    assert table is not None
    rows = table.of("tool_execution").to_dicts()
    assert [(row["^run$"], row["*"]) for row in rows] == [("a", None), (None, "b")]


def test_numbers_beyond_64_bits_and_half_characters_are_read_as_they_were_written() -> None:
    odd = [SOUND | {"tool_name": "a\ud800", "tool_args": {"id": 10**30}, "\udfff": "é\ud800"}]
    frame = by_the_schema(odd).of("tool_execution")
    assert frame["tool_name"].to_list() == ["a\\ud800"]
    assert frame["tool_args"].to_list() == ['{"id":1000000000000000000000000000000}']
    assert frame["\\udfff"].to_list() == ["é\\ud800"]


@dataclass
class MeasuredEvent(ExecutionEvent):
    """One that makes its source itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.source = "made"


def test_types_made_elsewhere_and_unknown_ones_are_read_by_the_schema(tmp_path: Path) -> None:
    assert EVENT_TYPES["measured"] is MeasuredEvent
    path = tmp_path / "events.jsonl"
    objects = [SOUND, {"type": "measured"}, {"type": "nobody_knows", "n": 1}, SOUND]
    path.write_text("".join(json.dumps(made) + "\n" for made in objects))
    lines = Lines()
    read_source(path, lines, [])
    table = to_table(lines)
    assert {kind: frame.height for kind, frame in table.frames.items()} == {
        "tool_execution": 2,
        "measured": 1,
        "nobody_knows": 1,
    }
    assert table.of("measured")["source"].to_list() == ["made"]
