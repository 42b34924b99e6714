from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from support import RunLocal

from tau2_enhanced.analysis.main import main
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.logging.events import ToolCallEvent, to_json


def test_a_log_and_its_events_as_json_lines_are_the_same_table(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock")
    log, lines = run.folder / "logs" / "eval_mock.log", run.folder / "events.jsonl"
    lines.write_text("".join(to_json(event) + "\n" for event in run.events("mock")))
    logged, read = read_table([log]), read_table([lines])
    assert logged.frames.keys() == read.frames.keys()
    for kind, frame in logged.frames.items():
        assert_frame_equal(frame, read.frames[kind], check_column_order=False, check_row_order=False)


@pytest.mark.parametrize("key", [None, "events", "execution_events"])
def test_a_document_may_hold_a_list_of_events(tmp_path: Path, key: str | None) -> None:
    listed = [json.loads(to_json(ToolCallEvent(function="f", duration_ms=float(n)))) for n in range(3)]
    path = tmp_path / "logs.json"
    path.write_text(json.dumps(listed if key is None else {"timestamp": "…", key: listed}))
    assert read_table([path]).of("tool_call")["duration_ms"].to_list() == [0.0, 1.0, 2.0]


def test_broken_lines_are_counted_and_one_still_written_is_left(tmp_path: Path) -> None:
    sound = to_json(ToolCallEvent(function="f", duration_ms=1.0))
    nonsense = '{"type": "tool_call", "duration_ms": NaN}'
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join([sound, "", '{"type": "tool_call"', "[]", nonsense, sound, sound[:20]]))
    table = read_table([path])
    assert (table.of("tool_call").height, table.broken) == (2, 3)


def test_unknown_types_and_fields_survive(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"type": "mine", "level": "INFO", "task": "1", "colour": "red", "n": 3}\n')
    frame = read_table([path]).of("mine")
    assert frame.select("task", "colour", "n").rows() == [("1", "red", "3")]


def test_the_script_takes_a_folder_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "retail.jsonl").write_text(to_json(ToolCallEvent(function="f", duration_ms=2.5)) + "\n")
    assert main(["--log-dir", str(folder), "--output_dir", str(tmp_path / "out"), "--export", "parquet"]) == 0
    assert pl.read_parquet(tmp_path / "out" / "events.parquet")["function"].to_list() == ["f"]


def test_line_ends_of_unicode_stand_inside_texts(tmp_path: Path) -> None:
    event = ToolCallEvent(function="a\u2028b\u0085c\x0bd\x0ce", duration_ms=1.0)
    path = tmp_path / "events.jsonl"
    path.write_text(to_json(event) + "\n")
    table = read_table([path])
    assert (table.of("tool_call")["function"].to_list(), table.broken) == ([event.function], 0)
