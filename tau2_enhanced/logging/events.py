"""The events, one dataclass each: nothing else in the project spells a field's name.

What all share is in `schema.py`, how they are written and read in `views.py`; both are offered here too.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tau2_enhanced.logging.levels import PROFILE, USER_JUDGE
from tau2_enhanced.logging.pairs import to_pairs
from tau2_enhanced.logging.schema import (
    EVENT_TYPES,
    ExecutionEvent,
    FieldSpec,
    event_fields,
    is_duration,
    ms,
    score,
    seconds,
    size,
    usd,
)
from tau2_enhanced.logging.views import (
    CUT_LINE,
    EVENT_LINE,
    GLUED_LINE,
    HEAD_WORDS,
    PAIR,
    BrokenLine,
    UnknownEvent,
    format_time,
    from_json,
    parse_line,
    to_dict,
    to_json,
    to_line,
)

__all__ = [
    "CUT_LINE",
    "EVENT_LINE",
    "EVENT_TYPES",
    "GLUED_LINE",
    "HEAD_WORDS",
    "PAIR",
    "AuditEvent",
    "BrokenLine",
    "ContextReductionEvent",
    "EvaluatorEvent",
    "ExecutionEvent",
    "ExpertCallEvent",
    "FieldSpec",
    "HeartbeatEvent",
    "LLMCallEvent",
    "LoopEvent",
    "ModelCallEvent",
    "RunCompleteEvent",
    "RunStartEvent",
    "StateChangeEvent",
    "StateSnapshotEvent",
    "StepCompleteEvent",
    "TaskCompleteEvent",
    "TaskStartEvent",
    "ToolCallEvent",
    "ToolExecutionEvent",
    "UnknownEvent",
    "UserSimEvent",
    "event_fields",
    "format_time",
    "from_json",
    "is_duration",
    "ms",
    "parse_line",
    "score",
    "seconds",
    "size",
    "to_dict",
    "to_json",
    "to_line",
    "to_pairs",
    "usd",
]


@dataclass
class ModelCallEvent(ExecutionEvent):
    """One answered or failed call of a model. Times leave out everything before the last attempt."""

    type: ClassVar[str] = "model_call"
    level: ClassVar[int] = PROFILE

    model: str | None = None
    call_type: str | None = None
    """The backend: openai, vllm, claude, gold, or litellm's name of a provider."""
    duration_ms: float | None = ms(default=None)
    """Wall-clock time of the attempt that succeeded (of the last one, if none did)."""
    ttft_ms: float | None = ms(default=None)
    """From sending the request to the first token, as the client sees it."""
    decode_ms: float | None = ms(default=None)
    """From the first token to the last."""
    has_tool_calls: bool | None = None
    input_tokens: int | None = None
    """Tokens of the prompt, cached ones included."""
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of `input_tokens` that the provider read from its cache."""
    cost_usd: float | None = usd(default=None)
    attempts: int | None = None
    """0 where the call was given up before its first turn at a busy server."""
    retry_wait_ms: float | None = ms(default=None)
    """From the start of the first attempt to the start of the last: failed attempts and waits."""
    error_type: str | None = None


@dataclass
class LLMCallEvent(ModelCallEvent):
    """The agent asked its model."""

    type: ClassVar[str] = "llm_call"


@dataclass
class ExpertCallEvent(ModelCallEvent):
    """The agent let an expert model take its turn, by a tool."""

    type: ClassVar[str] = "expert_call"

    expert: str | None = None
    """The name by which the agent knows it."""


@dataclass
class UserSimEvent(ModelCallEvent):
    """The user simulator asked its model."""

    type: ClassVar[str] = "user_sim"
    level: ClassVar[int] = USER_JUDGE


@dataclass
class EvaluatorEvent(ModelCallEvent):
    """The judge was asked about a trajectory."""

    type: ClassVar[str] = "evaluator"
    level: ClassVar[int] = USER_JUDGE


@dataclass
class ToolCallEvent(ExecutionEvent):
    """A tool of the domain ran in a live simulation."""

    type: ClassVar[str] = "tool_call"
    level: ClassVar[int] = PROFILE

    function: str | None = None
    call_type: str | None = "local_function"
    duration_ms: float | None = ms(default=None)
    error: bool | None = None
    """The tool raised; the participant was told so."""
    error_type: str | None = None
    """Class of what it raised."""
    requestor: str | None = None
    """Who called: assistant or user."""
    tool_call_id: str | None = None
    args_size: int | None = size(default=None)
    result_size: int | None = size(default=None)


@dataclass
class ToolExecutionEvent(ExecutionEvent):
    """A tool call with all that can be said of its arguments and its result. What is not known is left out.

    It stands at DEBUG, beside the arguments and results that are logged there: log lines at PROFILE have
    `tool_call`, files of events have this.
    """

    type: ClassVar[str] = "tool_execution"
    level: ClassVar[int] = logging.DEBUG

    tool_name: str | None = None
    tool_call_id: str | None = None
    """Unique within the simulation."""
    execution_time: float | None = seconds(default=None)
    """Wall-clock seconds that the tool took."""
    success: bool | None = None
    """The tool did not raise."""
    error_type: str | None = None
    """Class of what it raised."""
    error_message: str | None = None
    requestor: str | None = None
    """Who called: assistant or user."""
    state_changed: bool | None = None
    """The call changed the agent's or the user's database."""

    tool_args: dict[str, Any] | None = None
    args_count: int | None = None
    """Arguments given, nested values not counted."""
    args_size_bytes: int | None = size(default=None)
    args_complexity_score: float | None = score(default=None)
    args_types: dict[str, str] | None = None
    """Each argument's Python type."""
    has_file_args: bool | None = None
    """An argument names a file or holds one."""
    has_large_args: bool | None = None
    """An argument is larger than 1,000 bytes."""
    sensitive_args_detected: bool | None = None
    sensitive_args: dict[str, list[str]] | None = None
    """What was detected: for each kind, where it stands (RFC 6901 pointers into `tool_args`)."""

    required_args_provided: list[str] | None = None
    optional_args_provided: list[str] | None = None
    missing_args: list[str] | None = None
    """Required ones that were not given."""
    unexpected_args: list[str] | None = None
    """Given ones that the tool does not take."""
    validation_errors: list[str] | None = None
    """What was wrong with the arguments, one text each: `payment_id: Field required`."""

    result_type: str | None = None
    """The Python type of what the tool returned."""
    result_size: int | None = size(default=None)
    result_complexity_score: float | None = score(default=None)
    result_contains_errors: bool | None = None
    """The tool returned, and what it returned speaks of an error."""
    result_truncated: bool | None = None
    """`result_preview` is not all of the result."""
    result_preview: str | None = None
    """The first 200 characters of the result's text."""

    @property
    def duration_ms(self) -> float | None:
        """`execution_time` in milliseconds."""
        return None if self.execution_time is None else self.execution_time * 1000


