"""The replays of tau2's environments, without a copy of the whole conversation for each.

`set_state` copies all messages to take the tool calls out of them, whatever providers said besides included; twice
a simulation, and `deepcopy` is bound by name in its module. So another is assigned there, at run time.
"""

from __future__ import annotations

from typing import Any

from tau2_enhanced.environments.lazy_copy import lazy_copy


def copy_what_is_replayed(module: Any) -> None:
    """Let the environment's module copy what it reads of messages, and nothing else."""
    if hasattr(module, "deepcopy"):
        module.deepcopy = lazy_copy
