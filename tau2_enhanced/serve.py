"""The stand-in alone: an endpoint at which any τ² harness can be tried without a key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.models.replay import Recording, read_recording
from tau2_enhanced.models.stand_in.gold_player import GoldPlayer
from tau2_enhanced.models.stand_in.player import Player
from tau2_enhanced.models.stand_in.plays import plays_of
from tau2_enhanced.models.stand_in.recognition import Recogniser
from tau2_enhanced.models.stand_in.replay_player import ReplayPlayer
from tau2_enhanced.models.stand_in.server import Faults, Pace, StandIn, serve
from tau2_enhanced.runner.plan import chosen_ids, load_chosen
from tau2_enhanced.runner.replay_plan import recorded_tasks

if TYPE_CHECKING:
    from tau2.data_model.tasks import Task
    from tau2.registry import Registry


def serve_alone(player: Player, port: int, pace: Pace, faults: Faults) -> None:
    """Let the player answer on loopback until ^C."""
    try:
        asyncio.run(serve(StandIn(player, pace, faults), port, _forever(), _announce))
    except KeyboardInterrupt:
        return


def gold(domains: Sequence[str], task_ids: Sequence[str] | None, *, no_calls: bool = False) -> GoldPlayer:
    """Plays the base tasks of these domains, or the chosen ones of them. Raises UserMistake.

    A request's simulation is known by our header, or else by the scenario in its user simulator's prompt.
    """
    chosen = load_chosen(_registry(), domains, task_ids, "base")
    tasks = {(domain, task.id): task for domain in domains for task in chosen[domain]}
    return GoldPlayer(plays_of(tasks), Recogniser(_scenarios(tasks)), no_calls=no_calls)


def replayed(files: Sequence[str], task_ids: Sequence[str] | None) -> ReplayPlayer:
    """Plays what results files of tau2 have recorded, of each domain one, or the chosen tasks. Raises UserMistake."""
    recordings = [read_recording(Path(file)) for file in files]
    domains = [recording.domain for recording in recordings]
    if twice := {domain for domain in domains if domains.count(domain) > 1}:
        raise UserMistake(f"--replay: there are two recordings of {min(twice)}")
    chosen = chosen_ids(domains, task_ids)
    if chosen is not None:
        recordings = [_only(recording, chosen.get(recording.domain, ())) for recording in recordings]
    registry = _registry()
    tasks: dict[tuple[str, str], Task] = {}
    for recording in recordings:
        ids = list(dict.fromkeys(task for task, _ in recording.simulations))
        tasks |= {(recording.domain, task.id): task for task in recorded_tasks(recording, ids, registry)}
    if not tasks:
        raise UserMistake("no recorded simulations are chosen")
    return ReplayPlayer(recordings, _scenarios(tasks))


def _only(recording: Recording, ids: Sequence[str]) -> Recording:
    """These tasks of a recording. Raises UserMistake for one that it does not have."""
    if missing := set(ids) - {task for task, _ in recording.simulations}:
        raise UserMistake(f"--task-ids: {recording.path} has no task {min(missing)!r}")
    kept = {key: recorded for key, recorded in recording.simulations.items() if key[0] in ids}
    return replace(recording, simulations=kept)


def _scenarios(tasks: Mapping[tuple[str, str], Task]) -> dict[tuple[str, str], str]:
    return {key: str(task.user_scenario) for key, task in tasks.items()}


def _registry() -> Registry:
    silence_loguru()
    return tau2_versions.load()


def _announce(port: int) -> None:
    print(f"http://127.0.0.1:{port}/v1, until ^C", flush=True)


async def _forever() -> None:
    await asyncio.Event().wait()
