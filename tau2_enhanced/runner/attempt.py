"""One attempt at a simulation: its models, its environment, and how far it came."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tau2_enhanced import tau2_versions
from tau2_enhanced.domain_names import SUFFIX
from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.logging import TaskContext, current_context
from tau2_enhanced.logging.recording import recording_here
from tau2_enhanced.models.context_window import ContextWindow
from tau2_enhanced.models.cutoff import GivenUp
from tau2_enhanced.models.experts import ExpertTool
from tau2_enhanced.models.failures import ModelCallError
from tau2_enhanced.models.participant import Participant, Used
from tau2_enhanced.models.simulation_models import SimulationModels
from tau2_enhanced.models.stand_in.gold import HEADER
from tau2_enhanced.models.task_time import TaskTime, limited
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.jobs import Job, Outcome, Status
from tau2_enhanced.runner.verdicts import Decision

if TYPE_CHECKING:
    from tau2.data_model.simulation import SimulationRun
    from tau2.data_model.tasks import Task

    from tau2_enhanced.runner.orchestrator import RecordedOrchestrator


class EvaluationFailed(Exception):
    """The conversation is whole, its evaluation is not; carries the conversation and the reason."""

    def __init__(self, simulation: SimulationRun, reason: Exception) -> None:
        super().__init__(str(reason))
        self.simulation = simulation
        self.reason = reason


class Attempt:
    """One attempt at a job, and how far it came."""

    def __init__(self, job: Job, bench: Bench, context: TaskContext) -> None:
        assert context.sim is not None
        self.job = job
        self.bench = bench
        self.context = context
        self.sim = context.sim
        self.task = bench.tasks[job.domain, job.task]
        self.start_ms = bench.clock.ms()
        self.orchestrator: RecordedOrchestrator | None = None
        self.result: Outcome | None = None
        """What it came to, once it has ended by itself."""
        self._started = datetime.now()
        self._conversation: SimulationRun | None = None
        criteria = self.task.evaluation_criteria
        self.models = SimulationModels(
            bench.participants,
            headers=functools.cache(lambda participant: request_headers(job, participant, solo=bench.solo)),
            context=None if bench.context_limit is None else ContextWindow(bench.context_limit, bench.context_strategy),
            expert_tool=ExpertTool(bench.experts) if bench.experts is not None else None,
            assertions=len((criteria.nl_assertions if criteria else None) or ()),
            token_limit=bench.token_limit,
            cost_limit_usd=bench.cost_limit_usd,
            cutoff=bench.cutoff,
        )

    @property
    def continues(self) -> str | None:
        """The simulation whose conversation is evaluated here, where it was held earlier."""
        return None if self.job.unjudged is None else str(self.job.unjudged.simulation["id"])

    @property
    def failure(self) -> ModelCallError | None:
        return self.orchestrator.failure if self.orchestrator is not None else None

    def outcome(self, simulation: SimulationRun, decision: Decision | None) -> Outcome:
        """What it comes to now; without a decision by the simulation's own reward."""
        status = decision.status if decision is not None else Status.VERDICT
        ended_ms = self.bench.clock.ms()
        return Outcome(
            domain=self.job.domain,
            task=self.job.task,
            trial=self.job.trial,
            seed=self.job.seed,
            sim=self.sim,
            status=status,
            reward=float(simulation.reward_info.reward) if status is Status.VERDICT else None,
            termination_reason=simulation.termination_reason.value,
            error_type=decision.error_type if decision is not None else None,
            error=decision.error if decision is not None else None,
            duration_ms=round(ended_ms - self.start_ms, 3),
            ended_ms=round(ended_ms, 3),
            steps=self.orchestrator.turns if self.orchestrator is not None else 0,
            used={role: asdict(account) for role, account in self.models.used.items()},
            loops=dict(self.orchestrator.loops.longest) if self.orchestrator is not None else {},
            simulation=simulation.model_dump(mode="json"),
        )

    def given_up(self) -> Outcome:
        """What it comes to where it is given up while it runs, once the cutoff is reached."""
        whole = self.conversation()
        status = Status.NO_VERDICT if whole is None else Status.UNJUDGED
        decision = Decision(status, GivenUp.error_type, "the run was stopped while it ran")
        return self.outcome(self.broken_off() if whole is None else whole, decision)

    def conversation(self) -> SimulationRun | None:
        """The whole conversation, where there is one by now."""
        from tau2.data_model.simulation import SimulationRun

        if self._conversation is None and self.job.unjudged is not None:
            self._conversation = SimulationRun.model_validate(self.job.unjudged.simulation)
        return self._conversation

    def evaluated(self) -> SimulationRun:
        """The simulation with its reward. Raises EvaluationFailed, or what broke the conversation off."""
        simulation = self.conversation() or self.converse()
        try:
            with current_context().waiting("evaluator"):
                simulation.reward_info = evaluate(simulation, self.task, self.job.domain, self.bench)
        except Exception as reason:  # tau2's evaluator raises what it likes; `decide` tells what it means
            raise EvaluationFailed(simulation, reason) from reason
        return simulation

    def converse(self) -> SimulationRun:
        """Agent and user talk until the simulation ends."""
        from tau2_enhanced.runner.orchestrator import RecordedOrchestrator

        bench, registry = self.bench, self.bench.registry
        agent_model, user_model = bench.participants["agent"].spec, bench.participants["user"].spec
        environment = LoggingEnvironment(
            registry.get_env_constructor(self.job.domain)(**({"solo_mode": True} if bench.solo else {})),
            events=bench.events,
            record_replays=bench.record_replays,
        )
        agent = tau2_versions.make_agent(registry, bench.agent, environment, self.task, agent_model.given)
        user = tau2_versions.make_user(registry, bench.user, environment, self.task, user_model.given)
        self.orchestrator = RecordedOrchestrator(
            domain=self.job.domain,
            agent=agent,
            user=user,
            environment=environment,
            task=self.task,
            max_steps=bench.max_steps,
            max_errors=bench.max_errors,
            seed=self.job.seed,
            solo_mode=bench.solo,
            stop_loops=bench.stop_loops,
        )
        with limited(TaskTime(bench.clock.ms, bench.clock.ms(), bench.wall_limit_s, bench.working_limit_s)):
            simulation = self.orchestrator.run()
        simulation.id = self.sim
        simulation.trial = self.job.trial
        self._conversation = simulation
        return simulation

    def broken_off(self) -> SimulationRun:
        """What there is of a simulation that broke off."""
        from tau2.data_model.simulation import SimulationRun, TerminationReason

        now = datetime.now()
        return SimulationRun(
            id=self.sim,
            task_id=self.job.task,
            start_time=self._started.isoformat(),
            end_time=now.isoformat(),
            duration=(now - self._started).total_seconds(),
            termination_reason=TerminationReason.AGENT_ERROR,
            messages=self.orchestrator.conversation_so_far() if self.orchestrator is not None else [],
            trial=self.job.trial,
            seed=self.job.seed,
        )


