"""The command line of `tau2-enhanced`: finds a command's module by its name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

from tau2_enhanced.command_line import exit_code, say
from tau2_enhanced.commands import analyze, compare, report, serve, show, status, tau2, verify
from tau2_enhanced.commands.parser import PROGRAM

COMMANDS: dict[str, ModuleType] = {
    "show": show,
    "analyze": analyze,
    "report": report,
    "compare": compare,
    "status": status,
    "verify": verify,
    "serve": serve,
}
"""By name, the module whose `main` gets the arguments after it and gives the exit code. It may raise UserMistake."""

TAU2S_COMMANDS = {
    "run": "run a benchmark; simulations of an enhanced domain are recorded",
    "view": "view simulation results",
    "domain": "show a domain's documentation",
    "evaluate-trajs": "evaluate the trajectories of results",
    "check-data": "check that tau2's data is there",
    "start": "start tau2's servers",
    "play": "play a domain by hand",
    "submit": "prepare, validate and verify a submission to the leaderboard",
}
"""What tau2's own program does, each with what it is for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        return exit_code(PROGRAM, lambda: _show_usage(0 if given else 2))
    command = COMMANDS.get(given[0])
    if command is None and given[0] not in TAU2S_COMMANDS:
        say(f"{PROGRAM}: unknown command {given[0]!r} (see --help)")
        return 2
    return exit_code(f"{PROGRAM} {given[0]}", lambda: _run(command, given[0], given[1:]))


def _run(command: ModuleType | None, name: str, arguments: Sequence[str]) -> int:
    code: int = tau2.main(name, arguments) if command is None else command.main(arguments)
    return code


def _show_usage(code: int) -> int:
    print(_usage())
    return code


def _usage() -> str:
    own = {name: str(command.__doc__).splitlines()[0] for name, command in COMMANDS.items()}
    width = max(map(len, {**own, **TAU2S_COMMANDS}))
    lines = [
        *(f"  {name:{width}}  {what}" for name, what in own.items()),
        "",
        "tau2's commands, which take all of its flags:",
        *(f"  {name:{width}}  {what}" for name, what in TAU2S_COMMANDS.items()),
    ]
    return "\n".join([f"usage: {PROGRAM} COMMAND …", "", "commands:", *lines])
