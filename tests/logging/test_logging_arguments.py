from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from tau2_enhanced.logging.arguments import contains_errors, describe_arguments, describe_result
from tau2_enhanced.logging.events import ToolExecutionEvent
from tau2_enhanced.logging.signatures import Description, Parameters, fit, parameters_of
from tau2_enhanced.logging.validation import validation_errors


def arguments(value: dict[str, Any], parameters: Parameters | None = None) -> ToolExecutionEvent:
    event = ToolExecutionEvent()
    describe_arguments(event, value, parameters)
    return event


def result(value: object, **options: Any) -> ToolExecutionEvent:
    event = ToolExecutionEvent()
    describe_result(event, value, **options)
    return event


def test_arguments_are_counted_measured_and_typed() -> None:
    event = arguments({"departure": "NYC", "seats": 2, "flexible": True, "via": None, "days": ["2024-05-01"]})
    assert event.args_count == 5
    text = '{"departure":"NYC","seats":2,"flexible":true,"via":null,"days":["2024-05-01"]}'
    assert event.args_size_bytes == len(text)
    assert event.args_types == {
        "departure": "str",
        "seats": "int",
        "flexible": "bool",
        "via": "NoneType",
        "days": "list",
    }
    assert event.sensitive_args_detected is False
    assert event.sensitive_args == {}
    assert event.args_complexity_score is not None
    assert 0 < event.args_complexity_score < 1


def test_without_a_signature_nothing_is_claimed_about_it() -> None:
    event = arguments({"a": 1})
    assert (event.required_args_provided, event.missing_args, event.unexpected_args) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "is_file"),
    [
        ({"file": "notes"}, True),
        ({"doc": "/home/mia/report.pdf"}, True),
        ({"doc": "report.csv"}, True),
        ({"nested": {"attachments": ["x"]}}, True),
        ({"data": b"abc"}, True),
        ({"doc": "C:\\temp\\x"}, True),
        ({"file": ""}, False),
        ({"mode": "4g_5g_preferred"}, False),
        ({"answer": "and/or"}, False),
        ({"amount": "3131.1 + 4777.75"}, False),
        ({"email": "mia@example.com"}, False),
        ({"url": "https://example.com/a"}, False),
        ({"profile": "gold"}, False),
    ],
)
def test_file_arguments(value: dict[str, Any], is_file: bool) -> None:
    assert arguments(value).has_file_args is is_file


def test_one_argument_has_to_be_large_not_all_together() -> None:
    assert arguments({"a": "x" * 999}).has_large_args is True
    assert arguments({"a": "x" * 998}).has_large_args is False
    assert arguments({"a": "x" * 600, "b": "y" * 600}).has_large_args is False


def test_sensitive_arguments_are_named_by_kind_and_place() -> None:
    event = arguments({"passengers": [{"dob": "1990-04-05"}, {"dob": "1991-05-06"}], "contact": "mia@example.com"})
    assert event.sensitive_args_detected is True
    assert event.sensitive_args == {"birth_date": ["/passengers/0/dob", "/passengers/1/dob"], "email": ["/contact"]}


def test_a_short_result_is_shown_whole_and_a_long_one_is_cut_and_says_so() -> None:
    short, long = result({"a": 1}), result("x" * 201)
    assert (short.result_type, short.result_size, short.result_truncated) == ("dict", 7, False)
    assert short.result_preview == '{"a":1}'
    assert (long.result_type, long.result_size, long.result_truncated) == ("str", 201, True)
    assert long.result_preview == "x" * 200


def test_a_results_bytes_are_those_of_its_text() -> None:
    assert result("é").result_size == 2
    assert result(None).result_type == "NoneType"


def test_a_redacted_preview_is_redacted_before_it_is_cut() -> None:
    value = {"padding": "x" * 160, "email": "a-rather-long-name@example.com"}
    assert "a-rather" in str(result(value).result_preview)
    event = result(value, redact=True)
    assert "a-rather" not in str(event.result_preview)
    assert event.result_size == result(value).result_size


@pytest.mark.parametrize(
    ("value", "speaks_of_an_error"),
    [
        ("Error: no such order", True),
        ({"error": "no such order"}, True),
        ({"success": False}, True),
        ({"errors": []}, False),
        ({"success": True, "items": 2}, False),
        ("Errands are done", False),
        ("Transfer successful", False),
        ([], False),
    ],
)
def test_results_that_speak_of_errors(value: Any, speaks_of_an_error: bool) -> None:
    assert contains_errors(value) is speaks_of_an_error


def search(self: object, departure: str, destination: str, date: str = "", *extra: str) -> None: ...


SCHEMA = {"type": "object", "properties": {"departure": {}, "destination": {}, "date": {}}}
DESCRIPTIONS: list[Description] = [
    inspect.signature(search),
    SCHEMA | {"required": ["departure", "destination"]},
    {"required": ["departure", "destination"], "optional": ["date"]},
]


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_calls_arguments_are_compared_with_the_tools_parameters(description: Description) -> None:
    fitting = fit(parameters_of(description), ["date", "departure", "seat"])
    assert fitting == (["departure"], ["date"], ["destination"], ["seat"])


def test_a_tool_that_takes_any_name_has_no_unexpected_ones() -> None:
    def anything(a: int, **more: int) -> None: ...

    assert fit(parameters_of(inspect.signature(anything)), ["b"]) == ([], [], ["a"], [])


class Payment(BaseModel):
    payment_id: str
    amount: int


def test_validation_errors_are_read_from_the_error_and_from_its_text_alike() -> None:
    with pytest.raises(ValidationError) as caught:
        Payment.model_validate({"id": "certificate_8045380", "amount": "much"})
    expected = [
        "payment_id: Field required",
        "amount: Input should be a valid integer, unable to parse string as an integer",
    ]
    assert validation_errors(caught.value) == expected
    assert validation_errors(f"Error: {caught.value}") == expected
    assert "8045380" not in json.dumps(expected)


def test_a_call_that_does_not_fit_is_a_validation_error_and_others_are_none() -> None:
    with pytest.raises(TypeError) as caught:
        search(None, "NYC")  # type: ignore[call-arg]  # the mistake is the point
    assert validation_errors(caught.value) == ["missing 1 required positional argument: 'destination'"]
    assert validation_errors(ValueError("Reservation IFOYFZ not found")) == []
    assert validation_errors(None) == []
