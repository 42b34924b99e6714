"""A run from its command line to its exit code."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import TaskContext, get_logger, task_context
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.logging.redaction import protect_environment, scrub
from tau2_enhanced.logging.server_samples import FILE_NAME as SAMPLES
from tau2_enhanced.logging.server_samples import SampleFile
from tau2_enhanced.models.resolve import GOLD, ModelSpec
from tau2_enhanced.models.stand_in.plays import plays_of
from tau2_enhanced.models.stand_in.process import StandInProcess
from tau2_enhanced.models.vllm.watch import ServerWatch
from tau2_enhanced.runner.arguments import CommandLine
from tau2_enhanced.runner.backends import (
    Backends,
    check_prices,
    connect,
    read_recordings,
    resolve_experts,
    resolve_models,
    with_needed_judge,
)
from tau2_enhanced.runner.begin import (
    StartedRun,
    hold,
    nothing_left,
    open_run,
    prepare,
    record_events,
    say_start,
)
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.configuration import continued, make_configuration
from tau2_enhanced.runner.display import Display, make_display
from tau2_enhanced.runner.early_end import look_for_the_end
from tau2_enhanced.runner.finish import finish
from tau2_enhanced.runner.folder import RunFolder
from tau2_enhanced.runner.jobs import Job, Outcome, Status
from tau2_enhanced.runner.keeper import Keeper
from tau2_enhanced.runner.open_files import make_room
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.plan import Plan, longest_begin, make_plan
from tau2_enhanced.runner.pool import Stop, ThreadPool
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.replay_plan import following, make_replay_plan
from tau2_enhanced.runner.serving import Serving, heed_ends, plan_serving, start_servers, wait_for_servers
from tau2_enhanced.runner.signals import dumping, interruptible, stopping
from tau2_enhanced.runner.simulate import give_up, simulate
from tau2_enhanced.runner.status import RunStatus
from tau2_enhanced.runner.tally import Tally
from tau2_enhanced.runner.watchdog import Watchdog

_GARBAGE = (50_000, 20, 100)
"""`gc` thresholds: environments come and go by the thousand objects, and are seldom part of a cycle."""
_SWITCH_S = 0.002
"""How long a thread may keep the interpreter from the others. With Python's 5 ms, a call whose time is over waits for
its turn behind every busy thread, and again at each step: seconds behind twenty of them."""

_logger = get_logger(__name__)


def run(command: CommandLine) -> int:
    """Run, or go on with a run; the process's exit code. Raises UserMistake before anything is begun."""
    options, folder, earlier = prepare(command)
    options.check()
    serving = plan_serving(options, command.given)
    specs, experts = resolve_models(options, serving), resolve_experts(options)
    recordings = read_recordings(specs)
    replayed = list(recordings.values())
    options = following(options, replayed)
    with ExitStack() as closing:
        # asked for before there is anything to tell, or after: no reason to die
        closing.enter_context(dumping(lambda: None))
        uses_gold = any(spec.provider == GOLD for spec in (*specs.values(), *experts.values()))
        stand_in = closing.enter_context(StandInProcess()) if uses_gold and not options.dry_run else None
        silence_loguru()
        registry = tau2_versions.load()
        protect_environment()
        plan = make_replay_plan(options, registry, replayed) if replayed else make_plan(options, registry)
        specs = with_needed_judge(specs, plan.judged_by_reward)
        if "prices" in command.given:
            # a resumed run may have those of a judge that its tasks need no more
            check_prices(options, specs.values())
        prompts = {domain: tau2_versions.domain_prompts(registry, domain) for domain in plan.domains}
        configuration = make_configuration(
            folder.run_id, options, {domain: prompt.digest for domain, prompt in prompts.items()}
        )
        if earlier is not None:
            configuration = continued(earlier, configuration)
        if options.dry_run:
            _print_plan(plan, specs, experts, folder, options, serving, resumed=earlier is not None)
            return 0
        asked = {(spec.provider, spec.base_url) for spec in (*specs.values(), *experts.values())}
        make_room(min(options.max_concurrency, len(plan.jobs)), len(asked))
        _warn_of_gold_user(specs)
        gold_url = stand_in.serve(plays_of(plan.tasks, experts)) if stand_in is not None else None
        stop = Stop()
        if serving is None:
            backends = connect(specs, experts, options, gold_url, recordings, closing)
            held = hold(options, folder, closing, resumed=earlier is not None)
        else:
            # servers take minutes to start, and what they say has its place in the folder of the logs
            held = hold(options, folder, closing, resumed=earlier is not None)
            with interruptible(), nothing_left(folder):
                servers = closing.enter_context(start_servers(serving, options, held.path))
                wait_for_servers(servers, options)
                backends = connect(specs, experts, options, gold_url, recordings, closing)
                heed_ends(servers, backends.spreads, stop)
        display = make_display(options.display, sys.stderr)
        record, logs, clock = open_run(
            options, folder, configuration, plan.domains, display, closing, held, resumed=earlier is not None
        )
        events, event_files = record_events(options, folder, plan.domains, closing)
        context = TaskContext(run=folder.run_id, clock=clock)
        closing.enter_context(task_context(context))
        bench = Bench.of(
            options, backends, run=folder.run_id, registry=registry, tasks=plan.tasks, events=events, clock=clock
        )
        keeper = Keeper(folder, record, configuration, stop, min(options.max_concurrency, len(plan.jobs)))
        closing.callback(keeper.close)
        started = StartedRun(
            options=options,
            folder=folder,
            plan=plan,
            specs=specs,
            experts=experts,
            record=record,
            keeper=keeper,
            logs=logs,
            event_files=event_files,
            clock=clock,
            began_ms=clock.ms(),
            resumed=earlier is not None,
        )
        for spec in backends.unpriced:
            backends.prices.name_unpriced(spec.provider, spec.name)
        if record.repaired_bytes:
            _logger.warning("the record's last line was incomplete: its %d bytes were removed", record.repaired_bytes)
        with stopping(stop):
            _execute(started, bench, backends, display, stop)
            policies = {domain: prompt.policy for domain, prompt in prompts.items()}
            return finish(started, registry, policies, stop)


