"""A server's own pages: whether it is well, and what it says of its work."""

from __future__ import annotations

from enum import Enum

import httpx2

from tau2_enhanced.models.http import connections_for

_SICK = (500, 502, 503, 504)
"""vLLM answers 503 when its engine is dead; a server without the page something else."""


class Health(Enum):
    """What a server answered when it was asked for its health."""

    WELL = "answers"
    SICK = "says that it is not well"
    SILENT = "does not answer"
    GONE = "can't be reached"


class Probe:
    """Asks one server. Its pages lie beside `/v1`; neither needs a key."""

    def __init__(self, base_url: str, timeout_s: float = 5.0) -> None:
        root = base_url.partition("?")[0].rstrip("/").removesuffix("/v1")
        self._health, self._metrics = f"{root}/health", f"{root}/metrics"
        self._alive = f"{root}/health/liveliness"
        self._knows_its_page = False
        self._client = httpx2.Client(timeout=timeout_s, transport=connections_for(base_url))

    def health(self) -> Health:
        """A server without this page answers too, by saying so."""
        try:
            self._choose_page()
            status = self._client.get(self._health).status_code
        except httpx2.TimeoutException:
            return Health.SILENT
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return Health.GONE
        return Health.SICK if status in _SICK else Health.WELL

    def _choose_page(self) -> None:
        """A proxy of LiteLLM's asks all its models, which costs money, at each `/health`; it has another page."""
        if not self._knows_its_page:
            answer = self._client.get(self._alive)
            self._health = self._alive if answer.status_code == 200 and "alive" in answer.text else self._health
            self._knows_its_page = True

    def is_well(self) -> bool:
        return self.health() is Health.WELL

    def metrics(self) -> str | None:
        """The page's text; None where there is none to be had."""
        try:
            answer = self._client.get(self._metrics)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return None
        return answer.text if answer.status_code == 200 else None

    def close(self) -> None:
        self._client.close()
