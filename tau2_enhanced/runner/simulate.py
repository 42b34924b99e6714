"""One simulation, from its environment to its verdict. It knows nothing of threads, files or the screen."""

from __future__ import annotations

import functools
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tau2_enhanced import tau2_versions
from tau2_enhanced.domain_registration import SUFFIX
from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.logging import TaskContext, current_context, emit, get_logger, task_context
from tau2_enhanced.logging.events import TaskCompleteEvent, TaskStartEvent
from tau2_enhanced.logging.recording import recording_here
from tau2_enhanced.models.context_window import ContextWindow
from tau2_enhanced.models.experts import ExpertTool
from tau2_enhanced.models.failures import ModelCallError
from tau2_enhanced.models.participant import Participant, Used
from tau2_enhanced.models.simulation_models import SimulationModels
from tau2_enhanced.models.spread import one_server_each
from tau2_enhanced.models.stand_in.gold import HEADER
from tau2_enhanced.models.task_time import TaskTime, limited
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.jobs import Job, Outcome, Status
from tau2_enhanced.runner.verdicts import Decision, decide, not_evaluable

if TYPE_CHECKING:
    from tau2.data_model.simulation import SimulationRun
    from tau2.data_model.tasks import Task

    from tau2_enhanced.runner.orchestrator import RecordedOrchestrator

_logger = get_logger(__name__)


class _EvaluationFailed(Exception):
    """The conversation is whole, its evaluation is not; carries the conversation and the reason."""

    def __init__(self, simulation: SimulationRun, reason: Exception) -> None:
        super().__init__(str(reason))
        self.simulation = simulation
        self.reason = reason


def simulate(job: Job, bench: Bench) -> Outcome:
    """Run one simulation, or only evaluate it where its conversation is there already.

    Whatever goes wrong becomes the outcome's status and reason; nothing is raised but what ends a process.
    """
    context = TaskContext(
        run=bench.run,
        sim=uuid.uuid4().hex[:12],
        domain=job.domain,
        task=job.task,
        trial=job.trial,
        clock=bench.clock,
        last_event_ms=bench.clock.ms(),
        began_ms=bench.clock.ms(),
        thread=threading.current_thread().name,
        thread_id=threading.get_ident(),
    )
    assert context.sim is not None
    bench.running[context.sim] = context
    try:
        with task_context(context), one_server_each():
            return _recorded(job, bench, context.sim)
    finally:
        del bench.running[context.sim]


def _recorded(job: Job, bench: Bench, sim: str) -> Outcome:
    start_ms = bench.clock.ms()
    started = datetime.now()
    emit(TaskStartEvent(seed=job.seed))
    attempt = _Attempt(job, bench, sim)
    criteria = attempt.task.evaluation_criteria
    models = SimulationModels(
        bench.participants,
        headers=functools.cache(lambda participant: request_headers(job, participant, solo=bench.solo)),
        context=None if bench.context_limit is None else ContextWindow(bench.context_limit, bench.context_strategy),
        expert_tool=ExpertTool(bench.experts) if bench.experts is not None else None,
        assertions=len((criteria.nl_assertions if criteria else None) or ()),
        token_limit=bench.token_limit,
        cost_limit_usd=bench.cost_limit_usd,
    )
    decision = None
    try:
        with tau2_versions.answered_by(models):
            simulation = attempt.evaluated()
        if attempt.failure is not None:
            decision = Decision(Status.VERDICT, attempt.failure.error_type, str(attempt.failure))
    except _EvaluationFailed as failed:
        simulation, decision = failed.simulation, _decided(failed.reason, conversation_is_whole=True)
        if decision.status is Status.VERDICT:
            simulation.reward_info = not_evaluable(decision.error)
    except Exception as failure:  # a broken simulation must not end the run
        simulation, decision = attempt.broken_off(started), _decided(failure, conversation_is_whole=False)
    status = decision.status if decision is not None else Status.VERDICT
    if status is Status.VERDICT and job.unjudged is None:
        # tau2 counts the messages alone: an answer that was thrown away cost money too
        simulation.agent_cost, simulation.user_cost = models.cost_usd("agent", "expert"), models.cost_usd("user")
    outcome = Outcome(
        domain=job.domain,
        task=job.task,
        trial=job.trial,
        seed=job.seed,
        sim=sim,
        status=status,
        reward=float(simulation.reward_info.reward) if status is Status.VERDICT else None,
        termination_reason=simulation.termination_reason.value,
        error_type=decision.error_type if decision is not None else None,
        error=decision.error if decision is not None else None,
        duration_ms=round(bench.clock.ms() - start_ms, 3),
        ended_ms=round(bench.clock.ms(), 3),
        steps=attempt.turns,
        used={role: asdict(account) for role, account in models.used.items()},
        loops=attempt.loops,
        simulation=simulation.model_dump(mode="json"),
    )
    _log_outcome(outcome, start_ms)
    return outcome if job.unjudged is None else _with_earlier(outcome, job.unjudged)


