from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Dict, Optional  # noqa: UP035  # the document's example is written with them

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import CHECKOUT

from tau2_enhanced.logging.context import Clock, TaskContext
from tau2_enhanced.logging.events import (
    EVENT_TYPES,
    BrokenLine,
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    FieldSpec,
    LLMCallEvent,
    ModelCallEvent,
    RunStartEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    UnknownEvent,
    UserSimEvent,
    event_fields,
    from_json,
    parse_line,
    to_dict,
    to_json,
    to_line,
)

REGISTERED = tuple(EVENT_TYPES.values())
DURATION = re.compile(r"duration_ms=\d+\.\d+")
MOMENT = datetime(2026, 3, 14, 9, 26, 53, 589000)

fast = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))

# a high surrogate alone: two in a row would be one character, which no text of this kind can tell apart
odd_characters = st.sampled_from('\n\r\t"=\\ \x00\x1b\x7f\x85\xa0\u2028\u2029\ud800')
texts = st.text(st.characters(exclude_categories=["Cs"]) | odd_characters, max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
values_of: dict[type, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(),
    bool: st.booleans(),
    object: json_values.filter(lambda value: value is not None),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 1e-2) | st.integers(-(2**40), 2**40),
}
moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1))
extras = st.dictionaries(st.from_regex(r"x_[a-z0-9.]{1,8}", fullmatch=True), texts, max_size=3)


def simple_fields(cls: type[ExecutionEvent]) -> list[FieldSpec]:
    return [spec for spec in event_fields(cls) if spec.name not in ("timestamp", "extra")]


@st.composite
def events(draw: st.DrawFn, cls: type[ExecutionEvent]) -> ExecutionEvent:
    values = {spec.name: draw(st.none() | values_of[spec.kind]) for spec in simple_fields(cls)}
    return cls(timestamp=draw(moments), extra=draw(extras), **values)


any_event = st.sampled_from(REGISTERED).flatmap(events)


@pytest.fixture
def custom_event() -> Iterator[type[ExecutionEvent]]:
    before = dict(EVENT_TYPES)

    @dataclass
    class CustomAnalysisEvent(ExecutionEvent):
        analysis_type: str = ""
        metrics: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006

        def __post_init__(self) -> None:
            super().__post_init__()
            self.source = f"analysis:{self.analysis_type}"

    yield CustomAnalysisEvent
    EVENT_TYPES.clear()
    EVENT_TYPES.update(before)


def test_all_documented_types_are_registered() -> None:
    documented = {"llm_call", "tool_call", "expert_call", "step_complete", "user_sim", "evaluator"}
    lifecycle = {"run_start", "task_start", "task_complete", "run_complete"}
    assert documented | lifecycle <= set(EVENT_TYPES)


@pytest.mark.parametrize("cls", REGISTERED, ids=lambda cls: cls.type)
def test_every_event_reads_back_equal_from_its_line(cls: type[ExecutionEvent]) -> None:
    @fast
    @given(events(cls))
    def check(event: ExecutionEvent) -> None:
        line = to_line(event)
        assert line.splitlines() == [line]
        assert parse_line(line) == event
        assert parse_line(line + "\n") == event

    check()


@pytest.mark.parametrize("cls", REGISTERED, ids=lambda cls: cls.type)
def test_every_event_reads_back_equal_from_json(cls: type[ExecutionEvent]) -> None:
    @fast
    @given(events(cls), st.dictionaries(st.from_regex(r"x_[a-z]{1,5}", fullmatch=True), json_values, max_size=2))
    def check(event: ExecutionEvent, more: dict[str, Any]) -> None:
        event = replace(event, extra=event.extra | more)
        text = to_json(event)
        assert "\n" not in text
        assert from_json(text) == event

    check()


@pytest.mark.parametrize("cls", REGISTERED, ids=lambda cls: cls.type)
def test_an_event_without_any_value_reads_back_equal(cls: type[ExecutionEvent]) -> None:
    event = cls(timestamp=MOMENT)
    assert parse_line(to_line(event)) == event
    assert from_json(to_json(event)) == event


DURATIONS = [(cls, spec.name) for cls in REGISTERED for spec in simple_fields(cls) if spec.name.endswith("duration_ms")]


@pytest.mark.parametrize(("cls", "name"), DURATIONS, ids=lambda value: getattr(value, "type", value))
def test_a_duration_always_matches_the_documents_grep(cls: type[ExecutionEvent], name: str) -> None:
    @fast
    @given(st.floats(0, 1e300) | st.floats(0, 1e-3) | st.integers(0, 10**9))
    def check(duration: float) -> None:
        event = cls(timestamp=MOMENT, **{name: duration})
        found = DURATION.findall(to_line(event))
        assert len(found) == 1
        assert float(found[0].partition("=")[2]) == getattr(event, name) == pytest.approx(duration, abs=0.0005)

    check()


