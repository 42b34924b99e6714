"""Sensitive data and the process's secrets out of whole events, for whoever writes them down or keeps them."""

from __future__ import annotations

from copy import copy
from typing import TypeVar, cast

from tau2_enhanced.logging.diff import Change, summary_of
from tau2_enhanced.logging.events import ExecutionEvent, StateChangeEvent, event_fields
from tau2_enhanced.logging.plain import plain
from tau2_enhanced.logging.redaction import scrub, scrub_values
from tau2_enhanced.logging.sensitive import redacted

Event = TypeVar("Event", bound=ExecutionEvent)

_NAMES = {
    *("run", "sim", "domain", "task", "thread", "source", "phase", "model", "tool_name", "function", "action_trigger"),
    *("tool_call_id", "pre_state_hash", "post_state_hash", "error_type", "requestor", "result_type", "state_type"),
    *("args_types", "sensitive_args"),
    *("required_args_provided", "optional_args_provided", "missing_args", "unexpected_args"),
}
"""Fields that hold names and hashes of ours or of a tool's parameters, never a person's data."""

_WORDS = {"domain", "task", "requestor", "termination_reason"}
"""Fields whose texts are a benchmark's own words, which a secret that is a common word must not destroy."""


def scrubbed_event(event: Event) -> Event:
    """A copy of the event that holds plain JSON of its own and none of the process's secrets."""
    made = copy(event)
    for spec in event_fields(event.__class__):
        value = getattr(event, spec.name)
        if value is None or spec.name in _WORDS:
            continue
        if spec.kind is str:
            setattr(made, spec.name, scrub(value))
        elif spec.kind is object:
            # before a text of it is made: escaped in JSON, a secret is harder to find
            setattr(made, spec.name, scrub_values(plain(value), free=True))
    return made


def redacted_event(event: Event) -> Event:
    """A copy of the event with everything sensitive in it replaced by its kind."""
    made = copy(event)
    for spec in event_fields(event.__class__):
        value = getattr(event, spec.name)
        if value and spec.kind in (str, object) and spec.name not in _NAMES:
            setattr(made, spec.name, redacted({spec.name: value})[spec.name])
    if isinstance(made, StateChangeEvent) and made.state_diff:
        before = cast("StateChangeEvent", event)
        if before.change_summary == summary_of(_changes(before)):
            made.change_summary = summary_of(_changes(made))
    return made


def _changes(event: StateChangeEvent) -> list[Change]:
    return cast("list[Change]", event.state_diff or [])
