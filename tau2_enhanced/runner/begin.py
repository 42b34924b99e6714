"""How a run begins: its options and folder, then all that is written while it runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import Clock, LogSession, TaskContext, configure_logging, emit, get_logger, task_context
from tau2_enhanced.logging.events import RunStartEvent
from tau2_enhanced.logging.files import LogFolder
from tau2_enhanced.runner.arguments import CommandLine
from tau2_enhanced.runner.backends import Backends
from tau2_enhanced.runner.bench import Bench
from tau2_enhanced.runner.configuration import Configuration, read_configuration
from tau2_enhanced.runner.display import Display, make_display
from tau2_enhanced.runner.folder import RunFolder, new_run_id, newest_run_id
from tau2_enhanced.runner.keeper import Keeper
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.pool import Stop
from tau2_enhanced.runner.prepare import PreparedRun
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.serving import default_model

if TYPE_CHECKING:
    from tau2_enhanced.logging.event_stream import EventStream

_logger = get_logger(__name__)


@dataclass(frozen=True)
class StartedRun:
    """A run that has begun: what its parts need of each other."""

    prepared: PreparedRun
    backends: Backends
    bench: Bench
    folder: RunFolder
    record: Record
    keeper: Keeper
    logs: LogSession
    display: Display
    event_files: Mapping[str, Path]
    """By domain, where its events are recorded; none where they are not."""
    clock: Clock
    began_ms: float
    """When this part of the run began, by the run's clock: later than 0 where it is resumed."""
    resumed: bool


def choose_run(command: CommandLine) -> tuple[RunOptions, RunFolder, Configuration | None]:
    """The options and the folder of the run; what an earlier part of it left, where it is resumed."""
    try:
        return _choose_run(command)
    except OSError as error:
        raise UserMistake(f"{error.filename} can't be used: {error.strerror}") from None


def _choose_run(command: CommandLine) -> tuple[RunOptions, RunFolder, Configuration | None]:
    given, default = dict(command.given), default_model(os.environ)
    defaults = RunOptions()
    output_dir = Path(given.get("output_dir", defaults.output_dir))
    run_id = given.pop("run_id", None)
    if command.resume:
        named = command.resume if isinstance(command.resume, str) else None
        if run_id and named and run_id != named:
            raise UserMistake(f"--resume {named} and --run-id {run_id} name two runs")
        run_id = named or run_id or newest_run_id(output_dir) or new_run_id()
        folder = RunFolder(output_dir, _checked_id(run_id))
        if folder.started:
            earlier = read_configuration(folder)
            try:
                return RunOptions(**{**earlier.options, **given}), folder, earlier
            except TypeError:
                raise UserMistake(f"{folder.config} was written by another version of this runner") from None
        print(f"there is no run {folder.run_id} in {output_dir} to resume: starting it now", file=sys.stderr)
        return RunOptions(**{**default, **given}), folder, None
    folder = RunFolder(output_dir, _checked_id(run_id or new_run_id()))
    if folder.started:
        raise UserMistake(f"run {folder.run_id} already exists: continue it with --resume {folder.run_id}")
    return RunOptions(**{**default, **given}), folder, None


def _checked_id(run_id: str) -> str:
    if run_id in (".", "..") or "/" in run_id or run_id.startswith("-") or not run_id.isprintable():
        raise UserMistake(f"--run-id {run_id!r} can't be a folder's name")
    return run_id


def hold(options: RunOptions, folder: RunFolder, closing: ExitStack, *, resumed: bool) -> LogFolder:
    """Take hold of the run's folder and of its logs'; leave nothing half-made where one can't be had."""
    folder.hold(resumed=resumed)
    closing.callback(folder.release)
    with nothing_left(folder), _writing(folder):
        logs = LogFolder(Path(options.log_dir), folder.run_id)
    closing.callback(logs.release)
    return logs


@contextmanager
def nothing_left(folder: RunFolder) -> Iterator[None]:
    """Where the block fails, a run that has not begun leaves no folder."""
    try:
        yield
    except BaseException:  # ^C too
        folder.abandon()
        raise


