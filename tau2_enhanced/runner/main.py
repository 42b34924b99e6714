"""The way in: read the command line, and only then load what a run needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tau2_enhanced.errors import Tau2EnhancedError, UserMistake
from tau2_enhanced.logging.redaction import protect_environment
from tau2_enhanced.runner.arguments import parse_command_line, report_mistake


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says; the process's exit code."""
    protect_environment()
    command = parse_command_line(arguments)
    try:
        from tau2_enhanced.runner.run import run

        return run(command)
    except UserMistake as mistake:
        return report_mistake(mistake)
    except Tau2EnhancedError as error:
        print(f"run_local.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # before the run began or after its end; in between ^C is the run's own
        print("run_local.py: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # who read our output has gone; nothing more can be said there, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
