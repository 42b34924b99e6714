"""The stand-in alone: an endpoint at which any τ² harness can be tried without a key."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.models.stand_in.plays import play_of
from tau2_enhanced.models.stand_in.recognition import Recogniser
from tau2_enhanced.models.stand_in.server import Faults, Pace, StandIn, serve
from tau2_enhanced.runner.plan import load_chosen


def serve_alone(
    domains: Sequence[str], port: int, pace: Pace, faults: Faults, task_ids: Sequence[str] | None = None
) -> None:
    """Play the base tasks of these domains, or the chosen ones of them, on loopback until ^C. Raises UserMistake.

    A request's simulation is known by our header, or else by the scenario in its user simulator's prompt.
    """
    _check(port)
    silence_loguru()
    registry = tau2_versions.load()
    chosen = load_chosen(registry, domains, task_ids, "base")
    tasks = {(domain, task.id): task for domain in domains for task in chosen[domain]}
    recogniser = Recogniser({key: str(task.user_scenario) for key, task in tasks.items()})
    stand_in = StandIn({key: play_of(task) for key, task in tasks.items()}, pace, faults, recogniser)
    try:
        asyncio.run(serve(stand_in, port, _forever(), _announce))
    except KeyboardInterrupt:
        return


def _announce(port: int) -> None:
    print(f"http://127.0.0.1:{port}/v1, until ^C", flush=True)


async def _forever() -> None:
    await asyncio.Event().wait()


def _check(port: int) -> None:
    """Find out before the tasks are loaded."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise UserMistake(f"port {port} can't be used: {getattr(error, 'strerror', None) or error}") from None
