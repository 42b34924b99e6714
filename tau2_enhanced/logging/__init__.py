"""What is recorded: levels, the task context, the events and the files they are written to."""

from tau2_enhanced.logging.config import LogSession, configure_logging, emit
from tau2_enhanced.logging.context import Clock, TaskContext, current_context, in_context, task_context
from tau2_enhanced.logging.levels import LEVELS, PROFILE, USER_JUDGE, EventLogger, get_logger

__all__ = [
    "LEVELS",
    "PROFILE",
    "USER_JUDGE",
    "Clock",
    "EventLogger",
    "LogSession",
    "TaskContext",
    "configure_logging",
    "current_context",
    "emit",
    "get_logger",
    "in_context",
    "task_context",
]