def _execute(started: StartedRun, bench: Bench, backends: Backends, display: Display, stop: Stop) -> None:
    """Run what has no verdict yet, each outcome put on record as it comes."""
    options, record = started.options, started.record
    jobs = longest_begin(_jobs_left(started.plan.jobs, record), options.max_concurrency, started.plan.tasks)
    done = [outcome for job in started.plan.jobs if (outcome := record.outcome(job.key)) and _has_verdict(outcome)]
    tally = Tally.of(started.plan.jobs, done)
    say_start(
        options, started.specs, started.experts, planned=tally.all.planned, finished=len(done), resumed=started.resumed
    )
    if options.max_cost is not None and record.spent_usd >= options.max_cost:
        stop.request(f"--max-cost {options.max_cost:g} USD is reached")
    watchdog = _watchdog(started, bench, tally, stop)
    gc.set_threshold(*_GARBAGE)
    sys.setswitchinterval(_SWITCH_S)
    samples = SampleFile(started.logs.folder / SAMPLES)
    watch = ServerWatch(backends.spreads, samples, started.folder.run_id, started.clock.ms)
    display.start(tally, bench.running, backends.limits, [one for spread in backends.spreads for one in spread.servers])
    try:
        with watchdog.watching(), watch.watching(), dumping(watchdog.dump):
            pool = ThreadPool(options.max_concurrency, in_step=options.max_cost is not None)
            for outcomes in pool.execute(jobs, lambda job: simulate(job, bench), stop):
                # what is on record can be read in its log and its events
                started.logs.flush()
                if bench.events is not None:
                    bench.events.flush()
                for kept in started.keeper.put(*outcomes):
                    tally.add(kept)
                    display.ended(kept)
                for outcome in outcomes:
                    look_for_the_end(outcome, record, stop, max_cost_usd=options.max_cost)
            for kept in started.keeper.put(*give_up(pool.given_up, bench)):
                if not kept.given_up:
                    tally.add(kept)
                    display.ended(kept)
    finally:
        started.logs.flush()
        display.close()


def _watchdog(started: StartedRun, bench: Bench, tally: Tally, stop: Stop) -> Watchdog:
    status = RunStatus(
        path=started.folder.status,
        run_id=started.folder.run_id,
        pid=os.getpid(),
        models={
            **{role: spec.given for role, spec in started.specs.items()},
            **{f"expert {name}": spec.given for name, spec in started.experts.items()},
        },
    )
    options = started.options
    limits = {"heartbeat_s": options.heartbeat, "stall_after_s": options.stall_after}
    return Watchdog(status, bench.running, tally, stop, **limits)


def _jobs_left(jobs: Sequence[Job], record: Record) -> list[Job]:
    """The jobs without a verdict, with their conversation where only the evaluation is missing."""
    left = []
    for job in jobs:
        outcome = record.outcome(job.key)
        if outcome is None or outcome.status is Status.NO_VERDICT:
            left.append(job)
        elif outcome.status is Status.UNJUDGED:
            left.append(replace(job, unjudged=replace(outcome, simulation=record.load(job.key))))
    return left


def _has_verdict(outcome: Outcome) -> bool:
    return outcome.status is Status.VERDICT


def _warn_of_gold_user(specs: Mapping[str, ModelSpec]) -> None:
    if specs["user"].provider == GOLD and not specs["agent"].runs_here:
        print("gold as user says its part and stops: it does not answer the agent's questions", file=sys.stderr)


def _print_plan(
    plan: Plan,
    specs: Mapping[str, ModelSpec],
    experts: Mapping[str, ModelSpec],
    folder: RunFolder,
    options: RunOptions,
    serving: Serving | None,
    *,
    resumed: bool,
) -> None:
    record = Record(folder.record, to_read=True)
    jobs_left = [job for job in plan.jobs if (ended := record.outcome(job.key)) is None or not _has_verdict(ended)]
    planned, left = Counter(job.domain for job in plan.jobs), Counter(job.domain for job in jobs_left)
    if options.json:
        counts = {"planned": planned, "left": {domain: left[domain] for domain in plan.domains}}
        print(json.dumps({"run_id": folder.run_id, **counts, "dry_run": True}))
        return
    for domain in plan.domains:
        tasks = {job.task for job in plan.jobs if job.domain == domain}
        of_these = f", {left[domain]} of them left" if resumed else ""
        print(f"{domain}: {len(tasks)} tasks, {planned[domain]} simulations{of_these}")
    if resumed:
        print(f"{len(jobs_left)} of {len(plan.jobs)} left to run" if jobs_left else "nothing left to run")
    asked = {f"expert {name}": spec for name, spec in experts.items()}
    print("models: " + ", ".join(f"{role} {spec.given}" for role, spec in {**specs, **asked}.items()))
    for command in serving.commands if serving is not None else ():
        print(scrub(f"would be started: {command}"))
    print(f"would be written to {folder.path} and {options.log_dir}; nothing was run (--dry-run)")
