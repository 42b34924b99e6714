"""What model servers said of themselves while a run ran: the columns of `vllm_metrics.csv`."""

from __future__ import annotations

import csv
import threading
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path

FILE_NAME = "vllm_metrics.csv"
"""In the folder of the run's logs."""


@dataclass(frozen=True, slots=True)
class ServerSample:
    """One server at one moment. What it did not say is None; a server that did not answer said nothing."""

    timestamp: datetime
    """Local time."""
    run: str
    at_ms: float
    """Milliseconds since the run's start, by the run's clock."""
    server: str
    """Its host and port."""
    running: float | None = None
    """Requests in the running batch."""
    waiting: float | None = None
    """Requests that wait to be run."""
    kv_cache_usage: float | None = None
    """Share of the KV cache's blocks in use, between 0 and 1."""
    preemptions: float | None = None
    """So far, since the server's start; also the four below."""
    prefix_cache_queries: float | None = None
    """Tokens of prompts that were looked up in the prefix cache."""
    prefix_cache_hits: float | None = None
    """Those of them that were there."""
    prompt_tokens: float | None = None
    generation_tokens: float | None = None
    prefix_cache_hit_rate: float | None = None
    """Hits by queries since the sample before, between 0 and 1; None where nothing was looked up."""
    prompt_tokens_per_s: float | None = None
    """Since the sample before."""
    generation_tokens_per_s: float | None = None


COLUMNS = tuple(field.name for field in fields(ServerSample))
GAUGES = ("running", "waiting", "kv_cache_usage")
COUNTERS = ("preemptions", "prefix_cache_queries", "prefix_cache_hits", "prompt_tokens", "generation_tokens")


class SampleFile:
    """Appends samples to a file, which is made with the first of them; used from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def write(self, sample: ServerSample) -> None:
        """Raises OSError where the file can't be written."""
        row = [_text(value) for value in astuple(sample)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self.path.open("a", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            if not file.tell():
                lines.writerow(COLUMNS)
            lines.writerow(row)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return f"{value:.12g}" if isinstance(value, float) else str(value)
