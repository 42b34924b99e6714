"""One simulation, from its environment to its verdict. It knows nothing of threads, files or the screen."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import TaskContext, emit, get_logger, task_context
from tau2_enhanced.logging.events import TaskCompleteEvent, TaskStartEvent
from tau2_enhanced.models.failures import ModelCallError
from tau2_enhanced.models.spread import one_server_each
from tau2_enhanced.runner.attempt import Attempt, EvaluationFailed, with_earlier
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.jobs import Job, Outcome, Status
from tau2_enhanced.runner.verdicts import Decision, decide, not_evaluable

_logger = get_logger(__name__)


def simulate(job: Job, bench: Bench) -> Outcome:
    """Run one simulation, or only evaluate it where its conversation is there already.

    Whatever goes wrong becomes the outcome's status and reason; nothing is raised but what ends a process, and GivenUp.
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
            attempt = bench.attempts[threading.get_ident()] = Attempt(job, bench, context)
            return _recorded(attempt)
    finally:
        del bench.running[context.sim]


def give_up(jobs: Sequence[Job], bench: Bench) -> list[Outcome]:
    """What simulations come to that are given up while they run: no verdict, and what each has used so far.

    One that ended by itself in that moment keeps its own outcome. From here on nobody on this bench asks a model.
    """
    bench.cutoff.reach()
    begun = {attempt.job.key: attempt for attempt in list(bench.attempts.values())}
    attempts = [begun[job.key] for job in jobs if job.key in begun]
    return [attempt.result or _given_up(attempt) for attempt in attempts]


def _given_up(attempt: Attempt) -> Outcome:
    outcome = attempt.given_up()
    with task_context(attempt.context):
        _emit_end(outcome, attempt)
    return _whole(outcome, attempt.job)


def _recorded(attempt: Attempt) -> Outcome:
    emit(TaskStartEvent(seed=attempt.job.seed))
    job, models = attempt.job, attempt.models
    decision = None
    try:
        with tau2_versions.answered_by(models):
            simulation = attempt.evaluated()
        if attempt.failure is not None:
            decision = Decision(Status.VERDICT, attempt.failure.error_type, str(attempt.failure))
    except EvaluationFailed as failed:
        simulation, decision = failed.simulation, _decided(failed.reason, conversation_is_whole=True)
        if decision.status is Status.VERDICT:
            simulation.reward_info = not_evaluable(decision.error)
    except Exception as failure:  # a broken simulation must not end the run
        simulation, decision = attempt.broken_off(), _decided(failure, conversation_is_whole=False)
    if (decision is None or decision.status is Status.VERDICT) and job.unjudged is None:
        # tau2 counts the messages alone: an answer that was thrown away cost money too
        simulation.agent_cost, simulation.user_cost = models.cost_usd("agent", "expert"), models.cost_usd("user")
    outcome = attempt.outcome(simulation, decision)
    with attempt.bench.cutoff:
        attempt.result = _whole(outcome, job)
        _emit_end(outcome, attempt)
    if outcome.status is not Status.VERDICT:
        _logger.error("no verdict (%s): %s", outcome.error_type, outcome.error)
    return attempt.result


def _whole(outcome: Outcome, job: Job) -> Outcome:
    return outcome if job.unjudged is None else with_earlier(outcome, job.unjudged)


def _decided(failure: Exception, *, conversation_is_whole: bool) -> Decision:
    decision = decide(failure, conversation_is_whole=conversation_is_whole)
    if not isinstance(failure, ModelCallError):
        _logger.error("%s: %s", decision.error_type, failure, exc_info=failure)
    return decision


def _emit_end(outcome: Outcome, attempt: Attempt) -> None:
    emit(
        TaskCompleteEvent(
            start_ms=attempt.start_ms,
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
            continues=attempt.continues,
        )
    )
