"""All events in one file: in order, typed as the schema has them, whatever odd lines say."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tau2_enhanced.analysis import export
from tau2_enhanced.analysis.export import export_events
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.errors import UserMistake

LINE = "[PROFILE] 2026-01-01 12:00:00.{ms:03d} task={task} thread=w type={text} run={run} start_ms={ms}.000"

Exported = Callable[..., pl.DataFrame]


def line(run: str, ms: int, text: str, task: str = "1") -> str:
    return LINE.format(run=run, ms=ms, text=text, task=task)


@pytest.fixture(params=["parquet", "csv"])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Exported:
    """A function that writes lines to a log, exports them, and reads the export."""

    def write(*lines: str) -> pl.DataFrame:
        log, path = tmp_path / "eval.log", tmp_path / f"events.{request.param}"
        log.write_text("".join(text + "\n" for text in lines))
        export_events(read_table([log]), path)
        if request.param == "parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, try_parse_dates=True, infer_schema_length=None)

    return write


def test_events_come_by_run_and_start_in_any_number_of_parts(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_EVENTS_PER_PART", 2)
    lines = [
        line("b", 7, "llm_call model=m duration_ms=1.5 input_tokens=3"),
        line("a", 9, "tool_call function=f duration_ms=0.25"),
        line("a", 2, "llm_call model=m duration_ms=2.5 input_tokens=4"),
        line("a", 9, "tool_call function=g duration_ms=0.5"),
        line("a", 4, "seen colour=red"),
    ]
    events = exported(*lines)
    assert events.select("run", "start_ms", "type").rows() == [
        ("a", 2.0, "llm_call"),
        ("a", 4.0, "seen"),
        ("a", 9.0, "tool_call"),
        ("a", 9.0, "tool_call"),
        ("b", 7.0, "llm_call"),
    ]
    assert events["duration_ms"].to_list() == [2.5, None, 0.25, 0.5, 1.5]
    assert events["input_tokens"].to_list() == [4, None, None, None, 3]
    assert events["function"].to_list() == [None, None, "f", "g", None]
    assert events["colour"].to_list() == [None, "red", None, None, None]


def test_types_that_use_a_key_differently_share_its_column(exported: Exported) -> None:
    events = exported(
        line("a", 1, "llm_call model=m duration_ms=1.5 attempts=2 input_tokens=3 has_tool_calls=true"),
        line("a", 2, "seen duration_ms=4.5 attempts=twice input_tokens=7 has_tool_calls=never"),
    )
    columns: dict[str, list[Any]] = {
        name: events[name].to_list() for name in ("duration_ms", "attempts", "input_tokens", "has_tool_calls")
    }
    assert columns == {
        "duration_ms": [1.5, 4.5],
        "attempts": ["2", "twice"],
        "input_tokens": [3, 7],
        "has_tool_calls": ["true", "never"],
    }


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("room", [2, 100, 1000, 3000])
def test_a_full_disk_is_one_sentence_and_leaves_no_file(tmp_path: Path, form: str, room: int) -> None:
    log = tmp_path / "eval.log"
    log.write_text("".join(line("a", ms, f"seen colour={ms * 7919 % 10007}") + "\n" for ms in range(1000)))
    table = read_table([log])
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        with pytest.raises(UserMistake, match=rf"events\.{form} can't be written: [^\n]+$"):
            export_events(table, tmp_path / f"events.{form}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["eval.log"]
