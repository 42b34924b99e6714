"""What is recorded of one environment: its tool calls, and what they did to its databases.

The thread that calls a tool only looks at what was touched, before and after; a `Call` carries that to the
writer, where it becomes events.
"""

from __future__ import annotations

import functools
import inspect
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tau2_enhanced.environments.base_state import Look
from tau2_enhanced.environments.database_state import DatabaseState
from tau2_enhanced.logging import TaskContext, current_context, task_context
from tau2_enhanced.logging.diff import Change
from tau2_enhanced.logging.events import StateSnapshotEvent
from tau2_enhanced.logging.signatures import Parameters, parameters_of
from tau2_enhanced.logging.state_hash import state_hash
from tau2_enhanced.logging.validation import validation_errors

if TYPE_CHECKING:
    from tau2.environment.environment import Environment

    from tau2_enhanced.logging.execution_logger import ExecutionLogger
    from tau2_enhanced.logging.recording import EventSink
    from tau2_enhanced.logging.state_tracker import StateTracker

_TOOLKITS = {"database": "tools", "user_database": "user_tools"}
"""By `state_type`: which toolkit of an environment works on that database."""

Looks = Mapping[str, Look]
"""By `state_type`."""


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A tool call that was made."""

    tool: str
    requestor: str
    """Who called: assistant or user."""
    id: str
    """Unique within the simulation, which a message's need not be."""
    arguments: str
    """Their JSON."""
    start_ms: float
    duration_ms: float
    phase: str = "live"


@dataclass(frozen=True, slots=True)
class Result:
    """How a tool call ended."""

    text: str | None
    """What the participant was told."""
    kind: str
    """The Python type of what the tool returned."""
    raised: BaseException | None = None
    failed: bool = False

    @property
    def error(self) -> str | None:
        """What was wrong, in words."""
        if not self.failed:
            return None
        return str(self.raised) if self.raised is not None else self.text or ""

    @property
    def error_type(self) -> str | None:
        """The class of what was raised: where nothing was, the call did not fit the method's own parameters."""
        return type(self.raised or TypeError()).__name__ if self.failed else None

    @property
    def value(self) -> Any:
        """What the tool returned, from what tau2 made of it: a text is itself, anything else is JSON."""
        if self.text is None or self.kind == "str":
            return self.text
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text


class EnvironmentRecorder:
    """Records one environment to a sink, and its states to a tracker where there is one."""

    def __init__(self, environment: Environment, sink: EventSink, tracker: StateTracker | None = None) -> None:
        self._environment = environment
        self._sink = sink
        self._tracker = tracker
        self._sim = secrets.token_hex(6)
        """The simulation's id, where the context names no simulation."""
        self._databases: dict[str, DatabaseState] | None = None
        self._last: Looks | None = None
        self._start: tuple[_Moment, Looks] | None = None

    def look(self) -> Looks:
        """The databases as they are now."""
        if self._databases is None:
            toolkits = {kind: getattr(self._environment, name, None) for kind, name in _TOOLKITS.items()}
            self._databases = {
                kind: DatabaseState(toolkit)
                for kind, toolkit in toolkits.items()
                if toolkit is not None and getattr(toolkit, "db", None) is not None
            }
        return {kind: database.look() for kind, database in self._databases.items()}

    def prepared(self) -> None:
        """Say that the state is the one from which a simulation starts, if one does."""
        self._start = (self._moment(), self.look())

    def before(self) -> Looks:
        """Look at the databases before a live call."""
        looks = self.look()
        if self._last is None:
            moment, start = self._start or (self._moment(), looks)
            self._put_snapshot("start", moment, start)
        return looks

    def called(self, made: MadeCall, result: Result, before: Looks | None = None) -> None:
        """Record a tool call. Without `before`, its effect on the databases is not recorded."""
        after = self.look() if before is not None else None
        call = _Call(
            moment=self._moment(made.start_ms),
            made=made,
            parameters=self._parameters(made),
            result=result,
            validation=validation_errors(result.raised or result.text) if result.failed else [],
            states=None if before is None or after is None else self._states(before, after),
        )
        self._sink.put(call.log, call.moment.context.domain)

    def flush(self) -> None:
        """Return when everything recorded so far has been logged, and the tracker has its snapshots."""
        self._sink.flush()

    def snapshot(self, trigger: str) -> None:
        """Record a snapshot that belongs to no tool call."""
        self._put_snapshot(trigger, self._moment(), self.before())

    def _put_snapshot(self, trigger: str, moment: _Moment, looks: Looks) -> None:
        previous, self._last = self._last, looks
        databases, tracker = self._databases or {}, self._tracker

        def log(logger: ExecutionLogger) -> None:
            with task_context(moment.context):
                _log_snapshot(logger, moment.fields, databases, tracker, trigger, looks, previous)

        self._sink.put(log, moment.context.domain)

    def _states(self, before: Looks, after: Looks) -> _States:
        previous, self._last = self._last, after
        return _States(self._databases or {}, self._tracker, previous, before, after)

    def _moment(self, start_ms: float | None = None) -> _Moment:
        context = replace(current_context())
        context.domain = context.domain or self._environment.domain_name
        if context.sim is None and context.task is None:
            context.sim = self._sim
        start_ms = context.clock.ms() if start_ms is None else start_ms
        return _Moment(context, datetime.now(), threading.current_thread().name, start_ms)

    def _parameters(self, made: MadeCall) -> Parameters | None:
        of_agent, of_user = self._environment.tools, self._environment.user_tools
        toolkit = of_user if made.requestor == "user" else of_agent
        if self._environment.solo_mode and of_user is not None and of_user.has_tool(made.tool):
            toolkit = of_user
        return None if toolkit is None else _parameters_of(type(toolkit), made.tool)  # type: ignore[arg-type]  # a class can be hashed