def evaluate(simulation: SimulationRun, task: Task, domain: str, bench: Bench) -> Any:
    """tau2's reward. The natural-language assertions are judged where there is a judge."""
    from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation

    judged = "judge" in bench.participants
    # it asks the registry for its environments by the domain's name
    domain = domain + SUFFIX if bench.record_replays else domain
    with recording_here(bench.events, replays=bench.record_replays):
        return evaluate_simulation(
            simulation=simulation,
            task=task,
            evaluation_type=EvaluationType.ALL_WITH_NL_ASSERTIONS if judged else EvaluationType.ALL,
            solo_mode=bench.solo,
            domain=domain,
        )


def request_headers(job: Job, participant: Participant, *, solo: bool = False) -> Mapping[str, str]:
    """The simulation's name, for the stand-in and for servers that the user runs; none for providers."""
    if not participant.spec.runs_here:
        return {}
    role = "solo" if solo and participant.role == "agent" else participant.role
    named = {"domain": job.domain, "task": job.task, "trial": job.trial, "role": role}
    return {HEADER: json.dumps(named if participant.expert is None else {**named, "expert": participant.expert})}


def with_earlier(outcome: Outcome, conversation: Outcome) -> Outcome:
    """A verdict that came later, with what the conversation itself had taken."""
    used = {role: dict(account) for role, account in conversation.used.items()}
    for role, account in outcome.used.items():
        before = used.setdefault(role, asdict(Used()))
        for name, value in account.items():
            before[name] = None if before[name] is None or value is None else before[name] + value
    duration_ms = round(conversation.duration_ms + outcome.duration_ms, 3)
    return replace(
        outcome,
        used=used,
        duration_ms=duration_ms,
        steps=conversation.steps,
        loops=conversation.loops,
        continues=conversation.sim,
    )
