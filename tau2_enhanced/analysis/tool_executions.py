"""Two forms of a tool call: logs have a `tool_call`, files of events have the fuller `tool_execution`."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from tau2_enhanced.analysis.log_lines import column_types
from tau2_enhanced.analysis.table import EventTable

EVALUATOR = ("replay", "gold")
"""The phases of the evaluator's environments."""
LIVE = ~pl.col("phase").is_in(EVALUATOR).fill_null(False)
"""Whether an event is of a simulation's own environment."""
AS_EXECUTION = {"function": "tool_name", "args_size": "args_size_bytes"}
"""What a `tool_call` calls a field, and what it is called of a `tool_execution`."""


def with_tool_calls(table: EventTable) -> EventTable:
    """The table with its tool executions as `tool_call`s; tool calls of the evaluator's environments are left out.

    A simulation that has tool executions has no others: the lines that its log has of them are the same calls.
    """
    frames = {
        kind: frame.filter(LIVE) if kind in ("tool_call", "tool_execution") else frame
        for kind, frame in table.frames.items()
    }
    executed = frames.pop("tool_execution", None)
    if executed is not None:
        made = executed.rename({fuller: name for name, fuller in AS_EXECUTION.items()}).with_columns(
            (pl.col("execution_time") * 1000).round(3).alias("duration_ms"), pl.col("success").not_().alias("error")
        )
        columns = column_types("tool_call")
        own = made.select(name for name in columns if name in made.columns)
        logged = table.of("tool_call").filter(LIVE).join(own, on=["run", "sim"], how="anti", maintain_order="left")
        frames["tool_call"] = pl.concat([logged, own], how="diagonal")
    return replace(table, frames=frames)
