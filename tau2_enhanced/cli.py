"""The command line of `tau2-enhanced`: each command is a function that parses its own flags. Light to import."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from tau2_enhanced.errors import UserMistake

PROGRAM = "tau2-enhanced"
_PIPE_WIDTH = 170


class CommandParser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"{PROGRAM} {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def status(arguments: Sequence[str]) -> int:
    """What a run is doing now, from another terminal, or was doing when it broke off."""
    parser = CommandParser("status", str(status.__doc__))
    parser.add_argument("run_id", nargs="?", metavar="RUN_ID", help="default: the run that began last")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs"), metavar="DIR")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(arguments)
    from tau2_enhanced.runner.status import as_json, describe_state, read_status, status_table

    found, alive = read_status(options.output_dir, options.run_id)
    if options.json:
        print(json.dumps(as_json(found, alive=alive), ensure_ascii=False))
        return 0
    print(describe_state(found, alive=alive))
    if found.running:
        from rich.console import Console

        # a pipe has no width of its own
        Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(status_table(found))
    return 0


def serve(arguments: Sequence[str]) -> int:
    """The stand-in alone: an endpoint at which any τ² harness can be tried without a key."""
    parser = CommandParser("serve", str(serve.__doc__))
    parser.add_argument("--port", type=int, default=18080, help="default: 18080")
    parser.add_argument("--domains", nargs="+", default=["retail", "airline", "telecom", "mock"], metavar="DOMAIN")
    parser.add_argument("--task-ids", nargs="+", metavar="ID", help="DOMAIN:ID, or ID with one domain (default: all)")
    from tau2_enhanced.models.stand_in.server import add_flags, faults_of, pace_of

    add_flags(parser)
    options = parser.parse_args(arguments)
    from tau2_enhanced.serve import serve_alone

    serve_alone(options.domains, options.port, pace_of(options), faults_of(options), options.task_ids)
    return 0


def verify(arguments: Sequence[str]) -> int:
    """Whether a file of events was changed, dropped lines or was cut; exit code 1 where it was."""
    parser = CommandParser("verify", str(verify.__doc__))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--head", metavar="DIGEST", help="the last digest, where it was kept elsewhere (one FILE)")
    parser.add_argument("--json", action="store_true", help="as JSON, a line for each file")
    options = parser.parse_args(arguments)
    if options.head and len(options.files) > 1:
        parser.error("--head is the digest of one file")
    from tau2_enhanced.logging.audit import verify as verified

    verdicts = []
    for path in options.files:
        try:
            verdicts.append(verified(path, options.head))
        except OSError as error:
            raise UserMistake(f"{path} can't be read: {error.strerror}") from None
    for path, verdict in zip(options.files, verdicts, strict=True):
        print(json.dumps({"file": str(path), **verdict._asdict()}) if options.json else f"{path}: {verdict}")
    return 0 if all(verdict.holds for verdict in verdicts) else 1


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"serve": serve, "status": status, "verify": verify}
"""By name, what each does with the arguments after it; the exit code. May raise UserMistake."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_usage())
        return 0 if given else 2
    command = COMMANDS.get(given[0])
    if command is None:
        print(f"{PROGRAM}: unknown command {given[0]!r} (see --help)", file=sys.stderr)
        return 2
    try:
        return command(given[1:])
    except UserMistake as mistake:
        print(f"{PROGRAM} {given[0]}: {mistake}", file=sys.stderr)
        return mistake.exit_code


def _usage() -> str:
    width = max(map(len, COMMANDS))
    commands = [f"  {name:{width}}  {str(does.__doc__).splitlines()[0]}" for name, does in COMMANDS.items()]
    return "\n".join([f"usage: {PROGRAM} COMMAND …", "", "commands:", *commands])
