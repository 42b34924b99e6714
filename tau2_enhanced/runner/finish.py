"""How a run ends: tau2's results, the summary, and what a person is told."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

import tau2_enhanced
from tau2_enhanced.logging import LEVELS, USER_JUDGE, emit
from tau2_enhanced.logging.events import RunCompleteEvent
from tau2_enhanced.logging.redaction import scrub, scrub_values
from tau2_enhanced.runner.begin import StartedRun
from tau2_enhanced.runner.folder import write_json
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.pool import Stop
from tau2_enhanced.runner.report import print_report
from tau2_enhanced.runner.results import write_results
from tau2_enhanced.runner.summary import summarise


def finish(started: StartedRun, stop: Stop) -> int:
    """Write results and summary, say what happened; the exit code."""
    record, folder, options = started.record, started.folder, started.prepared.options
    unwritten = ""
    try:
        started.keeper.mend()
        for domain, prompts in started.prepared.prompts.items():
            tasks = _tasks_of(started, domain)
            write_results(folder.results(domain), record, domain, tasks, prompts.policy, options)
    except OSError as error:
        unwritten = f"{error.filename or folder.path} can't be written: {error.strerror}"
    summary = _summary(started, stop, unwritten)
    try:
        write_json(folder.summary, summary)
    except OSError as error:
        unwritten = unwritten or f"{folder.summary} can't be written: {error.strerror}"
        summary["exit_code"] = summary["exit_code"] or 1
    emit(
        RunCompleteEvent(
            start_ms=started.began_ms,
            duration_ms=started.clock.ms() - started.began_ms,
            planned=summary["planned"],
            finished=summary["finished"],
            cost_usd=summary["cost_usd"],
            exit_code=summary["exit_code"],
        )
    )
    started.logs.close()
    # simulations that were given up may still run, and what they warn of is no longer for anybody
    logging.getLogger().addHandler(logging.NullHandler())
    _show(summary, options)
    if unwritten:
        again = f", {len(record.unwritten)} finished simulations will run again" if record.unwritten else ""
        print(f"run_local.py: {scrub(unwritten)}; what is in the record is safe: --resume{again}", file=sys.stderr)
    exit_code: int = summary["exit_code"]
    return exit_code


def _tasks_of(started: StartedRun, domain: str) -> list[Any]:
    """The domain's tasks of the plan, and those that only the record still holds."""
    tasks = {task_id: task for (of, task_id), task in started.prepared.plan.tasks.items() if of == domain}
    recorded = {outcome.task for outcome in started.record.outcomes() if outcome.domain == domain}
    if recorded <= tasks.keys():
        return list(tasks.values())
    # a resumed run's record may hold more than its present plan
    loader = started.prepared.registry.get_tasks_loader(domain)
    return [task for task in loader(None) if task.id in recorded | tasks.keys()]


def _summary(started: StartedRun, stop: Stop, unwritten: str) -> dict[str, Any]:
    folder, logs, prepared = started.folder, started.logs, started.prepared
    options, plan, models = prepared.options, prepared.plan, prepared.models
    found = summarise([job.key for job in plan.jobs], started.record.outcome)
    complete = found["finished"] == found["planned"]
    exit_code = 0 if complete and not unwritten else 130 if stop.interrupts else 1
    resume = [_python(), _script("run_local.py"), "--resume", folder.run_id]
    if options.output_dir != RunOptions().output_dir:
        resume += ["--output-dir", options.output_dir]
    again = [f"{flag} as before" for flag in options.not_kept]
    if options.max_cost is not None and started.record.spent_usd >= options.max_cost:
        again.append("a higher --max-cost")
    event_logs = [str(path) for path in logs.event_logs]
    results = [str(folder.results(domain)) for domain in plan.domains]
    # above USER_JUDGE no log has a timed event
    has_times = LEVELS[options.log_level] <= USER_JUDGE
    told_by = ["--log_file", *event_logs] if has_times else ["--results", *results]
    analyse = [_python(), _script("analyze_timing_from_tau2_log.py"), *told_by]
    return {
        "run_id": folder.run_id,
        "exit_code": exit_code,
        "stopped": (stop.reason or None) if not complete else None,
        "agent_model": models.specs["agent"].given,
        "user_model": models.specs["user"].given,
        "judge_model": models.specs["judge"].given if "judge" in models.specs else None,
        "experts": {name: spec.given for name, spec in models.experts.items()},
        "custom_scaffold": options.scaffold,
        "played_by_gold": models.played_by_gold,
        "redacted": options.redact,
        "duration_ms": round(started.clock.ms() - started.began_ms, 3),
        "elapsed_ms": round(started.clock.ms(), 3),
        "spent_usd": round(started.record.spent_usd, 10),
        **found,
        "paths": {
            "results": results,
            "logs": [str(path) for path in logs.full_logs],
            "events": event_logs,
            **({"enhanced": list(map(str, started.event_files.values()))} if started.event_files else {}),
            "run": str(folder.own),
        },
        "resume_command": None if complete else shlex.join(resume),
        "resume_needs": [] if complete else again,
        "analysis_command": shlex.join([*analyse, "--output_dir", "analysis_results/"]),
    }


def _python() -> str:
    """The interpreter that runs this, as one types it here."""
    name, typed = Path(sys.executable).name, _from_here(Path(sys.executable))
    return name if typed == sys.executable == shutil.which(name) else typed


def _script(name: str) -> str:
    """A script of the checkout that runs, as one types it here."""
    return _from_here(Path(tau2_enhanced.__file__).parent.parent / name)


def _from_here(path: Path) -> str:
    """The path within this folder, or else the whole of it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _show(summary: Mapping[str, Any], options: RunOptions) -> None:
    if options.json:
        print(json.dumps(scrub_values(summary), ensure_ascii=False))
    console = Console(file=sys.stderr if options.json else sys.stdout)
    if not console.is_terminal:
        # a pipe has no width of its own; the table should not be squeezed into 80 columns
        console = Console(file=console.file, width=140)
    print_report(summary, console)