@pytest.mark.parametrize(
    ("duration", "text"), [(0.007, "0.007"), (0.842, "0.842"), (3, "3.000"), (1e7, "10000000.000")]
)
def test_a_duration_keeps_its_microseconds(duration: float, text: str) -> None:
    assert f" duration_ms={text}" in to_line(ToolCallEvent(timestamp=MOMENT, duration_ms=duration))


@pytest.mark.parametrize(
    ("cost", "text"), [(0.0000125, "0.0000125"), (0.5, "0.5"), (0.0, "0.0"), (1e-10, "0.0000000001")]
)
def test_a_cost_is_written_out_without_an_exponent(cost: float, text: str) -> None:
    assert to_line(LLMCallEvent(timestamp=MOMENT, cost_usd=cost)).endswith(f" cost_usd={text}")


def test_missing_values_are_left_out_of_line_and_json() -> None:
    event = LLMCallEvent(timestamp=MOMENT, model="m")
    assert to_line(event) == "[PROFILE] 2026-03-14 09:26:53.589 type=llm_call model=m"
    assert to_dict(event) == {
        "type": "llm_call",
        "level": "PROFILE",
        "timestamp": "2026-03-14T09:26:53.589",
        "model": "m",
    }


def test_zero_and_false_and_empty_are_not_missing() -> None:
    line = to_line(LLMCallEvent(timestamp=MOMENT, model="", has_tool_calls=False, input_tokens=0, cost_usd=0.0, step=0))
    assert line.partition("type=llm_call ")[2] == 'model="" has_tool_calls=false input_tokens=0 cost_usd=0.0 step=0'


WHERE: dict[str, Any] = {"run": "night", "sim": "s-1", "domain": "retail", "task": "12", "trial": 0, "step": 3}

GOLDEN = [
    (
        LLMCallEvent(
            timestamp=MOMENT,
            thread="worker-3",
            **WHERE,
            start_ms=1234.5678,
            model="gpt-4o",
            call_type="openai",
            duration_ms=120.5,
            has_tool_calls=True,
            input_tokens=1500,
            output_tokens=42,
            cached_tokens=1024,
            cost_usd=0.00417,
            attempts=2,
            retry_wait_ms=1000.25,
        ),
        "[PROFILE] 2026-03-14 09:26:53.589 task=12 thread=worker-3 type=llm_call model=gpt-4o call_type=openai "
        "duration_ms=120.500 has_tool_calls=true input_tokens=1500 output_tokens=42 cached_tokens=1024 "
        "cost_usd=0.00417 attempts=2 retry_wait_ms=1000.250 "
        "run=night sim=s-1 domain=retail trial=0 step=3 start_ms=1234.568",
    ),
    (
        ToolCallEvent(
            timestamp=MOMENT,
            thread="worker-3",
            **WHERE,
            start_ms=2.0,
            function="search_products",
            duration_ms=0.0042,
            error=True,
            error_type="ValueError",
            requestor="assistant",
            tool_call_id="call 9",
            args_size=24,
            result_size=310,
        ),
        "[PROFILE] 2026-03-14 09:26:53.589 task=12 thread=worker-3 type=tool_call function=search_products "
        "call_type=local_function duration_ms=0.004 error=true error_type=ValueError requestor=assistant "
        'tool_call_id="call 9" args_size=24 result_size=310 '
        "run=night sim=s-1 domain=retail trial=0 step=3 start_ms=2.000",
    ),
    (
        StepCompleteEvent(
            timestamp=MOMENT, thread="t", **WHERE, total_duration_ms=980.0, from_role="agent", to_role="env"
        ),
        "[PROFILE] 2026-03-14 09:26:53.589 task=12 thread=t type=step_complete total_duration_ms=980.000 "
        "from_role=agent to_role=env run=night sim=s-1 domain=retail trial=0 step=3",
    ),
    (
        UserSimEvent(timestamp=MOMENT, thread="t", **WHERE, model="gpt-5", call_type="openai", duration_ms=33.125),
        "[USER_JUDGE] 2026-03-14 09:26:53.589 task=12 thread=t type=user_sim model=gpt-5 call_type=openai "
        "duration_ms=33.125 run=night sim=s-1 domain=retail trial=0 step=3",
    ),
    (
        TaskCompleteEvent(
            timestamp=MOMENT,
            thread="t",
            run="night",
            sim="s-1",
            domain="telecom",
            task='[mobile]data off="yes"',
            trial=1,
            reward=1.0,
            termination_reason="user_stop",
            duration_ms=60000.0,
            cost_usd=0.125,
            steps=17,
        ),
        r'[INFO] 2026-03-14 09:26:53.589 task="[mobile]data off=\"yes\"" thread=t type=task_complete reward=1.0 '
        "termination_reason=user_stop duration_ms=60000.000 cost_usd=0.125 steps=17 "
        "run=night sim=s-1 domain=telecom trial=1",
    ),
]


