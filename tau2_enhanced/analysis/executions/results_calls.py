"""The tool calls of a results file with their arguments, for runs of which there is nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.results_events import told_by
from tau2_enhanced.analysis.results_file import ResultsFile
from tau2_enhanced.analysis.table import EventTable, to_table
from tau2_enhanced.logging.arguments import PREVIEW_LENGTH, contains_errors, describe_arguments
from tau2_enhanced.logging.events import ToolCallEvent, ToolExecutionEvent
from tau2_enhanced.logging.validation import validation_errors

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
    for event, call, answer in told_by(results):
        if isinstance(event, ToolCallEvent):
            yield _execution(event, call["arguments"] if call else None, answer or {})


def _execution(
    event: ToolCallEvent, arguments: Mapping[str, Any] | None, answer: Mapping[str, Any]
) -> ToolExecutionEvent:
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
    if arguments is not None:
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
