"""What is read from lines and JSON texts that were cut, glued or never were events."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging.events import (
    EVENT_TYPES,
    BrokenLine,
    ExecutionEvent,
    LLMCallEvent,
    ToolCallEvent,
    event_fields,
    from_json,
    parse_line,
    to_json,
    to_line,
)

thorough = settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))

LINE = to_line(
    LLMCallEvent(
        timestamp=datetime(2026, 3, 14, 9, 26, 53, 589000),
        task='12 "ü"\n',
        thread="worker 3",
        model="gpt-4o",
        duration_ms=120.5,
        has_tool_calls=True,
        input_tokens=1500,
        domain="retail",
        trial=0,
        start_ms=17.0,
        extra={"note": "a=b \u2028"},
    )
)
RAW = LINE.encode()


def read(raw: bytes) -> ExecutionEvent | BrokenLine | None:
    try:
        return parse_line(raw.decode(errors="replace"))
    except BrokenLine as broken:
        return broken


def test_a_line_cut_at_any_byte_is_none_an_event_or_broken() -> None:
    found = [read(RAW[:end]) for end in range(len(RAW))]
    assert all(isinstance(what, ExecutionEvent | BrokenLine | None) for what in found)
    assert {type(None), LLMCallEvent, BrokenLine} <= {type(what) for what in found}
    assert parse_line(LINE) not in found


def test_a_line_glued_to_a_cut_one_is_never_read_as_the_whole_event() -> None:
    whole = parse_line(LINE)
    for end in range(1, len(RAW)):
        assert read(RAW[:end] + RAW) != whole


def test_two_lines_glued_without_a_newline_are_broken() -> None:
    assert isinstance(read(RAW + RAW), BrokenLine)


def test_a_line_cut_after_its_time_or_glued_to_another_is_never_passed_over() -> None:
    head = len("[PROFILE] 2026-03-14 09:26:53.589 ")
    for end in range(1, len(RAW)):
        assert not isinstance(read(RAW[:end]), BrokenLine) or end >= head
        assert read(RAW[:end]) is not None or end < head
        assert read(RAW[:end] + RAW) is not None
    assert isinstance(read(b"[INFO] 2026-03-14 09:26:53.589 thread=t | a message" + RAW), BrokenLine)


@thorough
@given(st.lists(st.tuples(st.integers(0, len(RAW) - 1), st.binary(max_size=3)), min_size=1, max_size=4))
def test_changed_bytes_never_raise_anything_else(changes: list[tuple[int, bytes]]) -> None:
    raw = bytearray(RAW)
    for place, new in changes:
        raw[place : place + 1] = new
    assert isinstance(read(bytes(raw)), ExecutionEvent | BrokenLine | None)


@thorough
@given(st.text())
def test_any_rest_of_a_line_that_begins_well_never_raises_anything_else(rest: str) -> None:
    start = "[PROFILE] 2026-03-14 09:26:53.589 task=1 thread=t type=llm_call duration_ms="
    assert isinstance(read((start + rest).encode(errors="replace")), ExecutionEvent | BrokenLine)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "Traceback (most recent call last):",
        "    type=llm_call duration_ms=1.0",
        "[PROFILE] 2026-03-14 09:26:53.5",
        "[INFO] 2026-03-14 09:26:53.589 thread=MainThread run started",
        "[INFO] 2026-03-14 09:26:53.589 task=1 thread=t | a message",
        "[DEBUG] 2026-03-14 09:26:53.589 task=1 thread=t trial=0 step=2 calling get_order",
        "2026-03-14 09:26:53.589 | INFO | type=llm_call",
    ],
)
def test_what_is_no_event_is_none(line: str) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "[DEBUG] 2026-03-14 09:26:53.589 task=1 thread=t trial=0 step=2 bad argument type=missing input",
        "[WARNING] 2026-03-14 09:26:53.589 thread=MainThread expected type=str, got int",
    ],
)
def test_a_message_that_only_mentions_a_type_is_no_damaged_event(line: str) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "[PROFILE] 2026-03-14 09:26:53.589 type=llm_call duration_ms=fast",
        "[PROFILE] 2026-03-14 09:26:53.589 type=llm_call input_tokens=1.5",
        "[PROFILE] 2026-03-14 09:26:53.589 type=llm_call has_tool_calls=True",
        '[PROFILE] 2026-03-14 09:26:53.589 type=llm_call model="gpt',
        "[PROFILE] 2026-03-14 09:26:53.589 type=llm_call model=gpt 4o",
        '[PROFILE] 2026-03-14 09:26:53.589 type=llm_call model="\\q"',
        "[PROFILE] 2026-13-14 09:26:53.589 type=llm_call model=gpt",
        '[PROFILE] 2026-03-14 09:26:53.589 task=1 thread=t type="',
    ],
)
def test_a_damaged_event_is_said_to_be_broken(line: str) -> None:
    with pytest.raises(BrokenLine):
        parse_line(line)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "17",
        '"llm_call"',
        "{}",
        '{"task":"1"}',
        '{"type":"llm_call","duration_ms":',
        '{"type":[]}',
        '{"type":null}',
        '{"type":5}',
        '{"type":"llm_call","level":[]}',
        '{"type":"llm_call","timestamp":5}',
        '{"type":"llm_call","timestamp":"yesterday"}',
        '{"type":"llm_call","duration_ms":"fast"}',
        '{"type":"llm_call","duration_ms":[1]}',
        '{"type":"llm_call","model":5}',
        '{"type":"llm_call","input_tokens":"many"}',
        '{"type":"llm_call","has_tool_calls":"yes"}',
        '{"type":"llm_call","duration_ms":1' + 400 * "0" + "}",
    ],
)
def test_json_that_is_no_event_is_said_to_be_broken(text: str) -> None:
    with pytest.raises(BrokenLine):
        from_json(text)


def test_a_number_too_large_for_a_float_is_broken_or_can_be_written() -> None:
    text = '{"type":"llm_call","timestamp":"2026-03-14T09:26:53.589","cost_usd":1e999}'
    try:
        event = from_json(text)
    except BrokenLine:
        return
    assert parse_line(to_line(event)) == event


def test_a_key_called_extra_survives_as_any_unknown_one() -> None:
    event = from_json('{"type":"tool_call","extra":{"a":1}}')
    assert event.extra == {"extra": {"a": 1}}
    assert from_json(to_json(event)) == event


def test_bytes_that_are_not_utf8_are_broken_json() -> None:
    with pytest.raises(BrokenLine):
        from_json(b'{"type":"llm_call","model":"\xff"}')


def test_json_is_read_from_bytes_as_from_text() -> None:
    event = ToolCallEvent(function="größe")
    assert from_json(to_json(event).encode()) == event


def test_a_json_text_cut_anywhere_is_broken() -> None:
    text = to_json(ToolCallEvent(function="f", duration_ms=1.0, extra={"deep": {"a": [1]}}))
    for end in range(len(text)):
        with pytest.raises(BrokenLine):
            from_json(text[:end])


FIELDS = sorted({spec.name for cls in EVENT_TYPES.values() for spec in event_fields(cls)})
anything = st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(max_size=5) | st.just([1])


@thorough
@given(st.sampled_from(sorted(EVENT_TYPES)), st.dictionaries(st.sampled_from(FIELDS), anything, max_size=4))
def test_json_with_values_of_wrong_kinds_is_broken_or_an_event_that_can_be_written(
    name: str, values: dict[str, Any]
) -> None:
    text = json.dumps({"type": name, "timestamp": "2026-03-14T09:26:53.589"} | values)
    try:
        event = from_json(text)
    except BrokenLine:
        return
    assert from_json(to_json(event)) == event
    if event.timestamp is not None:
        assert isinstance(parse_line(to_line(event)), EVENT_TYPES[name])
