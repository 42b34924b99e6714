"""What tau2 copies whole, copied as it is read: an orchestrator its first messages, an environment those it replays.

An environment takes the tool calls out of a copy of the whole conversation, with all that providers said besides,
twice a simulation. `deepcopy` is bound by name in both modules, so another is assigned there, at run time.
"""

from __future__ import annotations

import importlib

from tau2_enhanced.environments.lazy_copy import lazy_copy

_COPYING = ("tau2.environment.environment", "tau2.orchestrator.orchestrator")


def copy_what_is_read() -> None:
    """Let both modules copy what is read of messages, and nothing else."""
    for name in _COPYING:
        names = vars(importlib.import_module(name))
        if "deepcopy" in names:
            names["deepcopy"] = lazy_copy
