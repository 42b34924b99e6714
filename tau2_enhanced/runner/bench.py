"""What the simulations of a run work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import Clock, TaskContext
from tau2_enhanced.models.cutoff import Cutoff
from tau2_enhanced.models.experts import Experts
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.runner.backends import Backends
from tau2_enhanced.runner.prepare import PreparedRun

if TYPE_CHECKING:
    from tau2.data_model.tasks import Task
    from tau2.registry import Registry

    from tau2_enhanced.logging.recording import EventSink
    from tau2_enhanced.runner.attempt import Attempt


@dataclass(frozen=True)
class Bench:
    """What all simulations of a run share."""

    run: str
    registry: Registry
    tasks: Mapping[tuple[str, str], Task]
    """By domain and task id."""
    participants: Mapping[str, Participant]
    """By role: agent, user and, where one is wanted, judge."""
    max_steps: int
    max_errors: int
    agent: str = tau2_versions.AGENT
    user: str = tau2_versions.USER
    """As tau2's registry names them."""
    experts: Experts | None = None
    """Those that the agent may let take its turn."""
    context_limit: int | None = None
    """Tokens of a prompt to which the agent's conversation is cut; None where it is not."""
    context_strategy: str = "none"
    token_limit: int | None = None
    cost_limit_usd: float | None = None
    stop_loops: int | None = None
    """How many times in a row the same tool call ends a simulation."""
    wall_limit_s: float | None = None
    working_limit_s: float | None = None
    events: EventSink | None = None
    """Where tool calls are recorded with all that can be said of them, and the databases' states."""
    record_replays: bool = False
    """Whether what the evaluator plays is recorded there too."""
    clock: Clock = field(default_factory=Clock)
    running: dict[str, TaskContext] = field(default_factory=dict)
    """The simulations running at this moment, by their id."""
    attempts: dict[int, Attempt] = field(default_factory=dict)
    """By worker's thread its last one, which stays until the next begins: what it came to may not be handed in yet."""
    cutoff: Cutoff = field(default_factory=Cutoff)
    """When all of them are given up."""

    @classmethod
    def of(
        cls,
        prepared: PreparedRun,
        backends: Backends,
        *,
        run: str,
        events: EventSink | None,
        clock: Clock,
    ) -> Bench:
        """The bench of a run in which these backends answer."""
        options = prepared.options
        return cls(
            run=run,
            registry=prepared.registry,
            tasks=prepared.plan.tasks,
            participants=backends.participants,
            max_steps=options.max_steps,
            max_errors=options.max_errors,
            agent=prepared.agent,
            user=prepared.user,
            experts=backends.experts,
            context_limit=options.context_limit,
            context_strategy=options.context_strategy,
            token_limit=options.task_token_limit,
            cost_limit_usd=options.task_cost_limit,
            stop_loops=options.stop_loops,
            wall_limit_s=options.task_timeout,
            working_limit_s=options.task_working_timeout,
            events=events,
            record_replays=options.record_replays,
            clock=clock,
        )

    @property
    def solo(self) -> bool:
        """Whether the agent works alone, without a user to talk to."""
        return tau2_versions.plays_solo(self.registry, self.agent)
