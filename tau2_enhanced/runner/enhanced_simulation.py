"""A run from Python: the pool, the models and the simulations of `run_local.py`, without its screen and its signals."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from tau2_enhanced import tau2_versions
from tau2_enhanced.domain_names import plain_domain
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import Clock, TaskContext, task_context
from tau2_enhanced.logging.bridge import quiet_tau2
from tau2_enhanced.logging.emitting import listening
from tau2_enhanced.logging.event_stream import EventStream
from tau2_enhanced.logging.events import ExecutionEvent, ToolCallEvent
from tau2_enhanced.logging.execution_logger import ExecutionLogger
from tau2_enhanced.logging.redaction import protect_environment
from tau2_enhanced.models.replay import Recording
from tau2_enhanced.models.resolve import GOLD
from tau2_enhanced.models.stand_in.plays import plays_of
from tau2_enhanced.models.stand_in.process import StandInProcess
from tau2_enhanced.runner.backends import connect
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.display import NoDisplay, make_display
from tau2_enhanced.runner.enhanced_files import EnhancedFiles
from tau2_enhanced.runner.enhanced_run import EnhancedRun, Paths
from tau2_enhanced.runner.folder import new_run_id
from tau2_enhanced.runner.open_files import make_room
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.plan import Plan, load_tasks, plan_of
from tau2_enhanced.runner.prepare import PreparedRun, prepare, resolve_models
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.replay_plan import following, make_replay_plan

if TYPE_CHECKING:
    from tau2.data_model.simulation import Results
    from tau2.data_model.tasks import Task
    from tau2.registry import Registry


class Limits(TypedDict, total=False):
    """What else a run can be told, by the names and in the units of `run_local.py`'s flags."""

    llm_timeout: float
    llm_retries: int
    task_timeout: float
    task_working_timeout: float
    task_token_limit: int
    task_cost_limit: float
    max_cost: float
    prices: list[str]
    stream: bool
    experts: list[str]
    context_limit: int
    context_strategy: str
    stop_loops: int


def run_enhanced_simulation(
    domain: str,
    tasks: Sequence[Task] | None = None,
    agent: str = tau2_versions.AGENT,
    user: str | None = None,
    llm_agent: str = GOLD,
    llm_user: str | None = None,
    num_trials: int = 1,
    save_dir: Path | str = "enhanced_logs",
    *,
    llm_judge: str | None = None,
    llm_args_agent: Mapping[str, Any] | None = None,
    llm_args_user: Mapping[str, Any] | None = None,
    llm_args_judge: Mapping[str, Any] | None = None,
    max_steps: int = 200,
    max_errors: int = 10,
    max_concurrency: int = 10,
    seed: int = 300,
    record_replays: bool = False,
    redact: bool = False,
    show_progress: bool = False,
    **limits: Unpack[Limits],
) -> tuple[Results, Paths]:
    """Run tasks of a domain, record all that happens, and give tau2's results with the paths of two files.

    `domain` is one of tau2's, plain or `_enhanced`; without `tasks` its base tasks are run. `agent` and `user` are
    names in tau2's registry; an agent that is solo goes with `dummy_user`. Models are named as for `run_local.py`:
    `gold`, `replay:RESULTS.json` (which decides on trials and limits), `PROVIDER/NAME`; `llm_args_…` are sent with
    every call, but for `base_url` and `api_key`, which say where it goes.

    `save_dir` gets `enhanced_results_TIMESTAMP.json`, tau2's results, and
    `enhanced_results_TIMESTAMP_enhanced_logs.json` with `timestamp`, `execution_events`, `state_snapshots` and
    `summary`. While it runs both are kept as lines, in `….record.jsonl` and `…_enhanced_logs.jsonl`: a killed run
    leaves all it has finished. A simulation that broke off for want of a server is in the results, without a verdict.

    `record_replays` records what the evaluator plays too, with its `phase`; `redact` replaces sensitive data in
    events; `show_progress` shows progress on stderr, and otherwise nothing is printed. Safe to be called from several
    threads. Raises UserMistake for what can't be used, before anything is written, and RunStopped where a server
    refuses the key or `max_cost` is reached.
    """
    if unknown := limits.keys() - Limits.__annotations__.keys():
        raise TypeError(f"run_enhanced_simulation() got an unexpected keyword argument {min(unknown)!r}")
    options = RunOptions(
        domains=[domain],
        num_trials=num_trials,
        agent_model=llm_agent,
        user_model=llm_user,
        judge_model=llm_judge,
        agent_args=dict(llm_args_agent or {}),
        user_args=dict(llm_args_user or {}),
        judge_args=dict(llm_args_judge or {}),
        max_steps=max_steps,
        max_errors=max_errors,
        max_concurrency=max_concurrency,
        seed=seed,
        enhanced=True,
        record_replays=record_replays,
        redact=redact,
        **limits,
    )
    options.check()
    with ExitStack() as closing:
        closing.enter_context(quiet_tau2())
        registry = tau2_versions.load()
        protect_environment()
        user = tau2_versions.user_beside(registry, agent, user)
        if user == tau2_versions.SOLO_USER and llm_user is None:
            # nobody asks its model
            options = replace(options, user_model=llm_agent, user_args=options.agent_args)
        models = resolve_models(options)
        options, plan = _planned(options, registry, agent, tasks, list(models.recordings.values()))
        prepared = prepare(options, models, registry, plan, prices=options.prices, agent=agent, user=user)
        backends = connect(prepared, _gold_server(prepared, closing), closing)
        make_room(prepared.at_once, len(backends.limits))
        files = EnhancedFiles.reserved(Path(save_dir))
        run_id, clock = new_run_id(), Clock()
        stream = _event_stream(files, run_id, redact, closing)
        closing.enter_context(task_context(TaskContext(run=run_id, clock=clock)))
        bench = Bench.of(prepared, backends, run=run_id, events=stream, clock=clock)
        display = make_display(None, sys.stderr) if show_progress else NoDisplay()
        record = Record(files.record)
        closing.callback(record.close)
        return EnhancedRun(prepared, bench, stream, files, record).whole(display, backends.limits)


