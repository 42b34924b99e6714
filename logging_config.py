"""The logging's short public face; the logic lives in `tau2_enhanced.logging`.

from logging_config import LLMCallEvent, ToolCallEvent, configure_logging, emit, get_logger, task_context

with configure_logging(["retail"], run_id="mine", level="PROFILE"), task_context(domain="retail", task="12"):
    get_logger(__name__).profile(ToolCallEvent(function="get_order", duration_ms=0.8))
    emit(LLMCallEvent(model="gpt-4.1", duration_ms=812.3))
"""

from tau2_enhanced.logging import (
    LEVELS,
    PROFILE,
    USER_JUDGE,
    configure_logging,
    current_context,
    emit,
    get_logger,
    in_context,
    task_context,
)
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    StepCompleteEvent,
    ToolCallEvent,
    UserSimEvent,
)

__all__ = [
    "LEVELS",
    "PROFILE",
    "USER_JUDGE",
    "EvaluatorEvent",
    "ExecutionEvent",
    "ExpertCallEvent",
    "LLMCallEvent",
    "StepCompleteEvent",
    "ToolCallEvent",
    "UserSimEvent",
    "configure_logging",
    "current_context",
    "emit",
    "get_logger",
    "in_context",
    "task_context",
]
