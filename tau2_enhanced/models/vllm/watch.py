"""Watches the servers while a run runs: which of them answer, and what each says of its work."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from tau2_enhanced.logging import get_logger
from tau2_enhanced.logging.server_samples import SampleFile, ServerSample
from tau2_enhanced.models.spread import Server, Spread
from tau2_enhanced.models.vllm.metrics import read_metrics, with_rates
from tau2_enhanced.models.vllm.probe import Health, Probe

_ASKS_EVERY_S = 2.5
_ASKED_FOR_A_SAMPLE = 2
"""Each time that it is asked for its health so often, its metrics are sampled too."""
_SILENT_S = 30.0
"""For how long a server may leave `/health` unanswered: one under load answers late."""
_PAGE_WITHIN_S = 5.0
_ENDS_WITHIN_S = 2.0

_logger = get_logger(__name__)


class ServerWatch:
    """A thread for each server, so that one that hangs keeps no other from being asked."""

    def __init__(
        self,
        spreads: Sequence[Spread],
        file: SampleFile,
        run: str,
        now_ms: Callable[[], float],
        *,
        asks_every_s: float = _ASKS_EVERY_S,
        silent_s: float = _SILENT_S,
    ) -> None:
        """Samples go to `file`, with the `run`'s id and times by its clock, `now_ms`."""
        self._file = file
        self._run = run
        self._now_ms = now_ms
        self._asks_every_s = asks_every_s
        self._silent_s = silent_s
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(spread, server), name=f"watch {server.name}", daemon=True)
            for spread in spreads
            for server in spread.servers
        ]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block; its end is sampled too."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._closed.set()
            until = time.monotonic() + _ENDS_WITHIN_S
            for thread in self._threads:
                thread.join(max(0.0, until - time.monotonic()))

    def _watch(self, spread: Spread, server: Server) -> None:
        probe = Probe(server.base_url, _PAGE_WITHIN_S)
        sampler: _Sampler | None = _Sampler(server, self._file, self._run, self._now_ms)
        began = heard = time.monotonic()
        for asked in itertools.count():
            health = probe.health()
            if health is Health.WELL:
                heard = time.monotonic()
                spread.take_back(server)
            elif health is not Health.SILENT or time.monotonic() - heard >= self._silent_s:
                spread.take_out(server, health.value)
            if sampler is not None and asked % _ASKED_FOR_A_SAMPLE == 0:
                has_metrics = sampler.sample(probe)
                sampler = sampler if has_metrics or health is not Health.WELL else None
            if self._closed.wait(max(0.0, began + (asked + 1) * self._asks_every_s - time.monotonic())):
                break
        if sampler is not None:
            sampler.sample(probe)
        probe.close()


class _Sampler:
    """Writes one server's samples."""

    def __init__(self, server: Server, file: SampleFile, run: str, now_ms: Callable[[], float]) -> None:
        self._server = server
        self._file = file
        self._run = run
        self._now_ms = now_ms
        self._last: ServerSample | None = None
        """The last one that said something."""
        self._said_unwritable = False

    def sample(self, probe: Probe) -> bool:
        """Take a sample; whether the server has ever had metrics to take one of."""
        metrics = read_metrics(probe.metrics() or "")
        if not metrics and self._last is None:
            return False
        at_ms = round(self._now_ms(), 3)
        sample = ServerSample(datetime.now(), self._run, at_ms, self._server.name, **metrics)
        sample = with_rates(sample, self._last)
        self._server.sample = sample
        self._last = sample if metrics else self._last
        try:
            self._file.write(sample)
        except OSError as error:
            if not self._said_unwritable:
                _logger.warning("%s can't be written: %s", self._file.path, error.strerror)
            self._said_unwritable = True
        return True