def _with_earlier(outcome: Outcome, conversation: Outcome) -> Outcome:
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


class _Attempt:
    """One attempt at a job, and how far it came."""

    def __init__(self, job: Job, bench: Bench, sim: str) -> None:
        self.job = job
        self.bench = bench
        self.sim = sim
        self.task = bench.tasks[job.domain, job.task]
        self.orchestrator: RecordedOrchestrator | None = None

    @property
    def failure(self) -> ModelCallError | None:
        return self.orchestrator.failure if self.orchestrator is not None else None

    @property
    def turns(self) -> int:
        return self.orchestrator.turns if self.orchestrator is not None else 0

    @property
    def loops(self) -> dict[str, int]:
        return self.orchestrator.loops.longest if self.orchestrator is not None else {}

    def evaluated(self) -> SimulationRun:
        """The simulation with its reward. Raises _EvaluationFailed, or what broke the conversation off."""
        from tau2.data_model.simulation import SimulationRun

        if self.job.unjudged is not None:
            simulation = SimulationRun.model_validate(self.job.unjudged.simulation)
        else:
            simulation = self.converse()
        try:
            with current_context().waiting("evaluator"):
                simulation.reward_info = evaluate(simulation, self.task, self.job.domain, self.bench)
        except Exception as reason:  # tau2's evaluator raises what it likes; `decide` tells what it means
            raise _EvaluationFailed(simulation, reason) from reason
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
        return simulation

    def broken_off(self, started: datetime) -> SimulationRun:
        """What there is of a simulation that broke off."""
        from tau2.data_model.simulation import SimulationRun, TerminationReason

        now = datetime.now()
        return SimulationRun(
            id=self.sim,
            task_id=self.job.task,
            start_time=started.isoformat(),
            end_time=now.isoformat(),
            duration=(now - started).total_seconds(),
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


def _decided(failure: Exception, *, conversation_is_whole: bool) -> Decision:
    decision = decide(failure, conversation_is_whole=conversation_is_whole)
    if not isinstance(failure, ModelCallError):
        _logger.error("%s: %s", decision.error_type, failure, exc_info=failure)
    return decision


def _log_outcome(outcome: Outcome, start_ms: float) -> None:
    emit(
        TaskCompleteEvent(
            start_ms=start_ms,
            reward=outcome.reward,
            termination_reason=outcome.termination_reason,
            duration_ms=outcome.duration_ms,
            cost_usd=outcome.cost_usd(),
            agent_cost_usd=outcome.cost_usd("agent"),
            user_cost_usd=outcome.cost_usd("user"),
            expert_cost_usd=outcome.cost_usd("expert") if "expert" in outcome.used else None,
            judge_cost_usd=outcome.cost_usd("judge") if "judge" in outcome.used else None,
            steps=outcome.steps,
            error_type=outcome.error_type,
        )
    )
    if outcome.status is not Status.VERDICT:
        _logger.error("no verdict (%s): %s", outcome.error_type, outcome.error)
