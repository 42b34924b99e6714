"""The way in: read the command line, and only then load what a run needs."""

from __future__ import annotations

from collections.abc import Sequence

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.runner.arguments import parse_command_line, report_mistake


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says; the process's exit code."""
    command = parse_command_line(arguments)

    from tau2_enhanced.runner.run import run

    try:
        return run(command)
    except UserMistake as mistake:
        return report_mistake(mistake)
