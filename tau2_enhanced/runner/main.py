"""The way in: read the command line, and only then load what a run needs."""

from __future__ import annotations

from collections.abc import Sequence

from tau2_enhanced.command_line import exit_code
from tau2_enhanced.logging.redaction import protect_environment
from tau2_enhanced.runner.arguments import PROGRAM, CommandLine, parse_command_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says; the process's exit code."""
    protect_environment()
    command = parse_command_line(arguments)
    # ^C is the run's own but for before it begins and after its end
    return exit_code(PROGRAM, lambda: _run(command))


def _run(command: CommandLine) -> int:
    from tau2_enhanced.runner.run import run

    return run(command)
