from __future__ import annotations

import random
import time
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.analysis.log_lines import Lines, believed, read_lines, read_pieces
from tau2_enhanced.logging.events import (
    EVENT_TYPES,
    BrokenLine,
    ExecutionEvent,
    ToolCallEvent,
    event_fields,
    parse_line,
    to_line,
)

MOMENT = datetime(2026, 3, 14, 9, 26, 53, 589000)
OURS = sorted(name for name, cls in EVENT_TYPES.items() if cls.__module__ == "tau2_enhanced.logging.events")
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=12),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(0, 1e12),
    bool: st.booleans(),
}


def events(kind: str) -> st.SearchStrategy[ExecutionEvent]:
    cls = EVENT_TYPES[kind]
    made = {spec.name: st.none() | VALUES[spec.kind] for spec in event_fields(cls) if spec.kind in VALUES}
    return st.builds(cls, timestamp=st.just(MOMENT), **made)


def read(text: str | bytes) -> Lines:
    lines = Lines()
    read_lines(text.encode() if isinstance(text, str) else text, lines)
    return lines


def rows(lines: Lines, kind: str) -> list[dict[str, Any]]:
    return pl.concat(lines.frames[kind], how="diagonal").to_dicts()


@pytest.mark.parametrize("kind", OURS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_both_readers_read_what_was_written(kind: str, data: st.DataObject) -> None:
    written = data.draw(st.lists(events(kind), min_size=1, max_size=6))
    lines = read("".join(to_line(event) + "\n" for event in written))
    assert lines.broken == 0
    assert sum(frame.height for frame in lines.frames[kind]) == len(written)

    def values(event: ExecutionEvent) -> dict[str, Any]:
        shown = {spec.name: getattr(event, spec.name) for spec in event_fields(type(event)) if spec.name != "extra"}
        return {name: value for name, value in shown.items() if value is not None}

    found = [{name: v for name, v in row.items() if v is not None and name != "level"} for row in rows(lines, kind)]
    assert sorted(map(repr, map(sorted_items, found))) == sorted(
        repr(sorted_items(values(event))) for event in (parse_line(to_line(event)) for event in written) if event
    )


def sorted_items(row: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(row.items())


LINE = (
    "[PROFILE] 2026-03-14 09:26:53.589 task=12 thread=worker-1 type=tool_call function=get_order_details"
    " call_type=local_function duration_ms=0.114 error=false requestor=assistant run=r sim=s domain=retail"
    " trial=0 step=3 start_ms=1389.493"
)


def test_other_lines_are_passed_over() -> None:
    text = f"\nnot an event\n{LINE}\n[INFO] 2026-03-14 09:26:53.589 task=1 thread=t | a message type=foo\n"
    lines = read(text)
    assert (list(lines.frames), lines.broken, lines.general) == (["tool_call"], 0, 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (LINE[:-30] + LINE, "not key=value"),
        (LINE.replace("0.114", "fast"), "could not convert"),
        (LINE.replace("0.114", "-1.0"), "no measurement"),
        (LINE.replace("0.114", "nan"), "no measurement"),
        (LINE.replace("error=false", "error=maybe"), "maybe"),
        (LINE.replace("09:26:53", "29:26:53"), "hour"),
        (LINE.replace("function=get", 'function="get'), "not key=value"),
        (LINE.replace("function=get_order_details", 'function="\\q"'), "Invalid"),
        (LINE.replace("error=false requestor=", "error false=requestor="), "not key=value"),
        (LINE.replace("trial=0", "trial=0.0"), "invalid literal"),
        (LINE.replace("trial=0", "trial="), "invalid literal"),
        (LINE.replace("trial=0", f"trial={2**63}"), "beyond 64 bits"),
        (LINE.replace("0.114", "1e999"), "no measurement"),
        (LINE.replace("2026-03-14", "2026-02-30"), "day is out of range"),
        (LINE.replace("2026-03-14", "0000-03-14"), "year 0 is out of range"),
        (LINE.replace("09:26:53", "09:26:60"), "second must be in 0..59"),
        (LINE.replace("task=12 thread=worker-1 type=tool_call", 'task="a type=b"'), "'type'"),
        (LINE.replace("error=false", "error=True"), "True"),
        (LINE.replace("get_order", "get\x1corder"), "not key=value"),
        (LINE.replace("get_order", "get\torder"), "not key=value"),
    ],
)
def test_broken_lines_are_counted_and_shown(line: str, why: str) -> None:
    lines = read(f"{LINE}\n{line}\n{LINE}\n")
    assert lines.broken == 1
    assert why in lines.broken_examples[0]
    assert len(rows(lines, "tool_call")) == 2


@pytest.mark.parametrize("time", ["2026-3-14 09:26:53.589", "+2026-3-14 09:26:53.589", "2026-03-14 9:26:53.589"])
def test_a_line_whose_time_is_written_otherwise_is_no_event(time: str) -> None:
    other = LINE.replace("2026-03-14 09:26:53.589", time)
    assert parse_line(other) is None
    lines = read(f"{LINE}\n{other}\n{LINE}\n")
    assert (lines.broken, len(rows(lines, "tool_call"))) == (0, 2)


@pytest.mark.parametrize("function", ["get_order_details", '"get order"'])
def test_what_began_before_the_clock_did_is_read(function: str) -> None:
    lines = read(LINE.replace("get_order_details", function).replace("start_ms=", "start_ms=-"))
    assert (lines.broken, lines.general) == (0, 0)
    assert [row["start_ms"] for row in rows(lines, "tool_call")] == [-1389.493]


@pytest.mark.parametrize("end", [36, 45, 60, 62])
def test_what_is_left_of_a_line_is_counted_wherever_it_was_cut(end: int) -> None:
    message = "[INFO] 2026-03-14 09:26:53.589 task=1 thread=t | a message\n"
    for others in (LINE + "\n", message, message * 9 + LINE + "\n"):
        lines = read(others + LINE[:end] + "\n" + others)
        assert (lines.broken, lines.general) == (1, 1)
        assert lines.broken_examples == [f"an event's line, cut or glued to another: {LINE[:end]}"]


@pytest.mark.parametrize("first", [LINE[:3], LINE[:20], LINE[:40], LINE[:60], "2026-03-14T09:26:53Z stdout F "])
def test_an_event_behind_something_else_is_counted(first: str) -> None:
    lines = read(f"{LINE}\n{first}{LINE}\n{LINE}\n")
    assert (lines.broken, len(rows(lines, "tool_call"))) == (1, 2)
    assert lines.broken_examples[0].startswith("an event's line, cut or glued to another: ")


def test_bytes_that_are_no_utf8_break_their_line_alone() -> None:
    lines = read(LINE.encode() + b"\n" + LINE.encode().replace(b"get_order", b"get_\xff") + b"\n")
    assert (lines.broken, len(rows(lines, "tool_call"))) == (1, 1)


def test_keys_in_another_order_and_unknown_ones_are_read() -> None:
    words = LINE.split(" ")
    turned = " ".join([*words[:3], *words[3:5], words[5], *reversed(words[6:]), "queue=7"])
    lines = read(f"{LINE}\n{turned}\n" * 50)
    assert lines.general == 0
    found = rows(lines, "tool_call")
    assert len(found) == 100
    assert {row["duration_ms"] for row in found} == {0.114}
    assert sorted({row["queue"] for row in found}, key=str) == ["7", None]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_character_that_ends_columns_ends_no_reading(place: int) -> None:
    lines = [LINE, LINE, LINE]
    lines[place] = LINE.replace("get_order", "get\x01order")
    found = read("a message\x01\n" + "\n".join(lines) + "\n")
    assert (found.broken, len(rows(found, "tool_call"))) == (1, 2)


def test_half_characters_in_many_quoted_values_are_shown_as_logs_show_them() -> None:
    written = ToolCallEvent(timestamp=MOMENT, thread="t", function="get \ud83d x")
    assert {row["function"] for row in rows(read(f"{to_line(written)}\n" * 3), "tool_call")} == {"get \\ud83d x"}


def test_a_broken_line_is_no_reason_to_read_others_singly() -> None:
    lines = read(f"{LINE.replace('0.114', 'fast')}\n" + f"{LINE}\n" * 10)
    assert (lines.broken, lines.general, len(rows(lines, "tool_call"))) == (1, 1, 10)


@pytest.mark.parametrize(
    ("written", "key", "value"),
    [
        ("tool_call_id=a=b", "tool_call_id", "a=b"),
        ("tool_call_id=", "tool_call_id", ""),
        ('tool_call_id="a b"', "tool_call_id", "a b"),
        ("tool_call_id=é", "tool_call_id", "é"),
        ("duration_ms=1e3", "duration_ms", 1000.0),
        ("date=today", "date", "today"),
        ("*=a", "*", "a"),
        ("^r.n$=a", "^r.n$", "a"),
        ("trial=+1", "trial", 1),
        ("source=a  source=b", "source", "a"),
    ],
)
def test_whatever_parse_line_reads_is_read(written: str, key: str, value: object) -> None:
    line = " ".join(word for word in LINE.split(" ") if not word.startswith(f"{key}=")) + f" {written}"
    lines = read(f"{LINE}\n{line}\n")
    assert lines.broken == 0
    event = parse_line(line)
    assert event is not None
    assert event.extra.get(key, getattr(event, key, None)) == value
    assert [row[key] for row in rows(lines, "tool_call")].count(value) == 1


@pytest.mark.parametrize("blank", ["\x1c", "\x1d", "\x1e", "\x1f"])
def test_a_blank_that_only_python_knows_is_no_part_of_a_value(blank: str) -> None:
    quoted = LINE.replace("get_order_details", '"get order"')
    lines = read(f"{quoted}\n{quoted.replace('retail', f're{blank}tail')}\n{quoted}\n")
    assert (lines.broken, len(rows(lines, "tool_call"))) == (1, 2)


def test_a_long_text_without_a_key_takes_no_longer_than_others() -> None:
    began = time.monotonic()
    lines = read(f"{LINE}\n{LINE} {'x' * 60_000}\n")
    assert time.monotonic() - began < 5
    assert (lines.broken, len(rows(lines, "tool_call"))) == (1, 1)


def test_a_line_of_a_thousand_keys_is_read() -> None:
    keys = [f"key{number}" for number in range(1_000)]
    lines = read(f'{LINE}\n{LINE} {"=1 ".join(keys)}="a b"\n{LINE}\n')
    assert lines.broken == 0
    found = rows(lines, "tool_call")
    assert [row["function"] for row in found] == ["get_order_details"] * 3
    assert sorted(row["key999"] for row in found if row["key999"]) == ["a b"]


def test_a_type_of_two_words_is_read() -> None:
    lines = read(
        LINE.replace("type=tool_call", 'type="tool call"') + "\n" + LINE.replace("tool_call", "tool=call") + "\n"
    )
    assert {kind: len(rows(lines, kind)) for kind in lines.frames} == {"tool call": 1, "tool=call": 1}


def test_pieces_are_read_in_order() -> None:
    texts = [
        LINE.replace("trial=0", f"trial={n}") + "\n" + LINE.replace("0.114", f"fast-{n}") + "\n" for n in range(20)
    ]
    lines = Lines()
    read_pieces(map(str.encode, texts), lines)
    assert [row["trial"] for row in rows(lines, "tool_call")] == list(range(20))
    assert lines.broken == 20
    assert [f"'fast-{n}'" in example for n, example in enumerate(lines.broken_examples)] == [True] * 5


def test_an_unknown_type_keeps_its_fields() -> None:
    line = LINE.replace("tool_call", "cache_hit").replace("function=get_order_details", 'key="a b"')
    (row,) = rows(read(line + "\r\n"), "cache_hit")
    assert (row["key"], row["trial"], row["duration_ms"]) == ("a b", 0, "0.114")


def test_nothing_is_nothing() -> None:
    for text in ("", "\n\n", " "):
        assert read(text) == Lines()


def test_ten_thousand_mutated_lines_are_read_as_parse_line_reads_them() -> None:
    source = random.Random(7)
    characters = ' ="\\\n\x00\xff[]{}0aé\t'
    mutated = []
    for _ in range(10_000):
        line = list(LINE)
        for _ in range(source.randint(1, 4)):
            position = source.randrange(len(line))
            match source.randrange(5):
                case 0:
                    line[position] = source.choice(characters)
                case 1:
                    del line[position:]
                    line.append("x")
                case 2:
                    line.insert(position, source.choice(characters))
                case 3:
                    line[position:position] = line[: source.randrange(len(line))]
                case 4 if len(line) > 1:
                    del line[position]
        mutated.append("".join(line))
    text = "\n".join(mutated)
    lines = read(text)
    sound, broken = 0, 0
    for line in text.split("\n"):
        try:
            if (event := parse_line(line)) is not None:
                believed(event)
                sound += 1
        except BrokenLine:
            broken += 1
    assert sound > 1000
    assert broken > 1000
    assert (sum(frame.height for parts in lines.frames.values() for frame in parts), lines.broken) == (sound, broken)
