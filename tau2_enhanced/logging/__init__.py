"""What is recorded: levels, the task context, the events and the files they are written to."""

from typing import TYPE_CHECKING, Any

from tau2_enhanced.logging.config import LogSession, configure_logging
from tau2_enhanced.logging.context import Clock, TaskContext, current_context, in_context, task_context
from tau2_enhanced.logging.emitting import emit
from tau2_enhanced.logging.levels import LEVELS, PROFILE, USER_JUDGE, EventLogger, get_logger

if TYPE_CHECKING:
    from tau2_enhanced.logging.execution_logger import ExecutionLogger
    from tau2_enhanced.logging.state_tracker import StateTracker

__all__ = [
    "LEVELS",
    "PROFILE",
    "USER_JUDGE",
    "Clock",
    "EventLogger",
    "ExecutionLogger",
    "LogSession",
    "StateTracker",
    "TaskContext",
    "configure_logging",
    "current_context",
    "emit",
    "get_logger",
    "in_context",
    "task_context",
]

_LAZY = {"ExecutionLogger": "execution_logger", "StateTracker": "state_tracker"}
"""Names that most who log don't need, and the modules that are loaded for them."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
