"""What a run would do (`--dry-run`)."""

from __future__ import annotations

import json
from collections import Counter

from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.runner.folder import RunFolder
from tau2_enhanced.runner.jobs import Status
from tau2_enhanced.runner.prepare import PreparedRun
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.serving import Serving


def print_plan(prepared: PreparedRun, folder: RunFolder, serving: Serving | None, *, resumed: bool) -> None:
    """Say what is planned, what is left of it, who takes part and where it would be written."""
    options, plan = prepared.options, prepared.plan
    record = Record(folder.record, to_read=True)
    ended = {job.key for job in plan.jobs if (one := record.outcome(job.key)) and one.status is Status.VERDICT}
    planned = Counter(job.domain for job in plan.jobs)
    left = Counter(job.domain for job in plan.jobs if job.key not in ended)
    if options.json:
        counts = {"planned": planned, "left": {domain: left[domain] for domain in plan.domains}}
        print(json.dumps({"run_id": folder.run_id, **counts, "dry_run": True}))
        return
    for domain in plan.domains:
        tasks = {job.task for job in plan.jobs if job.domain == domain}
        of_these = f", {left[domain]} of them left" if resumed else ""
        print(f"{domain}: {len(tasks)} tasks, {planned[domain]} simulations{of_these}")
    if resumed:
        print(f"{left.total()} of {len(plan.jobs)} left to run" if left else "nothing left to run")
    print("models: " + ", ".join(f"{role} {spec.given}" for role, spec in prepared.models.everyone.items()))
    for command in serving.commands if serving is not None else ():
        print(scrub(f"would be started: {command}"))
    print(f"would be written to {folder.path} and {options.log_dir}; nothing was run (--dry-run)")
