"""A simulation as data: its turns with what was said, called, answered, changed, and what each took and cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tau2_enhanced.analysis.messages import first_own, is_greeting, moment
from tau2_enhanced.analysis.results_file import answers_by_id
from tau2_enhanced.analysis.sums import total
from tau2_enhanced.analysis.trajectory.listed import Listed
from tau2_enhanced.analysis.trajectory.logged import Logged
from tau2_enhanced.analysis.trajectory.verdict import Verdict, verdict_of
from tau2_enhanced.logging.events import (
    ContextReductionEvent,
    EvaluatorEvent,
    ExecutionEvent,
    ModelCallEvent,
    StateChangeEvent,
    TaskCompleteEvent,
    ToolCallEvent,
    ToolExecutionEvent,
    UserSimEvent,
)

_PAID = ("agent", "user", "expert", "judge")
_ROLES = {"assistant": "agent", "user": "user"}


@dataclass(frozen=True)
class ToolUse:
    """A call of a tool, and its answer."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    answer: str | None
    """None where the simulation ended before it."""
    error: bool
    duration_ms: float | None
    """As logged; what lies between tau2's messages is no measure of a tool."""
    event: ToolCallEvent | ToolExecutionEvent | None = None
    changes: tuple[StateChangeEvent, ...] = ()


@dataclass(frozen=True)
class Turn:
    """What one participant said or called at once."""

    number: int
    """As the log's `step`; -1 for what was there before the first: a greeting, or the task's history."""
    role: str
    """agent or user; system for anything else."""
    at_s: float | None
    """When it was said, since the simulation's start."""
    content: str | None
    tools: tuple[ToolUse, ...]
    model_ms: float | None
    """The model's time: as logged, or else all that passed since the message before."""
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    model_calls: tuple[ModelCallEvent, ...] = ()
    """As logged; several where an expert took the turn."""
    context_cuts: tuple[ContextReductionEvent, ...] = ()


@dataclass(frozen=True)
class Trajectory:
    """A whole simulation."""

    listed: Listed
    seed: int | None
    began: str | None
    agent_model: str | None
    user_model: str | None
    cost_usd: Mapping[str, float | None]
    """By role; None where it is unknown."""
    verdict: Verdict | None
    turns: Sequence[Turn]
    judge_calls: Sequence[EvaluatorEvent]
    logs: Sequence[Path] = field(default=())
    """Where the times were logged; without any they are those between messages."""


def trajectory(listed: Listed, logged: Logged) -> Trajectory:
    """The simulation with what was logged of it."""
    entry = listed.load()
    events = logged.events
    turns = list(_turns(entry, events))
    models = [event for event in events if isinstance(event, ModelCallEvent)]
    return Trajectory(
        listed=listed,
        seed=entry.get("seed"),
        began=entry.get("start_time"),
        agent_model=listed.agent_model or _model(models, "llm_call"),
        user_model=listed.user_model or _model(models, "user_sim"),
        cost_usd=_costs(entry, events),
        verdict=verdict_of(None if entry.get("skipped") else entry.get("reward_info")),
        turns=turns,
        judge_calls=[event for event in events if isinstance(event, EvaluatorEvent)],
        logs=logged.files,
    )


def _model(calls: Sequence[ModelCallEvent], kind: str) -> str | None:
    return next((call.model for call in calls if call.type == kind), None)


def _costs(entry: Mapping[str, Any], events: Sequence[ExecutionEvent]) -> dict[str, float | None]:
    ends = [event for event in events if isinstance(event, TaskCompleteEvent)]
    if not ends:
        return {"agent": entry.get("agent_cost"), "user": entry.get("user_cost")}
    costs = {role: _paid(ends, f"{role}_cost_usd") for role in _PAID}
    return {role: cost for role, cost in costs.items() if cost is not None or role in ("agent", "user")}


def _paid(ends: Sequence[TaskCompleteEvent], name: str) -> float | None:
    """A role's cost in all attempts together; None where it is unknown, and where the role had no part in any."""
    # where the whole is known, a role without a cost had no part
    parts = [cost for end in ends if (cost := getattr(end, name)) is not None or end.cost_usd is None]
    return total(parts) if parts else None