@functools.lru_cache(maxsize=4096)
def _parameters_of(toolkit_class: type, tool: str) -> Parameters | None:
    """The parameters of a tool, from the method that tau2 calls; None where there is no such tool."""
    method = getattr(toolkit_class, tool, None)
    return parameters_of(inspect.signature(method)) if callable(method) and hasattr(method, "__tool__") else None


@dataclass(frozen=True, slots=True)
class _Moment:
    context: TaskContext
    timestamp: datetime
    thread: str
    start_ms: float

    @property
    def fields(self) -> dict[str, Any]:
        return {"timestamp": self.timestamp, "thread": self.thread, "start_ms": self.start_ms}


@dataclass(frozen=True, slots=True)
class _States:
    databases: Mapping[str, DatabaseState]
    tracker: StateTracker | None
    previous: Looks | None
    before: Looks
    after: Looks


@dataclass(frozen=True, slots=True)
class _Call:
    """A tool call on its way to the writer."""

    moment: _Moment
    made: MadeCall
    parameters: Parameters | None
    result: Result
    validation: list[str]
    states: _States | None

    def log(self, logger: ExecutionLogger) -> None:
        """Work out the events, and log them: a snapshot, the call, what it changed, a snapshot."""
        with task_context(self.moment.context):
            states = self.states
            changes = {}
            if states is not None:
                self._snapshot(logger, states, "before", states.before, states.previous)
                changes = {
                    kind: found
                    for kind, database in states.databases.items()
                    if (found := database.base.changes(states.before[kind], states.after[kind]))
                }
            self._log_call(logger, None if states is None else bool(changes))
            if states is not None:
                for kind, found in changes.items():
                    self._log_change(logger, states, kind, found)
                self._snapshot(logger, states, "error" if self.result.failed else "after", states.after, states.before)

    def _log_call(self, logger: ExecutionLogger, changed: bool | None) -> None:
        made, result = self.made, self.result
        tool = made.tool
        told = {} if result.failed else {"result": result.value, "result_type": result.kind}
        logger.log_tool_execution(
            tool,
            not result.failed,
            made.duration_ms / 1000,
            json.loads(made.arguments),
            error=result.error,
            error_type=result.error_type,
            signature=self.parameters,
            validation_errors=self.validation,
            requestor=made.requestor,
            state_changed=changed,
            source=f"tool:{tool}",
            **told,
            **self._fields,
        )

    def _log_change(self, logger: ExecutionLogger, states: _States, kind: str, found: list[Change]) -> None:
        base = states.databases[kind].base
        logger.log_state_change(
            self.made.tool,
            changes=found,
            state_type=kind,
            pre_state_hash=base.hash_of(states.before[kind]),
            post_state_hash=base.hash_of(states.after[kind]),
            **self._fields,
        )

    def _snapshot(
        self, logger: ExecutionLogger, states: _States, when: str, looks: Looks, previous: Looks | None
    ) -> None:
        trigger = f"{when}_{self.made.tool}"
        _log_snapshot(logger, self._fields, states.databases, states.tracker, trigger, looks, previous)

    @property
    def _fields(self) -> dict[str, Any]:
        return {**self.moment.fields, "tool_call_id": self.made.id, "phase": self.made.phase}


def _log_snapshot(
    logger: ExecutionLogger,
    fields: Mapping[str, Any],
    databases: Mapping[str, DatabaseState],
    tracker: StateTracker | None,
    trigger: str,
    looks: Looks,
    previous: Looks | None,
) -> None:
    hashes = {kind: database.base.hash_of(looks[kind]) for kind, database in databases.items()}
    whole = state_hash(hashes)
    changed = None if previous is None else looks != previous
    # what did not change is neither written nor kept again
    wanted = changed is not False or tracker is not None
    differing = {kind: database.base.differing(looks[kind]) for kind, database in databases.items()} if wanted else {}
    logger.log_event(
        StateSnapshotEvent(
            action_trigger=trigger,
            state_hash=whole,
            changed=changed,
            state_data=differing if changed is not False else None,
            **fields,
        )
    )
    if tracker is not None and tracker.auto_snapshot:
        tracker.create_snapshot(differing, trigger, {"hashes": hashes}, known_hash=whole)
