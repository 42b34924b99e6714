"""The course of a run: what has no verdict yet is run, and each outcome is put on record as it comes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from tau2_enhanced.logging.server_samples import FILE_NAME as SAMPLES
from tau2_enhanced.logging.server_samples import SampleFile
from tau2_enhanced.models.vllm.watch import ServerWatch
from tau2_enhanced.runner.begin import StartedRun, say_start
from tau2_enhanced.runner.early_end import look_at_cost, look_at_servers
from tau2_enhanced.runner.jobs import Job, Outcome, Status
from tau2_enhanced.runner.plan import longest_begin
from tau2_enhanced.runner.pool import Executor, Stop
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.signals import dumping
from tau2_enhanced.runner.simulate import give_up, simulate
from tau2_enhanced.runner.status import RunStatus
from tau2_enhanced.runner.tally import Tally
from tau2_enhanced.runner.watchdog import Watchdog

_GARBAGE = (50_000, 20, 100)
"""`gc` thresholds: environments come and go by the thousand objects, and are seldom part of a cycle."""
_SWITCH_S = 0.002
"""How long a thread may keep the interpreter from the others. With Python's 5 ms, a call whose time is over waits for
its turn behind every busy thread, and again at each step: seconds behind twenty of them."""


def execute(started: StartedRun, executor: Executor, stop: Stop) -> None:
    """Run what is left of the plan, until all of it has ended or `stop` says so."""
    prepared, backends, bench, record = started.prepared, started.backends, started.bench, started.record
    options, plan = prepared.options, prepared.plan
    jobs = longest_begin(_jobs_left(plan.jobs, record), options.max_concurrency, plan.tasks)
    done = [one for job in plan.jobs if (one := record.outcome(job.key)) and one.status is Status.VERDICT]
    tally = Tally.of(plan.jobs, done)
    say_start(prepared, finished=len(done), resumed=started.resumed)
    if options.max_cost is not None and record.spent_usd >= options.max_cost:
        stop.request(f"--max-cost {options.max_cost:g} USD is reached")
    watchdog = _watchdog(started, tally, stop)
    gc.set_threshold(*_GARBAGE)
    sys.setswitchinterval(_SWITCH_S)
    samples = SampleFile(started.logs.folder / SAMPLES)
    watch = ServerWatch(backends.spreads, samples, started.folder.run_id, started.clock.ms)
    servers = [one for spread in backends.spreads for one in spread.servers]
    started.display.start(tally, bench.running, backends.limits, servers)
    try:
        with watchdog.watching(), watch.watching(), dumping(watchdog.dump):
            for outcomes in executor.execute(jobs, lambda job: simulate(job, bench), stop):
                look_at_servers(outcomes, stop)
                # what is on record can be read in its log and its events
                started.logs.flush()
                if bench.events is not None:
                    bench.events.flush()
                _count(started.keeper.put(*outcomes), tally, started)
                for outcome in outcomes:
                    look_at_cost(outcome, record, stop, max_cost_usd=options.max_cost)
            if executor.given_up:
                # what they waited for would be told by nothing else
                watchdog.beat()
            given_up = started.keeper.put(*give_up(executor.given_up, bench))
            _count([one for one in given_up if not one.given_up], tally, started)
    finally:
        started.logs.flush()
        started.display.close()


def _count(ended: Sequence[Outcome], tally: Tally, started: StartedRun) -> None:
    for outcome in ended:
        tally.add(outcome)
        started.display.ended(outcome)


def _watchdog(started: StartedRun, tally: Tally, stop: Stop) -> Watchdog:
    options, models = started.prepared.options, started.prepared.models
    status = RunStatus(
        path=started.folder.status,
        run_id=started.folder.run_id,
        pid=os.getpid(),
        models={role: spec.given for role, spec in models.everyone.items()},
    )
    limits = {"heartbeat_s": options.heartbeat, "stall_after_s": options.stall_after}
    return Watchdog(status, started.bench.running, tally, stop, **limits)


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
