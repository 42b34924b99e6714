"""Documents as the earlier tool wrote them, made by hand: calls by environment, with their snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

START = 1_759_135_000.0


class Call(NamedTuple):
    """A call that began `at` seconds after the start and took half a second to record."""

    tool: str
    at: float
    arguments: dict[str, Any] | None = None
    error: str | None = None
    changed: bool = False


def document(*environments: Sequence[Call], snapshots: bool = True) -> dict[str, Any]:
    """The document of a recording with these environments."""
    events: list[dict[str, Any]] = []
    taken: list[dict[str, Any]] = []
    for environment in environments:
        for number, call in enumerate(environment, 1):
            events.append(_execution(call, number))
            taken.append(_snapshot(call, f"before_{call.tool}"))
            if call.changed:
                events.append(_change(call))
                taken.append(_snapshot(call, f"after_{call.tool}"))
    return {
        "timestamp": "2025-09-29T01:41:49.876962",
        "execution_events": events,
        "state_snapshots": taken if snapshots else [],
        "summary": {"total_execution_logs": len(events)},
    }


def _execution(call: Call, number: int) -> dict[str, Any]:
    return {
        "timestamp": START + call.at + 0.2,
        "level": "error" if call.error else "info",
        "source": "unknown",
        "message": f"Tool {call.tool} ran",
        "metadata": {},
        "event_type": "ToolExecutionEvent",
        "tool_name": call.tool,
        "tool_args": call.arguments or {},
        "execution_time": 0.00004,
        "success": call.error is None,
        "error_message": call.error,
        "error_type": "ValueError" if call.error else None,
        "result_size": None if call.error else 300,
        "result_preview": "" if call.error else "x" * 200,
        "requestor": "assistant",
        "tool_call_id": f"{call.tool}_{number}",
        "validation_errors": [],
        "state_changed": call.changed,
        "args_count": len(call.arguments or {}),
        "args_complexity_score": 1.0,
        "sensitive_args_detected": "author" in (call.arguments or {}),
        "required_args_provided": [],
        "optional_args_provided": [],
        "missing_args": [],
        "unexpected_args": [],
        "result_truncated": False,
        "has_result": call.error is None,
    }


def _change(call: Call) -> dict[str, Any]:
    return {
        "timestamp": START + call.at + 0.3,
        "event_type": "StateChangeEvent",
        "state_type": "database",
        "action_trigger": call.tool,
        "pre_state_hash": "a" * 64,
        "post_state_hash": "b" * 64,
        "state_diff": "Database state has changed",
    }


def _snapshot(call: Call, trigger: str) -> dict[str, Any]:
    return {
        "timestamp": START + call.at + 0.1,
        "state_data": {"domain_name": "airline", "timestamp": START + call.at},
        "action_trigger": trigger,
    }