@dataclass
class StateChangeEvent(ExecutionEvent):
    """A database changed. Hashes depend on the state alone, so equal states have equal hashes."""

    type: ClassVar[str] = "state_change"
    level: ClassVar[int] = logging.DEBUG

    state_type: str | None = None
    """What changed: database (the agent's) or user_database."""
    action_trigger: str | None = None
    """What changed it: a tool's name."""
    tool_call_id: str | None = None
    pre_state_hash: str | None = None
    post_state_hash: str | None = None
    state_diff: list[dict[str, Any]] | None = None
    """Changes as in JSON Patch (RFC 6902): `op`, `path`, and `old` and `new` values."""
    change_summary: str | None = None
    """The same in a sentence."""


@dataclass
class StateSnapshotEvent(ExecutionEvent):
    """An environment's databases at one moment: at the start, around each tool call, at an error and at the end."""

    type: ClassVar[str] = "state_snapshot"
    level: ClassVar[int] = logging.DEBUG

    action_trigger: str | None = None
    """What made it worth a snapshot: start, before_TOOL, after_TOOL, error_TOOL, end or error."""
    tool_call_id: str | None = None
    state_hash: str | None = None
    """Of all databases together; depends on their state alone."""
    changed: bool | None = None
    """The state is not that of the snapshot before; absent for the first."""
    state_data: dict[str, Any] | None = None
    """By database and field, what differs from the databases as they were loaded; null for what is gone. Absent
    where the state is that of the snapshot before."""