def _turns(entry: Mapping[str, Any], events: Sequence[ExecutionEvent]) -> Iterator[Turn]:
    begin = moment(entry.get("start_time"))
    messages = entry["messages"] or []
    answers = answers_by_id(messages)
    tools = _Tools(events)
    steps = _Steps(events)
    number, before = 0, begin
    own = first_own(messages, begin)
    for place, message in enumerate(messages):
        at = moment(message.get("timestamp"))
        if message["role"] != "tool":
            live = place > own or (place == own and not is_greeting(message))
            calls, cuts = steps.take(number, message["role"]) if live else ((), ())
            usage = message.get("usage") or {}
            yield Turn(
                number=number if live else -1,
                role=_ROLES.get(message["role"], "system"),
                at_s=(at - begin).total_seconds() if at and begin and at >= begin else None,
                content=message.get("content"),
                tools=tuple(
                    _tool_use(call, answers.get(call["id"]), tools if live else None)
                    for call in message.get("tool_calls") or ()
                ),
                model_ms=_model_ms(calls, before, at) if live else None,
                cost_usd=_cost(calls, message.get("cost")) if live else None,
                input_tokens=usage.get("prompt_tokens"),
                output_tokens=usage.get("completion_tokens"),
                model_calls=calls,
                context_cuts=cuts,
            )
            number += live
        before = at or before


def _model_ms(calls: Sequence[ModelCallEvent], before: datetime | None, at: datetime | None) -> float | None:
    if calls:
        return sum(call.duration_ms or 0.0 for call in calls)
    return (at - before).total_seconds() * 1000 if at and before and at >= before else None


def _cost(calls: Sequence[ModelCallEvent], told: float | None) -> float | None:
    costs = [call.cost_usd for call in calls]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else told


def _tool_use(call: Mapping[str, Any], answers: deque[Mapping[str, Any]] | None, tools: _Tools | None) -> ToolUse:
    answer = answers.popleft() if answers else None
    event, changes = tools.take(call["id"], call["name"]) if tools and answer is not None else (None, ())
    return ToolUse(
        id=call["id"],
        name=call["name"],
        arguments=call["arguments"],
        answer=None if answer is None else answer.get("content"),
        error=bool(answer and answer.get("error")),
        duration_ms=event.duration_ms if event else None,
        event=event,
        changes=changes,
    )


class _Tools:
    """The logged calls of tools. Each is taken once, those of one name in their order: ids need not be unique."""

    def __init__(self, events: Sequence[ExecutionEvent]) -> None:
        self._calls: dict[type, dict[str | None, deque[Any]]] = {ToolExecutionEvent: {}, ToolCallEvent: {}}
        self._changes: dict[str | None, list[StateChangeEvent]] = {}
        for event in events:
            if isinstance(event, ToolExecutionEvent):
                self._calls[ToolExecutionEvent].setdefault(event.tool_name, deque()).append(event)
            elif isinstance(event, ToolCallEvent):
                self._calls[ToolCallEvent].setdefault(event.function, deque()).append(event)
            elif isinstance(event, StateChangeEvent):
                self._changes.setdefault(event.tool_call_id, []).append(event)

    def take(
        self, id: str, name: str
    ) -> tuple[ToolCallEvent | ToolExecutionEvent | None, tuple[StateChangeEvent, ...]]:
        """What was logged of the next call of a tool, in most detail, and what it changed."""
        taken = [calls[name].popleft() for calls in self._calls.values() if calls.get(name)]
        event = taken[0] if taken else None
        ids = dict.fromkeys([*(event.tool_call_id for event in taken), id])
        changes = next((self._changes.pop(one) for one in ids if one in self._changes), [])
        return event, tuple(changes)


class _Steps:
    """The logged calls of models, by the turn they belong to."""

    def __init__(self, events: Sequence[ExecutionEvent]) -> None:
        self._calls: dict[int | None, list[ModelCallEvent]] = {}
        self._cuts: dict[int | None, list[ContextReductionEvent]] = {}
        for event in events:
            if isinstance(event, ContextReductionEvent):
                self._cuts.setdefault(event.step, []).append(event)
            elif isinstance(event, ModelCallEvent) and not isinstance(event, EvaluatorEvent):
                self._calls.setdefault(event.step, []).append(event)

    def take(self, number: int, role: str) -> tuple[tuple[ModelCallEvent, ...], tuple[ContextReductionEvent, ...]]:
        """Those of a turn; none where they were another participant's, so that a log that is not whole tells no lie."""
        calls = self._calls.get(number, [])
        whose = {"user" if isinstance(call, UserSimEvent) else "assistant" for call in calls}
        return (tuple(calls), tuple(self._cuts.get(number, []))) if whose == {role} else ((), ())
