"""A run from its command line to its exit code."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.logging.redaction import protect_environment
from tau2_enhanced.models.resolve import GOLD
from tau2_enhanced.models.stand_in.plays import plays_of
from tau2_enhanced.models.stand_in.process import StandInProcess
from tau2_enhanced.runner.arguments import CommandLine
from tau2_enhanced.runner.backends import connect
from tau2_enhanced.runner.begin import choose_run, hold, nothing_left, open_run
from tau2_enhanced.runner.configuration import make_configuration
from tau2_enhanced.runner.dry_run import print_plan
from tau2_enhanced.runner.execute import execute
from tau2_enhanced.runner.finish import finish
from tau2_enhanced.runner.open_files import make_room
from tau2_enhanced.runner.plan import make_plan
from tau2_enhanced.runner.pool import Stop, ThreadPool
from tau2_enhanced.runner.prepare import RunModels, prepare, resolve_models
from tau2_enhanced.runner.replay_plan import following, make_replay_plan
from tau2_enhanced.runner.serving import heed_ends, plan_serving, start_servers, wait_for_servers
from tau2_enhanced.runner.signals import dumping, interruptible, stopping


def run(command: CommandLine) -> int:
    """Run, or go on with a run; the process's exit code. Raises UserMistake before anything is begun."""
    options, folder, earlier = choose_run(command)
    resumed = earlier is not None
    options.check()
    serving = plan_serving(options, command.given)
    models = resolve_models(options, serving)
    recordings = list(models.recordings.values())
    options = following(options, recordings, command.given)
    with ExitStack() as closing:
        # asked for before there is anything to tell, or after: no reason to die
        closing.enter_context(dumping(lambda: None))
        stand_in = closing.enter_context(StandInProcess()) if models.played_by_gold and not options.dry_run else None
        silence_loguru()
        registry = tau2_versions.load()
        protect_environment()
        plan = make_replay_plan(options, registry, recordings) if recordings else make_plan(options, registry)
        # a resumed run may have those of a judge that its tasks need no more
        prices = options.prices if "prices" in command.given else ()
        prepared = prepare(options, models, registry, plan, prices=prices)
        configuration = make_configuration(folder.run_id, prepared, earlier)
        if options.dry_run:
            print_plan(prepared, folder, serving, resumed=resumed)
            return 0
        make_room(prepared.at_once, len({(spec.provider, spec.base_url) for spec in prepared.models.everyone.values()}))
        _warn_of_gold_user(prepared.models)
        gold_url = stand_in.serve(plays_of(plan.tasks, models.experts)) if stand_in is not None else None
        stop = Stop()
        if serving is None:
            backends = connect(prepared, gold_url, closing)
            held = hold(options, folder, closing, resumed=resumed)
        else:
            # servers take minutes to start, and what they say has its place in the folder of the logs
            held = hold(options, folder, closing, resumed=resumed)
            with interruptible(), nothing_left(folder):
                servers = closing.enter_context(start_servers(serving, options, held.path))
                wait_for_servers(servers, options)
                backends = connect(prepared, gold_url, closing)
                heed_ends(servers, backends.spreads, stop)
        started = open_run(prepared, backends, folder, configuration, held, stop, closing, resumed=resumed)
        pool = ThreadPool(options.max_concurrency, in_step=options.max_cost is not None)
        with stopping(stop):
            execute(started, pool, stop)
            return finish(started, stop)


def _warn_of_gold_user(models: RunModels) -> None:
    if models.specs["user"].provider == GOLD and not models.specs["agent"].runs_here:
        print("gold as user says its part and stops: it does not answer the agent's questions", file=sys.stderr)
