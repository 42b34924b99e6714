from __future__ import annotations

import json
import resource
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.runner.jobs import JobKey, Outcome, Status
from tau2_enhanced.runner.record import Record


def outcome(task: str, status: Status = Status.VERDICT, sim: str = "s") -> Outcome:
    return Outcome(
        domain="retail",
        task=task,
        trial=0,
        seed=1,
        sim=sim,
        status=status,
        reward=1.0 if status is Status.VERDICT else None,
        termination_reason="user_stop",
        error_type=None,
        error=None,
        duration_ms=1.0,
        ended_ms=2.0,
        steps=3,
        used={},
        simulation={"messages": [task, "τ²\n"]},
    )


def key(task: str) -> JobKey:
    return JobKey("retail", task, 0)


def test_what_was_appended_is_read_back_with_its_messages(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    written = Record(path)
    for task in ("a", "b\n", "ü"):
        written.append(outcome(task))
    for record in (written, Record(path)):
        assert {found.task for found in record.outcomes()} == {"a", "b\n", "ü"}
        assert record.load(key("b\n")) == {"messages": ["b\n", "τ²\n"]}


@given(cut=st.integers(min_value=0))
def test_wherever_the_file_is_cut_whole_lines_survive_and_appending_goes_on(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.jsonl"
        record = Record(path)
        for task in ("a", "b", "c"):
            record.append(outcome(task))
        whole = path.read_bytes()
        left = whole[: cut % (len(whole) + 1)]
        path.write_bytes(left)

        record = Record(path)
        assert len(record.outcomes()) == left.count(b"\n")
        assert record.repaired_bytes == len(left) - (left.rfind(b"\n") + 1)
        record.append(outcome("d"))
        assert [json.loads(line)["task"] for line in path.read_text().splitlines()][-1] == "d"
        assert Record(path).load(key("d"))["messages"][0] == "d"


def test_a_verdict_counts_over_any_attempt_without_one(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    for status, sim in ((Status.NO_VERDICT, "1"), (Status.VERDICT, "2"), (Status.NO_VERDICT, "3")):
        record.append(outcome("a", status, sim))
    for read in (record, Record(tmp_path / "record.jsonl")):
        found = read.outcome(key("a"))
        assert found is not None
        assert found.sim == "2"


def test_of_attempts_without_a_verdict_the_last_counts(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.append(outcome("a", Status.NO_VERDICT, "1"))
    record.append(outcome("a", Status.UNJUDGED, "2"))
    found = record.outcome(key("a"))
    assert found is not None
    assert found.sim == "2"


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.append(outcome("a"))
    path.rename(tmp_path / "away")
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        record.append(outcome("b"))
    assert record.outcome(key("b")) is None
    path.rmdir()
    (tmp_path / "away").rename(path)
    record.append(outcome("c"))
    assert [found.task for found in Record(path).outcomes()] == ["a", "b", "c"]


def test_of_several_outcomes_those_are_written_for_which_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.append(outcome("a"), outcome("b"))
    assert record.load(key("b"))["messages"][0] == "b"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size * 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            record.append(outcome("c"), outcome("d"), outcome("e"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [waiting.task for waiting in record.unwritten] == ["e"]
    record.flush()
    assert [found.task for found in Record(path).outcomes()] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", '{"domain": "retail"}', "null", "UNUSED"])
def test_a_line_that_is_no_outcome_is_the_users_to_mend(tmp_path: Path, line: str) -> None:
    path = tmp_path / "record.jsonl"
    Record(path).append(outcome("a"))
    line = line.replace("UNUSED", path.read_text().strip().replace('"used":{}', '"used":null'))
    path.write_text(path.read_text() + line + "\n" + path.read_text())
    with pytest.raises(UserMistake, match="damaged in line 2"):
        Record(path)


def test_an_outcomes_cost_is_unknown_when_a_part_is() -> None:
    known = replace(outcome("a"), used={"agent": {"cost_usd": 0.5}, "user": {"cost_usd": 0.25}})
    assert known.known_cost_usd == 0.75
    assert known.cost_usd() == 0.75
    assert known.cost_usd("user") == 0.25
    unknown = replace(known, used={**known.used, "judge": {"cost_usd": None}})
    assert unknown.cost_usd() is None
    assert unknown.cost_usd("agent") == 0.5


def test_what_repeated_attempts_cost_is_spent_too(tmp_path: Path) -> None:
    def costing(status: Status, sim: str, usd: float, continues: str | None = None) -> Outcome:
        return replace(outcome("a", status, sim), used={"agent": {"cost_usd": usd}}, continues=continues)

    record = Record(tmp_path / "record.jsonl")
    record.append(costing(Status.NO_VERDICT, "1", 1.0))
    record.append(costing(Status.UNJUDGED, "2", 2.0))
    # the same conversation, evaluated once more for half a dollar
    record.append(costing(Status.VERDICT, "3", 2.5, continues="2"))
    assert record.spent_usd == Record(tmp_path / "record.jsonl").spent_usd == 3.5


def test_what_was_removed_is_restored_from_the_open_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "record.jsonl"
    path.parent.mkdir()
    record = Record(path)
    record.append(outcome("a"))
    shutil.rmtree(path.parent)
    assert record.is_gone
    with pytest.raises(FileNotFoundError):
        record.append(outcome("b"))
    assert [waiting.task for waiting in record.unwritten] == ["b"]
    path.parent.mkdir()
    record.restore()
    record.flush()
    assert not record.is_gone
    assert not record.unwritten
    for read in (record, Record(path)):
        assert [(found.task, read.load(found.key)["messages"][0]) for found in read.outcomes()] == [
            ("a", "a"),
            ("b", "b"),
        ]


def test_where_it_could_not_be_restored_the_next_try_may(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.append(outcome("a"))
    content = path.read_bytes()
    path.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            record.restore()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not path.exists()
    record.restore()
    assert path.read_bytes() == content


def test_what_an_earlier_part_recorded_is_restored_too(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    Record(path).append(outcome("a"))
    record = Record(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        record.append(outcome("b"))
    record.restore()
    record.flush()
    assert [found.task for found in Record(path).outcomes()] == ["a", "b"]


def test_a_whole_copy_in_the_files_place_is_gone_on_with_and_another_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.append(outcome("a"))
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1])
    with pytest.raises(OSError, match="another file is in its place"):
        record.append(outcome("b"))
    assert path.read_bytes() == content[:-1]
    path.write_bytes(content)
    record.flush()
    assert [found.task for found in Record(path).outcomes()] == ["a", "b"]
