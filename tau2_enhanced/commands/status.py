"""Show, from another terminal, what a run is doing, or was doing when it broke off."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from tau2_enhanced.commands.parser import CommandParser

_PIPE_WIDTH = 170


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("status", str(__doc__))
    parser.add_argument("run_id", nargs="?", metavar="RUN_ID", help="default: the newest run")
    parser.add_outputs("--output-dir")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    options = parser.parse_args(arguments)
    from tau2_enhanced.runner.status import read_status, to_json
    from tau2_enhanced.runner.status_view import describe_state, status_table

    found, alive = read_status(options.outputs, options.run_id)
    if options.json:
        print(json.dumps({**to_json(found), "alive": alive}, ensure_ascii=False))
        return 0
    print(describe_state(found, alive=alive))
    if found.running:
        from rich.console import Console

        # a pipe has no width of its own
        console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
        console.print(status_table(found, console.width))
    return 0
