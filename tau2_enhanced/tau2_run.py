"""tau2's own `run`, recorded: tau2 plans, runs, evaluates and saves, and is only watched.

Inside `recorded`, each batch of simulations of an enhanced domain has a file of events beside its results, with
what tau2 itself does not say: which simulation, task and trial an event belongs to.
"""

from __future__ import annotations

import functools
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tau2_enhanced import tau2_versions
from tau2_enhanced.domain_names import is_enhanced, plain_domain
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import Clock, TaskContext, current_context, emit, task_context
from tau2_enhanced.logging.event_stream import EventStream, recording
from tau2_enhanced.logging.events import RunCompleteEvent, RunStartEvent, TaskCompleteEvent, TaskStartEvent
from tau2_enhanced.logging.execution_logger import ExecutionLogger
from tau2_enhanced.models.participant import EVENT_OF_ROLE, total

if TYPE_CHECKING:
    from tau2.data_model.message import AssistantMessage
    from tau2.data_model.simulation import Results, SimulationRun


def events_file(results: Path) -> Path:
    """Where the events of a results file are: beside it, `NAME_events.jsonl` for `NAME.json`."""
    return results.with_name(f"{results.stem}_events.jsonl")


@contextmanager
def recorded(*, redact: bool = False, record_replays: bool = False) -> Iterator[list[Path]]:
    """Inside the block, tau2's runs of enhanced domains are recorded; the files that were written, so far."""
    from tau2_enhanced.runner.orchestrator import RecordedOrchestrator

    files: list[Path] = []

    def watched(run_tasks: tau2_versions.RunTasks) -> tau2_versions.RunTasks:
        def recorded_tasks(*args: Any, **options: Any) -> Results:
            save_to = options.get("save_to")
            if args or save_to is None or not is_enhanced(str(options.get("domain"))):
                return run_tasks(*args, **options)
            path = events_file(Path(save_to))
            try:
                logger = ExecutionLogger(path, auto_flush=False, redact=redact, max_events=0)
            except (OSError, ValueError) as error:
                raise UserMistake(f"events can't be recorded: {error}") from None
            files.append(path)
            with recording(EventStream(logger), record_replays=record_replays):
                return _Batch(options).run(run_tasks)

        return recorded_tasks

    with tau2_versions.around_run_tasks(watched, RecordedOrchestrator), tau2_versions.around_generate(_timed):
        yield files


class _Batch:
    """One call of tau2's `run_tasks`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._domain = plain_domain(str(options["domain"]))
        self._run = Path(options["save_to"]).stem
        self._clock = Clock()
        self._trials = tau2_versions.trials_by_seed(options.get("seed", 300), options.get("num_trials", 1))
        self._lock = threading.Lock()
        self._begun: dict[tuple[str, int | None], int] = defaultdict(int)
        """How often a task was begun with a seed."""

    def run(self, run_tasks: tau2_versions.RunTasks) -> Results:
        """What tau2's own gives; each of its simulations in a context that says which it is."""
        options = self._options
        planned = len(options["tasks"]) * options.get("num_trials", 1)
        with task_context(TaskContext(run=self._run, clock=self._clock)):
            emit(
                RunStartEvent(
                    agent_model=options.get("llm_agent"),
                    user_model=options.get("llm_user"),
                    planned=planned,
                    max_concurrency=options.get("max_concurrency", 1),
                    tau2_version=tau2_versions.version(),
                )
            )
            with tau2_versions.around_run_task(lambda run_task: functools.partial(self._run_task, run_task)):
                results = run_tasks(**options)
            cost_usd: float | None = 0.0
            for simulation in results.simulations:
                cost_usd = total(cost_usd, _cost_usd(simulation))
            emit(
                RunCompleteEvent(
                    duration_ms=self._clock.ms(),
                    planned=planned,
                    finished=len(results.simulations),
                    cost_usd=cost_usd,
                    exit_code=0,
                )
            )
        return results

    def _run_task(self, run_task: tau2_versions.RunTask, *args: Any, **options: Any) -> SimulationRun:
        task, seed = options["task"], options.get("seed")
        context = TaskContext(
            run=self._run,
            sim=str(uuid.uuid4()),
            domain=self._domain,
            task=task.id,
            trial=self._trial(task.id, seed),
            clock=self._clock,
        )
        start_ms = self._clock.ms()
        with task_context(context):
            emit(TaskStartEvent(seed=seed))
            try:
                simulation = run_task(*args, **options)
            except Exception as error:  # whatever ends it is tau2's to deal with; here it is only recorded
                took_ms = self._clock.ms() - start_ms
                emit(TaskCompleteEvent(start_ms=start_ms, duration_ms=took_ms, error_type=type(error).__name__))
                raise
            # results and events then speak of one simulation
            simulation.id = context.sim
            emit(
                TaskCompleteEvent(
                    start_ms=start_ms,
                    duration_ms=self._clock.ms() - start_ms,
                    reward=simulation.reward_info.reward if simulation.reward_info is not None else None,
                    termination_reason=simulation.termination_reason.value,
                    cost_usd=_cost_usd(simulation),
                    agent_cost_usd=_known(simulation.agent_cost),
                    user_cost_usd=_known(simulation.user_cost),
                    steps=None if context.step is None else context.step + 1,
                )
            )
        return simulation

    def _trial(self, task: str, seed: int | None) -> int | None:
        """tau2 tells a simulation its trial when it is over; its seed tells it before."""
        trials = self._trials.get(seed, ())
        with self._lock:
            number = self._begun[task, seed]
            self._begun[task, seed] += 1
        return trials[min(number, len(trials) - 1)] if trials else None


def _cost_usd(simulation: SimulationRun) -> float | None:
    """What agent and user cost together; None where either's price is unknown. tau2's run asks no judge."""
    return total(_known(simulation.agent_cost), _known(simulation.user_cost))


def _known(cost: float | None) -> float | None:
    """tau2 says 0 for a price it does not know."""
    return cost or None


def _timed(role: str, generate: tau2_versions.Generate) -> tau2_versions.Generate:
    """tau2's call of a model, emitted as an event: its time has tau2's and litellm's own retries in it."""

    def timed(model: str, *args: Any, **options: Any) -> AssistantMessage:
        context = current_context()
        if context.sim is None:
            return generate(model, *args, **options)
        event = EVENT_OF_ROLE[role](model=model, call_type=model.partition("/")[0] if "/" in model else None)
        start_ms = context.clock.ms()
        try:
            with context.waiting(f"{role} {model}"):
                message = generate(model, *args, **options)
        except Exception as error:  # as above
            event.error_type = type(error).__name__
            raise
        else:
            event.has_tool_calls = bool(message.tool_calls)
            event.input_tokens = (message.usage or {}).get("prompt_tokens")
            event.output_tokens = (message.usage or {}).get("completion_tokens")
            event.cost_usd = _known(message.cost)
        finally:
            event.duration_ms = context.clock.ms() - start_ms
            emit(event)
        return message

    return timed
