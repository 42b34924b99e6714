"""tau2's orchestrator, whose steps are recorded and whom a model's failure ends instead of breaking it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NamedTuple

from tau2.data_model.simulation import TerminationReason
from tau2.orchestrator.orchestrator import Orchestrator, Role

from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.logging import current_context, emit
from tau2_enhanced.logging.events import StepCompleteEvent
from tau2_enhanced.models.failures import ModelFailure
from tau2_enhanced.runner.loops import LoopWatch
from tau2_enhanced.runner.verdicts import model_failure_reason


class _Turn(NamedTuple):
    """A step that is under way."""

    taker: str
    start_ms: float
    called_ms: float
    """What the simulation's calls had taken before it."""


class RecordedOrchestrator(Orchestrator):  # type: ignore[misc]  # tau2 ships no types
    """A step, as it is recorded, is one participant's turn: its model call and the tool calls it made.

    `max_steps` keeps tau2's own count, in which tool calls are steps of their own.
    """

    def __init__(self, *args: Any, stop_loops: int | None = None, **kwargs: Any) -> None:
        """As tau2's; `stop_loops` is how many times in a row the same tool call ends the simulation."""
        super().__init__(*args, **kwargs)
        self.loops = LoopWatch(stop_loops)
        self.failure: ModelFailure | None = None
        self.turns = 0
        self._turn: _Turn | None = None

    def run(self) -> Any:
        """tau2's own; a watched environment is told of the end."""
        watched = type(self.environment) is LoggingEnvironment
        with self.environment.to_its_end() if watched else nullcontext():
            return super().run()

    def initialize(self) -> None:
        """An agent without a user speaks here already, where the task has no history."""
        history = self.task.initial_state is not None and self.task.initial_state.message_history
        if not self.solo_mode or history:
            super().initialize()
            return
        self._begin_turn(Role.AGENT.value)
        try:
            super().initialize()
        except ModelFailure as failure:
            self.from_role, self.to_role = Role.USER, Role.AGENT
            self._fail(failure, Role.AGENT)
            return
        if self.to_role is not Role.ENV:
            self._end_turn(self.to_role.value)

    def step(self) -> None:
        taker: Role = self.to_role
        if taker is not Role.ENV:
            self._begin_turn(taker.value)
        elif self._turn is None:
            # the task's own history ends with a tool call
            self._begin_turn(self.from_role.value)
        asked, asker = self.message, self.from_role
        try:
            super().step()
            if taker is Role.ENV:
                self.loops.look(asked.tool_calls, getattr(self.message, "tool_messages", [self.message]))
        except ModelFailure as failure:
            self._fail(failure, asker if taker is Role.ENV else taker)
            return
        if taker is Role.ENV:
            self._end_turn(Role.ENV.value)
        elif self.to_role is not Role.ENV:
            self._end_turn(self.to_role.value)

    def _fail(self, failure: ModelFailure, taker: Role) -> None:
        self.failure = failure
        self.done = True
        self.termination_reason = TerminationReason(model_failure_reason(taker.value))
        self._end_turn(None)

    def get_trajectory(self) -> list[Any]:
        """tau2's: the messages in the order of their times, numbered. Nobody changes what they hold any more, so it
        is not copied (tau2 does it twice)."""
        in_order = sorted(self.trajectory, key=lambda message: message.timestamp)
        return [message.model_copy(update={"turn_idx": index}) for index, message in enumerate(in_order)]

    def conversation_so_far(self) -> list[Any]:
        """The messages exchanged, also of a simulation that broke off."""
        return list(self.get_trajectory()) if self.trajectory else []

    def _begin_turn(self, taker: str) -> None:
        context = current_context()
        context.step = self.turns
        self._turn = _Turn(taker, context.clock.ms(), context.called_ms)

    def _end_turn(self, addressed: str | None) -> None:
        if self._turn is None:
            return
        taker, start_ms, called_ms = self._turn
        context = current_context()
        total_ms = context.clock.ms() - start_ms
        emit(
            StepCompleteEvent(
                start_ms=start_ms,
                total_duration_ms=total_ms,
                from_role=taker,
                to_role=addressed,
                framework_ms=total_ms - (context.called_ms - called_ms),
            )
        )
        self._turn = None
        self.turns += 1
