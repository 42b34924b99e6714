"""The tool calls of a results file with their arguments, for runs of which there is nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.results_events import events_of
from tau2_enhanced.analysis.results_file import ResultsFile
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.logging.arguments import PREVIEW_LENGTH, contains_errors, describe_arguments
from tau2_enhanced.logging.events import ToolCallEvent, ToolExecutionEvent
from tau2_enhanced.logging.validation import validation_errors

_Place = tuple[str | None, int | None, str | None]
"""A call's task, trial and id."""
_ERROR = "Error: "
"""How tau2 begins the answer of a tool that raised."""


def with_arguments(table: EventTable, results: Sequence[ResultsFile]) -> EventTable:
    """The table of results files' events, with a tool execution for each of their tool calls."""
    lines = Lines()
    for file in results:
        read_events(executions_of(file), lines)
    return replace(table, frames=table.frames | to_table(lines).frames)


def executions_of(results: ResultsFile) -> Iterator[ToolExecutionEvent]:
    """A tool execution for each tool call that `events_of` finds. Its time is that between two messages."""
    calls: dict[_Place, Mapping[str, Any]] = {
        (simulation.task, simulation.trial, call["id"]): call["arguments"]
        for simulation in results.simulations
        for call in simulation.calls
    }
    answers: dict[_Place, Mapping[str, Any]] = {
        (simulation.task, simulation.trial, message["id"]): message
        for simulation in results.simulations
        for message in simulation.tool_messages
    }
    for event in events_of(results):
        if isinstance(event, ToolCallEvent):
            place = (event.task, event.trial, event.tool_call_id)
            yield _execution(event, calls.get(place, {}), answers.get(place, {}))


def _execution(event: ToolCallEvent, arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> ToolExecutionEvent:
    text = answer.get("content") or ""
    made = ToolExecutionEvent(
        timestamp=event.timestamp,
        start_ms=event.start_ms,
        run=event.run,
        sim=event.sim,
        domain=event.domain,
        task=event.task,
        trial=event.trial,
        step=event.step,
        source=event.source,
        tool_name=event.function,
        tool_call_id=event.tool_call_id,
        execution_time=None if event.duration_ms is None else event.duration_ms / 1000,
        success=not event.error,
        requestor=event.requestor,
    )
    describe_arguments(made, arguments)
    if event.error:
        made.error_message = text.removeprefix(_ERROR)
        made.validation_errors = validation_errors(text)
    else:
        made.result_size = event.result_size
        made.result_contains_errors = contains_errors(text)
        made.result_preview = text[:PREVIEW_LENGTH]
        made.result_truncated = len(text) > PREVIEW_LENGTH
    return made
