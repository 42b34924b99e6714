"""A results file of tau2 as events, so that runs which nobody logged can be analysed like those that were.

The times are those between messages: tau2 stamps a message when it is made, so a model's answer took at most
the time since the message before it. Retries, waits and the framework's own work are in there too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tau2_enhanced.analysis.messages import first_own, is_greeting, moment
from tau2_enhanced.analysis.results_file import ResultsFile, Simulation
from tau2_enhanced.analysis.table import EventTable
from tau2_enhanced.logging.events import (
    ExecutionEvent,
    LLMCallEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
    ToolExecutionEvent,
    UserSimEvent,
)

SOURCE = "tau2_results"
"""The `source` of these events."""
_CALLS = {"assistant": LLMCallEvent, "user": UserSimEvent}
_TIMED = (*(event.type for event in _CALLS.values()), ToolCallEvent.type, ToolExecutionEvent.type)
_ROLES = {"assistant": "agent", "user": "user"}


class Told(NamedTuple):
    """An event; of a tool's call also what the model asked for, where that is known, and what the tool answered."""

    event: ExecutionEvent
    call: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None


def events_of(results: ResultsFile) -> Iterator[ExecutionEvent]:
    """The events of all simulations: starts, calls of models and tools, steps, ends. `start_ms` counts from the first.

    What lies before the first message since a simulation's beginning was not made in it and is passed over. How long
    a call took is None where its message or the one before has no time, and where the clock was set back in between.
    """
    return (told.event for told in told_by(results))


def told_by(results: ResultsFile) -> Iterator[Told]:
    """The same with the messages that tell of tools' calls."""
    begins = [begin for simulation in results.simulations if (begin := moment(simulation.start_time)) is not None]
    if begins:
        origin = min(begins)
        for simulation in results.simulations:
            yield from _Course(results, simulation, origin).told()


def tells_of_calls(table: EventTable) -> bool:
    """Whether there is more to a table than results files without messages, as those of voice runs, tell of."""
    ends = table.of("task_complete")
    told = table.frames.keys() <= {"task_start", "task_complete"} and ends["source"].eq_missing(SOURCE).all()
    return not told


def times_between_messages(table: EventTable) -> bool:
    """Whether calls of the table have the times between messages as theirs, for want of a log."""
    frames = (table.of(kind) for kind in _TIMED)
    return any("source" in frame.columns and bool((frame["source"] == SOURCE).any()) for frame in frames)


class _Timed(NamedTuple):
    """A message with its place in time."""

    message: Mapping[str, Any]
    since: datetime
    """When the one before it was made."""
    until: datetime
    """When it was made; `since` where that is unknown."""
    duration_ms: float | None
    """Between the two; None where it is unknown."""


class _Course:
    """One simulation, followed message by message."""

    def __init__(self, results: ResultsFile, simulation: Simulation, origin: datetime) -> None:
        self._results = results
        self._simulation = simulation
        self._origin = origin
        self._models = {"assistant": results.agent_model, "user": results.user_model}
        self._identity: dict[str, Any] = {
            "run": results.run,
            "sim": simulation.sim or f"{results.run} {results.domain} {simulation.task} {simulation.trial}",
            "domain": results.domain,
            "task": simulation.task,
            "trial": simulation.trial,
            "source": SOURCE,
        }
        self._waiting: dict[str, deque[Mapping[str, Any]]] = {}
        """The last message's calls by their ids, which need not be unique in a simulation, nor in a message."""

    def told(self) -> Iterator[Told]:
        begin = moment(self._simulation.start_time)
        if begin is None:
            return
        yield Told(TaskStartEvent(**self._at(begin, begin), seed=self._simulation.seed))
        steps = 0
        for turn in self._turns(begin):
            yield from self._turn(turn, steps)
            steps += 1
        yield Told(
            TaskCompleteEvent(
                **self._at(begin, begin + timedelta(seconds=self._simulation.duration_s)),
                duration_ms=self._simulation.duration_s * 1000,
                reward=self._simulation.reward,
                termination_reason=self._simulation.termination_reason,
                cost_usd=self._simulation.cost_usd,
                agent_cost_usd=self._simulation.agent_cost_usd,
                user_cost_usd=self._simulation.user_cost_usd,
                steps=steps,
            )
        )

    def _turns(self, begin: datetime) -> Iterator[list[_Timed]]:
        """The messages in turns: what a participant said, and the answers of its tools."""
        turn: list[_Timed] = []
        for timed in self._timed(begin):
            message = timed.message
            if message["role"] in _CALLS:
                if turn:
                    yield turn
                turn = [timed]
            elif turn:
                turn.append(timed)
        if turn:
            yield turn

    def _timed(self, begin: datetime) -> Iterator[_Timed]:
        """What models and tools said in the simulation, at times that never go back.

        A clock that was set back goes on from where it was.
        """
        messages = self._simulation.messages
        before, ahead, known = begin, timedelta(), True
        own = first_own(messages, begin)
        for place, message in enumerate(messages[own:]):
            told = moment(message.get("timestamp"))
            made = before if told is None else told + ahead
            went_back = made < before
            if went_back:
                ahead += before - made
                made = before
            duration_ms = (made - before).total_seconds() * 1000
            timed = known and told is not None and not went_back
            if place > 0 or not is_greeting(message):
                yield _Timed(message, before, made, duration_ms if timed else None)
            before, known = made, told is not None

    def _turn(self, turn: list[_Timed], step: int) -> Iterator[Told]:
        said = turn[0].message
        for message, since, until, duration_ms in turn:
            at = self._at(since, until, timed=duration_ms is not None) | {"step": step}
            if message["role"] in _CALLS:
                yield Told(self._model_call(message, at, duration_ms))
            else:
                yield self._tool_call(message, at, duration_ms)
        begin, end = turn[0].since, turn[-1].until
        timed = all(part.duration_ms is not None for part in turn)
        other = "user" if said["role"] == "assistant" else "agent"
        yield Told(
            StepCompleteEvent(
                **self._at(begin, end, timed=timed) | {"step": step},
                total_duration_ms=(end - begin).total_seconds() * 1000 if timed else None,
                from_role=_ROLES[said["role"]],
                to_role="env" if said.get("tool_calls") else other,
            )
        )

    def _tool_call(self, message: Mapping[str, Any], at: Mapping[str, Any], duration_ms: float | None) -> Told:
        asked = self._waiting.get(message["id"])
        call = asked.popleft() if asked else None
        event = ToolCallEvent(
            **at,
            function=call["name"] if call else None,
            duration_ms=duration_ms,
            error=bool(message.get("error")),
            requestor=message.get("requestor"),
            tool_call_id=message["id"],
            result_size=len((message.get("content") or "").encode("utf-8", "replace")),
        )
        return Told(event, call, message)

    def _model_call(
        self, message: Mapping[str, Any], at: Mapping[str, Any], duration_ms: float | None
    ) -> ExecutionEvent:
        calls = message.get("tool_calls") or []
        self._waiting = {}
        for call in calls:
            self._waiting.setdefault(call["id"], deque()).append(call)
        usage = message.get("usage") or {}
        return _CALLS[message["role"]](
            **at,
            model=self._models[message["role"]],
            duration_ms=duration_ms,
            has_tool_calls=bool(calls),
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            cost_usd=message.get("cost"),
        )

    def _at(self, begin: datetime, end: datetime, *, timed: bool = True) -> dict[str, Any]:
        start_ms = (begin - self._origin).total_seconds() * 1000 if timed else None
        return self._identity | {"timestamp": end, "start_ms": start_ms}