@contextmanager
def _writing(folder: RunFolder) -> Iterator[None]:
    """What can't be written inside the block is raised as a UserMistake."""
    try:
        yield
    except OSError as error:
        raise UserMistake(f"{error.filename or folder.path} can't be written: {error.strerror}") from None


def open_run(
    prepared: PreparedRun,
    backends: Backends,
    folder: RunFolder,
    configuration: Configuration,
    held: LogFolder,
    stop: Stop,
    closing: ExitStack,
    *,
    resumed: bool,
) -> StartedRun:
    """All that is written while the run runs, opened in the held folders; nothing half-made where it can't begin.

    The configuration that is written says when the clock began. Raises UserMistake for what can't be written.
    """
    options, domains = prepared.options, prepared.plan.domains
    display = make_display(options.display, sys.stderr)
    with nothing_left(folder), _writing(folder):
        record = Record(folder.record)
        closing.callback(record.close)
        logs = configure_logging(
            domains,
            run_id=folder.run_id,
            level=options.log_level,
            log_dir=options.log_dir,
            console=display.record,
            console_level=options.console_level,
            redact=options.redact,
            folder=held,
        )
        closing.callback(logs.close)
        clock = _clock(record, configuration, resumed=resumed)
        configuration.write(folder)
    events, event_files = _record_events(options, folder, domains, closing)
    closing.enter_context(task_context(TaskContext(run=folder.run_id, clock=clock)))
    keeper = Keeper(folder, record, configuration, stop, prepared.at_once)
    closing.callback(keeper.close)
    for spec in backends.unpriced:
        backends.prices.name_unpriced(spec.provider, spec.name)
    if record.repaired_bytes:
        _logger.warning("the record's last line was incomplete: its %d bytes were removed", record.repaired_bytes)
    return StartedRun(
        prepared=prepared,
        backends=backends,
        bench=Bench.of(prepared, backends, run=folder.run_id, events=events, clock=clock),
        folder=folder,
        record=record,
        keeper=keeper,
        logs=logs,
        display=display,
        event_files=event_files,
        clock=clock,
        began_ms=clock.ms(),
        resumed=resumed,
    )


def _clock(record: Record, configuration: Configuration, *, resumed: bool) -> Clock:
    """The run's clock, which begins now or goes on: never before what the record holds."""
    if resumed:
        return Clock(max(record.last_ended_ms, (time.time() - configuration.created) * 1000))
    # what came before took its time, minutes where servers were started
    configuration.created = time.time()
    return Clock()


def _record_events(
    options: RunOptions, folder: RunFolder, domains: Sequence[str], closing: ExitStack
) -> tuple[EventStream | None, dict[str, Path]]:
    """Where `--enhanced` asks for it: the stream of the run's events, and by domain the file that it writes."""
    if not options.enhanced:
        return None, {}
    # takes a while to import, and a run without needs none of it
    from tau2_enhanced.logging.event_stream import EventStream, recording
    from tau2_enhanced.logging.execution_logger import ExecutionLogger

    files = {domain: folder.events / f"{domain}.jsonl" for domain in domains}
    try:
        loggers = {
            domain: ExecutionLogger(path, auto_flush=False, redact=options.redact, max_events=0)
            for domain, path in files.items()
        }
    except (OSError, ValueError) as error:
        raise UserMistake(f"events can't be recorded: {error}") from None
    stream = closing.enter_context(recording(EventStream(loggers), record_replays=options.record_replays))
    return stream, files


def say_start(prepared: PreparedRun, *, finished: int, resumed: bool) -> None:
    """Record who takes part, how much is planned, and what an earlier part of the run finished of it."""
    specs, experts = prepared.models.specs, prepared.models.experts
    emit(
        RunStartEvent(
            agent_model=specs["agent"].given,
            user_model=specs["user"].given,
            judge_model=specs["judge"].given if "judge" in specs else None,
            experts=", ".join(f"{name}={spec.given}" for name, spec in experts.items()) or None,
            planned=len(prepared.plan.jobs),
            finished=finished,
            max_concurrency=prepared.options.max_concurrency,
            resumed=resumed,
            tau2_version=tau2_versions.version(),
        )
    )