def _planned(
    options: RunOptions,
    registry: Registry,
    agent: str,
    tasks: Sequence[Task] | None,
    recordings: Sequence[Recording],
) -> tuple[RunOptions, Plan]:
    """What is to be run, and the options as a recording changes them. Raises UserMistake."""
    [domain] = options.domains
    plain = plain_domain(domain)
    domain = plain if plain in registry.get_domains() else domain
    chosen = list(load_tasks(registry, domain, options.task_split) if tasks is None else tasks)
    for task in chosen:
        if not hasattr(task, "evaluation_criteria"):
            raise UserMistake(f"{task!r} is none of tau2's tasks: choose among {domain}'s by their ids first")
        if not tau2_versions.takes_task(registry, agent, task):
            raise UserMistake(f"{agent} can't be given {domain} {task.id}: the task has not what this agent needs")
    options = replace(options, domains=[domain])
    if not recordings:
        return options, plan_of({domain: chosen}, options)
    options = replace(options, task_ids=[f"{domain}:{task.id}" for task in chosen])
    plan = make_replay_plan(following(options, recordings), registry, recordings)
    return following(options, recordings), replace(plan, tasks={(domain, task.id): task for task in chosen})


def _gold_server(prepared: PreparedRun, closing: ExitStack) -> str | None:
    """The stand-in's address, where it plays a part."""
    if not prepared.models.played_by_gold:
        return None
    return closing.enter_context(StandInProcess()).serve(plays_of(prepared.plan.tasks, prepared.models.experts))


def _event_stream(files: EnhancedFiles, run_id: str, redact: bool, closing: ExitStack) -> EventStream:
    """The stream that gets all events of this run, other runs of the process left out."""
    stream = EventStream(ExecutionLogger(files.events, auto_flush=False, max_events=0, redact=redact))
    closing.callback(stream.close)

    def hear(event: ExecutionEvent) -> None:
        # a tool call has an event of its own there, which says more
        if event.run == run_id and not isinstance(event, ToolCallEvent):
            stream.put_event(event)

    closing.enter_context(listening(hear))
    return stream