@pytest.mark.parametrize(("event", "line"), GOLDEN, ids=[event.type for event, _ in GOLDEN])
def test_lines_have_the_documents_shape(event: ExecutionEvent, line: str) -> None:
    assert to_line(event) == line
    assert parse_line(line) == event


@pytest.mark.parametrize(
    ("cls", "level"),
    [
        (LLMCallEvent, "PROFILE"),
        (ToolCallEvent, "PROFILE"),
        (ExpertCallEvent, "PROFILE"),
        (StepCompleteEvent, "PROFILE"),
        (UserSimEvent, "USER_JUDGE"),
        (EvaluatorEvent, "USER_JUDGE"),
        (RunStartEvent, "INFO"),
        (TaskCompleteEvent, "INFO"),
    ],
    ids=lambda value: getattr(value, "type", value),
)
def test_an_event_stands_at_its_documented_level(cls: type[ExecutionEvent], level: str) -> None:
    assert to_line(cls(timestamp=MOMENT)).startswith(f"[{level}] 2026")


def test_a_failed_tool_call_reads_as_an_error_and_a_good_one_does_not() -> None:
    failed = parse_line("[PROFILE] 2026-03-14 09:26:53.589 type=tool_call function=f error=true")
    fine = parse_line("[PROFILE] 2026-03-14 09:26:53.589 type=tool_call function=f error=false")
    assert isinstance(failed, ToolCallEvent)
    assert isinstance(fine, ToolCallEvent)
    assert (failed.error, fine.error) == (True, False)


def test_an_unknown_type_survives_both_views() -> None:
    line = (
        '[USER_JUDGE] 2026-03-14 09:26:53.589 task=7 thread=t type=novelty duration_ms=1.500 note="a b" domain=retail'
    )
    event = parse_line(line)
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.task, event.domain) == ("novelty", "7", "retail")
    assert event.extra == {"duration_ms": "1.500", "note": "a b"}
    assert parse_line(to_line(event)) == event
    assert from_json(to_json(event)) == event
    assert to_line(event).startswith("[USER_JUDGE] ")


def test_unknown_events_of_different_types_are_different() -> None:
    one, other = (from_json(f'{{"type":"{name}","task":"1"}}') for name in ("novelty", "rarity"))
    assert one != other
    assert "novelty" not in EVENT_TYPES


def test_unknown_keys_of_a_known_type_survive_both_views() -> None:
    event = parse_line('[PROFILE] 2026-03-14 09:26:53.589 task=7 type=tool_call function=f queue="a=b" depth=3')
    assert isinstance(event, ToolCallEvent)
    assert event.extra == {"queue": "a=b", "depth": "3"}
    assert parse_line(to_line(event)) == event
    assert from_json(to_json(event)) == event


@fast
@given(st.dictionaries(texts, texts, min_size=1, max_size=2))
def test_whatever_an_unknown_key_is_called_its_line_stays_one_readable_line(extra: dict[str, str]) -> None:
    line = to_line(ToolCallEvent(timestamp=MOMENT, function="f", extra=extra))
    assert line.splitlines() == [line]
    event = parse_line(line)
    assert isinstance(event, ToolCallEvent)
    assert event.function == "f"


def test_the_documents_custom_event_is_registered_and_reads_back(custom_event: type[ExecutionEvent]) -> None:
    event = custom_event(
        timestamp=MOMENT, task="1", analysis_type="drift", metrics={"p": [0.5, None], "why": 'a "b"\n'}
    )
    assert custom_event.type == "custom_analysis"
    assert EVENT_TYPES["custom_analysis"] is custom_event
    assert event.source == "analysis:drift"
    line = to_line(event)
    assert line.startswith("[INFO] 2026-03-14 09:26:53.589 task=1 type=custom_analysis analysis_type=drift metrics=")
    assert parse_line(line) == event
    assert from_json(to_json(event)) == event


@pytest.mark.usefixtures("custom_event")  # which takes away what was registered
def test_a_type_that_was_made_a_field_stands_on_the_line_once() -> None:
    @dataclass
    class CacheHitEvent(ExecutionEvent):
        type: str = "cache_hit"  # type: ignore[misc]  # easily written, without ClassVar
        key: str = ""

    line = to_line(CacheHitEvent(timestamp=MOMENT, key="k0"))
    assert line == "[INFO] 2026-03-14 09:26:53.589 type=cache_hit key=k0"


