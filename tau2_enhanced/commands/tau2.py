"""tau2's own commands, with enhanced domains in their registry."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise

from tau2_enhanced.commands.parser import PROGRAM
from tau2_enhanced.errors import UserMistake

_RUN_FLAGS = {
    "--redact": "replace sensitive data in the events (results stay as they are)",
    "--record-replays": "also record what the evaluator replays, as phase replay or gold",
}
"""Ours, beside all of tau2's."""


_OURS = ("gold", "replay:")
"""How models begin that only this project's runner knows."""


def main(command: str, arguments: Sequence[str]) -> int:
    """Run one of tau2's commands, as its own program does.

    Raises UserMistake where tau2 can't be loaded, and for a model that its runner does not know.
    """
    if command == "run" and (ours := [model for model in _models(arguments) if model.startswith(_OURS)]):
        raise UserMistake(
            f"tau2's own runner knows no model {ours[0]!r}: run_local.py --enhanced plays it; "
            "here the stand-in is openai/gold, with OPENAI_API_BASE at a tau2-enhanced serve"
        )
    from tau2_enhanced import tau2_versions

    tau2_versions.load()
    from tau2.cli import main as tau2s_main

    sys.argv = [PROGRAM, command, *(word for word in arguments if command != "run" or word not in _RUN_FLAGS)]
    if command != "run":
        tau2s_main()
        return 0
    if {"-h", "--help"} & set(arguments):
        print("besides tau2's own flags, for enhanced domains:")
        print("".join(f"  {flag:18} {meaning}\n" for flag, meaning in _RUN_FLAGS.items()))
    from tau2_enhanced.tau2_run import recorded

    with recorded(redact="--redact" in arguments, record_replays="--record-replays" in arguments) as files:
        try:
            tau2s_main()
        finally:
            for path in files:
                print(f"events: {path}")
    return 0


def _models(arguments: Sequence[str]) -> list[str]:
    """The models that the command line names."""
    words = [part for word in arguments for part in word.split("=", 1)]
    return [model for flag, model in pairwise(words) if flag in ("--agent-llm", "--user-llm")]
