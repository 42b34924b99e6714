"""The command line of `tau2-enhanced`: finds a command's module by its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from tau2_enhanced.commands import compare, serve, show, status, verify
from tau2_enhanced.commands.parser import PROGRAM
from tau2_enhanced.errors import UserMistake

COMMANDS: dict[str, ModuleType] = {
    "show": show,
    "compare": compare,
    "status": status,
    "verify": verify,
    "serve": serve,
}
"""By name, the module whose `main` gets the arguments after it and gives the exit code. It may raise UserMistake."""


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
        code: int = command.main(given[1:])
        sys.stdout.flush()
    except UserMistake as mistake:
        print(f"{PROGRAM} {given[0]}: {mistake}", file=sys.stderr)
        return mistake.exit_code
    except BrokenPipeError:  # who read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _usage() -> str:
    width = max(map(len, COMMANDS))
    commands = [f"  {name:{width}}  {str(command.__doc__).splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join([f"usage: {PROGRAM} COMMAND …", "", "commands:", *commands])
