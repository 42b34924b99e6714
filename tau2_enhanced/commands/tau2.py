"""tau2's own commands, with enhanced domains in their registry."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tau2_enhanced.commands.parser import PROGRAM

_RUN_FLAGS = {
    "--redact": "replace sensitive data in the events (results stay as they are)",
    "--record-replays": "record what the evaluator plays too, as phase replay or gold",
}
"""Ours, beside all of tau2's."""


def main(command: str, arguments: Sequence[str]) -> int:
    """Run one of tau2's commands, as its own program does. Raises UserMistake where tau2 can't be loaded."""
    from tau2_enhanced import tau2_versions

    tau2_versions.load()
    from tau2.cli import main as tau2s_main

    sys.argv = [PROGRAM, command, *(word for word in arguments if command != "run" or word not in _RUN_FLAGS)]
    if command != "run":
        tau2s_main()
        return 0
    if {"-h", "--help"} & set(arguments):
        print("beside tau2's own flags, for enhanced domains:")
        print("".join(f"  {flag:18} {meaning}\n" for flag, meaning in _RUN_FLAGS.items()))
    from tau2_enhanced.tau2_run import recorded

    with recorded(redact="--redact" in arguments, record_replays="--record-replays" in arguments) as files:
        try:
            tau2s_main()
        finally:
            for path in files:
                print(f"events: {path}")
    return 0
