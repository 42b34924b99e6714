"""A trajectory as plain JSON values, for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tau2_enhanced.analysis.trajectory.trajectory import ToolUse, Trajectory, Turn
from tau2_enhanced.logging.events import ExecutionEvent, to_dict


def trajectory_data(shown: Trajectory) -> dict[str, Any]:
    """All of it; what was logged stands there as the log's events, under `events` and `changes`."""
    return {
        **shown.listed.to_dict(),
        "seed": shown.seed,
        "began": shown.began,
        "agent_model": shown.agent_model,
        "user_model": shown.user_model,
        "cost_by_role_usd": dict(shown.cost_usd),
        "verdict": None if shown.verdict is None else asdict(shown.verdict),
        "turns": [_turn(turn) for turn in shown.turns],
        "judge_calls": [to_dict(event) for event in shown.judge_calls],
        "logs": [str(path) for path in shown.logs],
    }


def _turn(turn: Turn) -> Mapping[str, Any]:
    names = ("number", "role", "at_s", "content", "model_ms", "cost_usd", "input_tokens", "output_tokens")
    return {name: getattr(turn, name) for name in names} | {
        "tools": [_tool(use) for use in turn.tools],
        "events": [to_dict(event) for event in (*turn.context_cuts, *turn.model_calls)],
    }


def _tool(use: ToolUse) -> Mapping[str, Any]:
    names = ("id", "name", "arguments", "answer", "error", "duration_ms")
    return {name: getattr(use, name) for name in names} | {
        "event": _event(use.event),
        "changes": [to_dict(event) for event in use.changes],
    }


def _event(event: ExecutionEvent | None) -> Mapping[str, Any] | None:
    return None if event is None else to_dict(event)