@dataclass
class ContextReductionEvent(ExecutionEvent):
    """A participant's context was made shorter, so that it fits its model or costs less."""

    type: ClassVar[str] = "context_reduction"

    strategy: str | None = None
    """How: truncation, summary, …"""
    reason: str | None = None
    messages_before: int | None = None
    messages_after: int | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None
    reduction_ratio: float | None = score(default=None)
    """Share of the tokens that went, from 0 to 1."""
    summary: str | None = None
    """What stands in the place of what went."""


@dataclass
class StepCompleteEvent(ExecutionEvent):
    """A participant's turn ended: its model call and the tool calls it made."""

    type: ClassVar[str] = "step_complete"
    level: ClassVar[int] = PROFILE

    total_duration_ms: float | None = ms(default=None)
    from_role: str | None = None
    """Who took the step: agent or user."""
    to_role: str | None = None
    """Who was addressed: env where tools were called, else user or agent."""
    framework_ms: float | None = ms(default=None)
    """`total_duration_ms` without the step's calls and the waits before those that were tried again."""


@dataclass
class RunStartEvent(ExecutionEvent):
    """A run began, or went on after a stop."""

    type: ClassVar[str] = "run_start"

    agent_model: str | None = None
    user_model: str | None = None
    judge_model: str | None = None
    experts: str | None = None
    """The experts that the agent is offered, as `NAME=MODEL, …`."""
    planned: int | None = None
    """Simulations of the whole plan."""
    finished: int | None = None
    """Those of them that an earlier part of this run finished."""
    max_concurrency: int | None = None
    resumed: bool | None = None
    tau2_version: str | None = None


@dataclass
class TaskStartEvent(ExecutionEvent):
    """A simulation began."""

    type: ClassVar[str] = "task_start"

    seed: int | None = None


@dataclass
class HeartbeatEvent(ExecutionEvent):
    """A simulation is still running: how it is, seen from outside. No sign of life of its own."""

    type: ClassVar[str] = "heartbeat"

    age_ms: float | None = ms(default=None)
    """Since the simulation's last event."""
    running_ms: float | None = ms(default=None)
    waiting_for: str | None = None
    """In words: a model, a tool, the evaluator; absent while it works."""
    waiting_ms: float | None = ms(default=None)
    last_error: str | None = None


@dataclass
class LoopEvent(ExecutionEvent):
    """A participant made the same tool call, with the same answer, three times in a row or more."""

    type: ClassVar[str] = "loop"

    function: str | None = None
    requestor: str | None = None
    """Who called: assistant or user."""
    repeats: int | None = None
    """How many times in a row so far."""


@dataclass
class TaskCompleteEvent(ExecutionEvent):
    """A simulation ended, with a verdict or without."""

    type: ClassVar[str] = "task_complete"

    reward: float | None = field(default=None, metadata={"digits": 6})
    """Absent where there is no verdict."""
    termination_reason: str | None = None
    duration_ms: float | None = ms(default=None)
    cost_usd: float | None = usd(default=None)
    agent_cost_usd: float | None = usd(default=None)
    user_cost_usd: float | None = usd(default=None)
    expert_cost_usd: float | None = usd(default=None)
    judge_cost_usd: float | None = usd(default=None)
    steps: int | None = None
    error_type: str | None = None
    """Why there is no verdict, or which failure of the model ended it."""
    continues: str | None = None
    """The `sim` whose conversation was evaluated, where this was an evaluation alone."""


@dataclass
class RunCompleteEvent(ExecutionEvent):
    """A run ended: finished, stopped or out of money."""

    type: ClassVar[str] = "run_complete"

    duration_ms: float | None = ms(default=None)
    planned: int | None = None
    finished: int | None = None
    """Simulations with a verdict."""
    cost_usd: float | None = usd(default=None)
    exit_code: int | None = None


@dataclass
class AuditEvent(ExecutionEvent):
    """A file of events was closed, or was opened again."""

    type: ClassVar[str] = "audit"

    action: str | None = None
    """closed or reopened"""
    cut_size: int | None = size(default=None)
    """The unfinished line that a killed writer had left, and that was cut off."""
