"""Files of the tool that this one follows, as events of today.

Its documents hold `execution_events` with an `event_type` each, by environment and without simulations; those of
the evaluator's environments are among them. A call's id ends in its number within its environment. Its hashes of
states contain the time, its signature fields were never filled, and its scores and findings of sensitive data
mean something else: what an event says of its arguments is measured again, what it could not know is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tau2_enhanced.analysis.executions.environments import PAUSE_S, Environment, tell
from tau2_enhanced.logging.arguments import PREVIEW_LENGTH, describe_arguments
from tau2_enhanced.logging.events import EVENT_TYPES, ExecutionEvent, ToolExecutionEvent, from_json
from tau2_enhanced.logging.validation import validation_errors

TOLD_BY = "phase_told_by"
"""The field that says how it was told in whose environment a call was made."""
ENVIRONMENT = "environment"
"""The field that names the environment: of a simulation's own one it is the `sim`."""
_PAUSE_WITHOUT_SNAPSHOTS_S = 2.0
"""Without snapshots a pause contains how long that tool took to hash a database: more than a second at times."""
_NUMBER = re.compile(r"_(\d+)$")
_NEVER_FILLED = ("required_args_provided", "optional_args_provided", "missing_args", "unexpected_args")
_DROPPED = {"event_type", "level", "timestamp", "source", "message", "has_result", *_NEVER_FILLED}
_SAME_SENTENCE = "Database state has changed"


class Read(NamedTuple):
    """What a document of the earlier tool holds."""

    events: list[ExecutionEvent]
    """Each with its phase; those of one simulation, its replay included, share a `sim`."""
    broken: list[tuple[str, str]]
    """What is no event, as text, and why."""


class _Recorded(NamedTuple):
    """An event, and when it began and ended, in seconds since 1970."""

    event: ExecutionEvent
    began: float
    ended: float


def read_earlier(listed: Sequence[Any], snapshots: Any, run: str) -> Read:
    """The events of a document.

    `snapshots` are its state snapshots: they say when a call began. `run` names the recording.
    """
    begins = _begins(listed, snapshots)
    recorded: list[_Recorded] = []
    broken: list[tuple[str, str]] = []
    types = {cls.__name__: name for name, cls in EVENT_TYPES.items()}
    for place, entry in enumerate(listed):
        try:
            kind = types.get(entry["event_type"], entry["event_type"])
            recorded.append(_recorded(entry, kind, begins.get(place)))
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            broken.append((json.dumps(entry, default=str), f"{type(error).__name__}: {error}"))
    environments = _environments(recorded)
    known = len(begins) == sum(isinstance(found.event, ToolExecutionEvent) for found in recorded)
    told = tell([_measured(calls) for calls in environments], PAUSE_S if known else _PAUSE_WITHOUT_SNAPSHOTS_S)
    domain = _domain(snapshots)
    for number, (environment, whose) in enumerate(zip(environments, told, strict=True)):
        simulation = number if whose.replays is None else whose.replays
        for event, *_ in environment:
            event.run, event.domain, event.phase = run, domain, whose.phase
            event.sim = None if whose.phase == "gold" else f"{run} {simulation + 1}"
            event.extra |= {ENVIRONMENT: f"{run} {number + 1}", TOLD_BY: whose.by}
    return Read([found.event for found in recorded], broken)


def _recorded(entry: Mapping[str, Any], kind: str, began: float | None) -> _Recorded:
    ended = float(entry["timestamp"])
    values = {name: value for name, value in entry.items() if name not in _DROPPED and value not in (None, {})}
    if values.get("state_diff") == _SAME_SENTENCE:
        del values["state_diff"]
    moment = datetime.fromtimestamp(ended).isoformat(timespec="milliseconds")
    event = from_json(json.dumps(values | {"type": kind, "timestamp": moment}))
    took = 0.0
    if isinstance(event, ToolExecutionEvent):
        took = event.execution_time or 0.0
        _measure(event)
    return _Recorded(event, ended - took if began is None else began, ended)


def _measure(event: ToolExecutionEvent) -> None:
    if isinstance(event.tool_args, dict):
        describe_arguments(event, event.tool_args)
    event.validation_errors = validation_errors(event.error_message)
    if event.result_size is None:
        event.result_preview = event.result_contains_errors = event.result_truncated = None
    elif event.result_preview is not None:
        event.result_truncated = len(event.result_preview) >= PREVIEW_LENGTH


def _environments(recorded: Iterable[_Recorded]) -> list[list[_Recorded]]:
    """The events of each environment: a call whose number does not follow the one before is another's."""
    made: list[list[_Recorded]] = []
    last = 0
    for found in recorded:
        if isinstance(found.event, ToolExecutionEvent):
            numbered = _NUMBER.search(found.event.tool_call_id or "")
            number = int(numbered[1]) if numbered else last + 1
            if number != last + 1:
                made.append([])
            last = number
        if not made:
            made.append([])
        made[-1].append(found)
    return made


def _measured(environment: Sequence[_Recorded]) -> Environment:
    content = []
    pauses = []
    for before, found in zip([None, *environment], environment, strict=False):
        call = found.event
        if isinstance(call, ToolExecutionEvent):
            arguments = json.dumps(call.tool_args, sort_keys=True)
            content.append((call.tool_name, arguments, call.requestor, call.success, call.error_message))
            if before is not None:
                pauses.append(found.began - before.ended)
    return Environment(tuple(content), environment[0].began, environment[-1].ended, max(pauses, default=None))


def _begins(listed: Sequence[Any], snapshots: Any) -> dict[int, float]:
    """When calls began, by their places: each event has a snapshot at its own place, if the document is whole."""
    if not isinstance(snapshots, list) or len(snapshots) != len(listed):
        return {}
    begins = {}
    for place, (entry, snapshot) in enumerate(zip(listed, snapshots, strict=True)):
        try:
            if snapshot["action_trigger"] == f"before_{entry['tool_name']}":
                begins[place] = float(snapshot["state_data"]["timestamp"])
        except (KeyError, TypeError, ValueError):
            continue
    return begins


def _domain(snapshots: Any) -> str | None:
    """The one domain that the snapshots name; None where they name none or several."""
    found = set()
    for snapshot in snapshots if isinstance(snapshots, list) else ():
        data = snapshot.get("state_data") if isinstance(snapshot, Mapping) else None
        if isinstance(data, Mapping) and isinstance(data.get("domain_name"), str):
            found.add(data["domain_name"])
    return found.pop() if len(found) == 1 else None
