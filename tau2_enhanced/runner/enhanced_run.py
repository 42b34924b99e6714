"""A run from Python, once all is ready: its simulations, and what is written of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import Tau2EnhancedError
from tau2_enhanced.logging import emit
from tau2_enhanced.logging.event_stream import EventStream
from tau2_enhanced.logging.events import RunCompleteEvent
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.adaptive import AdaptiveLimit
from tau2_enhanced.runner.begin import say_start
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.display import Display
from tau2_enhanced.runner.early_end import look_at_cost, look_at_servers
from tau2_enhanced.runner.enhanced_files import EnhancedFiles
from tau2_enhanced.runner.jobs import Outcome
from tau2_enhanced.runner.pool import Stop, ThreadPool
from tau2_enhanced.runner.prepare import PreparedRun
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.results import write_results
from tau2_enhanced.runner.simulate import simulate
from tau2_enhanced.runner.summary import summarise
from tau2_enhanced.runner.tally import Tally

if TYPE_CHECKING:
    from tau2.data_model.simulation import Results

Paths = tuple[Path, Path]
"""Of tau2's results, and of the enhanced logs."""


class RunStopped(Tau2EnhancedError):
    """A run that ended before its plan did; what it had finished is in `results` and in the files of `paths`."""

    def __init__(self, reason: str, results: Results, paths: Paths) -> None:
        super().__init__(f"{scrub(reason)}; what had finished is in {paths[0]}")
        self.results = results
        self.paths = paths


@dataclass(frozen=True)
class EnhancedRun:
    """A run of which all is ready."""

    prepared: PreparedRun
    bench: Bench
    stream: EventStream
    files: EnhancedFiles
    record: Record

    def whole(self, display: Display, limits: Sequence[AdaptiveLimit]) -> tuple[Results, Paths]:
        """Run it and write its files. Raises RunStopped, or Tau2EnhancedError where they can't be written."""
        stop, tally = Stop(), Tally.of(self.prepared.plan.jobs, ())
        say_start(self.prepared, finished=0, resumed=False)
        display.start(tally, self.bench.running, limits)
        try:
            for outcome in self._outcomes(stop):
                tally.add(outcome)
                display.ended(outcome)
        except BaseException:  # the files are to say why a run stopped, by ^C too
            stop.request("interrupted")
            raise
        finally:
            display.close()
            self._write(stop)
        paths = self.files.results, self.files.logs
        results = tau2_versions.read_results(self.files.results)
        if stop.reason:
            raise RunStopped(stop.reason, results, paths)
        return results, paths

    def _outcomes(self, stop: Stop) -> Iterator[Outcome]:
        options, jobs = self.prepared.options, self.prepared.plan.jobs
        pool = ThreadPool(options.max_concurrency, in_step=options.max_cost is not None)
        for outcomes in pool.execute(jobs, lambda job: simulate(job, self.bench), stop):
            look_at_servers(outcomes, stop)
            # what is on record can be read in its events
            self.stream.flush()
            try:
                self.record.append(*outcomes)
            except OSError as error:
                raise Tau2EnhancedError(f"{self.files.record} can't be written: {error.strerror}") from error
            for outcome in outcomes:
                look_at_cost(outcome, self.record, stop, max_cost_usd=options.max_cost)
                yield outcome

    def _write(self, stop: Stop) -> None:
        """Make both documents of what was kept; the record goes once its content is in the results."""
        prepared = self.prepared
        [domain] = prepared.plan.domains
        found = summarise([job.key for job in prepared.plan.jobs], self.record.outcome)
        emit(
            RunCompleteEvent(
                start_ms=0.0,
                duration_ms=self.bench.clock.ms(),
                planned=found["planned"],
                finished=found["finished"],
                cost_usd=found["cost_usd"],
                exit_code=int(found["finished"] < found["planned"]),
            )
        )
        self.stream.close()
        summary = {
            "run": self.bench.run,
            "domain": domain,
            "agent": prepared.agent,
            "user": prepared.user,
            "llms": {role: spec.given for role, spec in prepared.models.specs.items()},
            "tau2": tau2_versions.version(),
            "stopped": stop.reason or None,
            **{name: value for name, value in found.items() if name != "domains"},
            "events": self.stream.loggers[0].get_statistics(),
        }
        try:
            write_results(
                self.files.results,
                self.record,
                domain,
                list(prepared.plan.tasks.values()),
                prepared.prompts[domain].policy,
                prepared.options,
                agent=prepared.agent,
                user=prepared.user,
            )
            self.files.write_logs(summary)
            self.record.close()
            self.files.record.unlink()
        except OSError as error:
            named = error.filename or self.files.record
            raise Tau2EnhancedError(f"{named} can't be written: {error.strerror}") from error
