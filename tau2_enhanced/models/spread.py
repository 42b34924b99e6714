"""Several servers of one model as one: each simulation keeps to one of them, where its prefix cache is.

A new simulation goes to the server with the fewest. A server that stops answering is taken out: its calls are
broken off and tried again on another, to which its simulations move; once it answers again it is given new ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from tau2_enhanced.logging import get_logger
from tau2_enhanced.logging.server_samples import ServerSample
from tau2_enhanced.models.adaptive import ENDLESS, AdaptiveLimit, Patience
from tau2_enhanced.models.client import Client, Reply, Request
from tau2_enhanced.models.failures import CallFailed, ServerLost, TransientFailure

_logger = get_logger(__name__)


class InterruptibleClient(Client, Protocol):
    def interrupt(self) -> None:
        """Let the calls under way fail at once, as where a connection is lost."""


@dataclass(eq=False)
class Server:
    """One of the servers of a model."""

    name: str
    """Its host and port."""
    base_url: str = field(repr=False)
    client: InterruptibleClient = field(repr=False)
    limit: AdaptiveLimit = field(repr=False)
    answers: Callable[[], bool] = field(repr=False)
    """Asks it whether it is well."""
    simulations: int = 0
    """How many keep to it now."""
    out: str = ""
    """Why it is taken out; empty while it answers."""
    sample: ServerSample | None = field(default=None, repr=False)
    """What it last said of its work."""
    asking: threading.Lock = field(default_factory=threading.Lock, repr=False)


_kept: ContextVar[dict[Spread, Server] | None] = ContextVar("tau2_enhanced_kept_servers", default=None)
_asked: ContextVar[Server | None] = ContextVar("tau2_enhanced_asked_server", default=None)


@contextmanager
def one_server_each() -> Iterator[None]:
    """Let all calls made in the block keep to one server of each spread."""
    kept: dict[Spread, Server] = {}
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
        for spread, server in kept.items():
            spread.leave(server)


class Spread:
    """A `Client` and an attempt's limit, over several servers. Used from many threads at once."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = servers
        self.call_type = servers[0].client.call_type
        self._lock = threading.Lock()
        self._given_up = ""

    def check(self, model: str) -> None:
        for server in self.servers:
            server.client.check(model)

    @contextmanager
    def turn(self, ticket: int, patience: Patience = ENDLESS) -> Iterator[bool]:
        """`AdaptiveLimit.turn` of the server that the block's attempt is for."""
        server = self._mine()
        token = _asked.set(server)
        try:
            with server.limit.turn(ticket, patience) as waited:
                yield waited
        finally:
            _asked.reset(token)

    def complete(self, request: Request) -> Reply:
        """One attempt at an answer. Raises ServerLost where its server is out and another one is not."""
        if self._given_up:
            raise CallFailed(self._given_up)
        server = _asked.get() or self._mine()
        if server.out and self._another(server):
            raise ServerLost(f"{server.name} {server.out}", error_type="connection")
        try:
            return server.client.complete(request)
        except CallFailed as failure:
            if len(self.servers) > 1:
                failure.happened_at(server.name)
            if not isinstance(failure, TransientFailure) or failure.for_load or not self._is_lost(server):
                raise
            raise ServerLost(str(failure), error_type=failure.error_type) from None

    def take_out(self, server: Server, why: str) -> None:
        """Give the server nothing more, and break off what it has; where there is another that answers."""
        with self._lock:
            before, server.out = server.out, why
            moves = self._another(server)
        if moves:
            server.client.interrupt()
        if not before:
            _logger.warning("%s %s%s", server.name, why, ": its simulations move to another" if moves else "")

    def take_back(self, server: Server) -> None:
        """Give new simulations to the server again, where it was taken out."""
        with self._lock:
            before, server.out = server.out, ""
        if before:
            _logger.warning("%s answers again", server.name)

    def give_up(self, why: str) -> None:
        """Let every call fail from now on: none of the servers will be back."""
        self._given_up = why

    def leave(self, server: Server) -> None:
        """A simulation has ended that kept to the server."""
        with self._lock:
            server.simulations -= 1

    def close(self) -> None:
        for server in self.servers:
            server.client.close()

    def _mine(self) -> Server:
        """The server of the simulation that the code works for; outside of any, that with the fewest."""
        kept = _kept.get()
        with self._lock:
            mine = kept.get(self) if kept is not None else None
            if mine is not None and not (mine.out and self._another(mine)):
                return mine
            chosen = min(
                [server for server in self.servers if not server.out] or self.servers,
                key=lambda server: server.simulations,
            )
            if kept is not None:
                if mine is not None:
                    mine.simulations -= 1
                chosen.simulations += 1
                kept[self] = chosen
            return chosen

    def _is_lost(self, server: Server) -> bool:
        """Whether a server that failed is out, and another one is not. It is asked by one thread at a time."""
        with server.asking:
            if not server.out and not server.answers():
                self.take_out(server, "does not answer")
        return bool(server.out) and self._another(server)

    def _another(self, server: Server) -> bool:
        return any(other is not server and not other.out for other in self.servers)