@pytest.mark.usefixtures("custom_event")
def test_numbers_are_written_as_their_own_texts() -> None:
    @dataclass
    class MixedEvent(ExecutionEvent):
        took_ms: int | float | list[int] | None = field(default=None, metadata={"digits": 3})
        count: int | None = None
        yes: bool | None = None

    class Count(int):
        def __format__(self, spec: str) -> str:
            return "otherwise"

    for took, count, text in ((12, Count(3), "took_ms=12.0 count=3 yes=true"), (1.23456, True, "took_ms=1.235 ")):
        assert text in to_line(MixedEvent(timestamp=MOMENT, took_ms=took, count=count, yes=True))
    event = MixedEvent(timestamp=MOMENT)
    event.took_ms = [1, 2]
    assert to_line(event).endswith("took_ms=[1,2]")


def test_a_custom_event_with_a_time_of_its_own_reads_back(custom_event: type[ExecutionEvent]) -> None:
    @dataclass
    class DeadlineEvent(ExecutionEvent):
        due: Optional[datetime] = None  # noqa: UP045

    event = DeadlineEvent(timestamp=MOMENT, due=datetime(2026, 4, 1, 12, 30))
    assert parse_line(to_line(event)) == event
    assert from_json(to_json(event)) == event


def test_a_cut_line_of_an_event_that_computes_on_its_fields_is_broken(custom_event: type[ExecutionEvent]) -> None:
    @dataclass
    class TotalEvent(ExecutionEvent):
        parts: Dict[str, float] = field(default_factory=dict)  # noqa: UP006

        def __post_init__(self) -> None:
            super().__post_init__()
            self.source = f"total:{sum(self.parts.values())}"

    line = to_line(TotalEvent(timestamp=MOMENT, parts={"a": 1.5}))
    assert isinstance(parse_line(line), TotalEvent)
    with pytest.raises(BrokenLine):
        parse_line(line.partition(" parts=")[0])
    with pytest.raises(BrokenLine):
        from_json('{"type":"total"}')


def test_a_timestamp_is_kept_to_the_millisecond_a_line_can_show() -> None:
    event = ToolCallEvent(timestamp=datetime(2026, 3, 14, 9, 26, 53, 589999))
    assert event.timestamp == MOMENT
    assert parse_line(to_line(event)) == event


def test_an_event_that_was_never_stamped_is_not_written() -> None:
    with pytest.raises(ValueError, match="stamped"):
        to_line(ToolCallEvent(function="f"))


def test_stamping_takes_the_simulation_from_the_context_and_the_thread() -> None:
    event = ToolCallEvent(function="f", step=9)
    event.stamp(TaskContext(run="r", sim="s", domain="retail", task="12", trial=0, step=4))
    assert (event.run, event.sim, event.domain, event.task, event.trial) == ("r", "s", "retail", "12", 0)
    assert event.step == 9
    assert event.thread == "MainThread"
    assert event.timestamp is not None
    assert parse_line(to_line(event)) == event


def test_stamping_leaves_a_given_start_alone_and_notes_the_context_is_alive() -> None:
    context = TaskContext(clock=Clock(offset_ms=5000.0))
    event = ToolCallEvent(start_ms=17.25, duration_ms=1.0)
    event.stamp(context)
    assert event.start_ms == 17.25
    assert context.last_event_ms >= 5000.0


def test_an_event_that_is_recorded_at_its_end_began_its_duration_earlier() -> None:
    context = TaskContext(clock=Clock(offset_ms=10_000.0))
    event = LLMCallEvent(duration_ms=812.3)
    event.stamp(context)
    assert event.start_ms is not None
    assert event.start_ms + 812.3 <= context.clock.ms() + 0.001


def test_an_event_given_nothing_but_its_kind_is_stamped_completely_enough_to_write() -> None:
    event = RunStartEvent()
    event.stamp(TaskContext())
    assert re.fullmatch(
        r"\[INFO\] \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} thread=MainThread type=run_start start_ms=\d+\.\d{3}",
        to_line(event),
    )


def test_every_event_and_its_fields_are_documented() -> None:
    document = (CHECKOUT / "docs" / "log-format.md").read_text()
    # events of tests, and the base that model calls share, are none of the log's
    own = [cls for cls in REGISTERED if cls.__module__ == ModelCallEvent.__module__ and cls is not ModelCallEvent]
    names = {name for cls in own for name in (cls.type, *(spec.name for spec in event_fields(cls)))} - {"extra"}
    assert len(own) >= 17
    assert {name for name in names if not re.search(rf"`{name}\b", document)} == set()
