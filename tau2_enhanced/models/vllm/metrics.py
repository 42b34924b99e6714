"""What a vLLM server's `/metrics` says, as one sample.

The page is in Prometheus's text format, a metric's value a line. Each engine of a server has values of its own:
requests and counters are summed, the KV cache's use is their mean.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from tau2_enhanced.logging.server_samples import COUNTERS, GAUGES, ServerSample

_METRICS: Mapping[str, tuple[str, ...]] = {
    "running": ("vllm:num_requests_running",),
    "waiting": ("vllm:num_requests_waiting",),
    "kv_cache_usage": ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    "preemptions": ("vllm:num_preemptions_total",),
    "prefix_cache_queries": ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
    "prefix_cache_hits": ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
    "prompt_tokens": ("vllm:prompt_tokens_total",),
    "generation_tokens": ("vllm:generation_tokens_total",),
}
"""By column, the metric's name: today's first, older ones after it."""
_LINE = re.compile(r"^(vllm:\w+)(?:\{.*\})? +(\S+)(?: +-?\d+)?$", re.MULTILINE)


def read_metrics(page: str) -> dict[str, float]:
    """The columns of a sample that the page has values for."""
    values: dict[str, list[float]] = defaultdict(list)
    for name, text in _LINE.findall(page):
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            values[name].append(value)
    found = {}
    for column, names in _METRICS.items():
        if said := next((values[name] for name in names if name in values), None):
            found[column] = sum(said) / len(said) if column == "kv_cache_usage" else sum(said)
    return found


def with_rates(sample: ServerSample, before: ServerSample | None) -> ServerSample:
    """The sample, with what happened since the one before; a server that began anew counts from nothing."""
    if before is None:
        return sample
    since = {name: _since(getattr(sample, name), getattr(before, name)) for name in COUNTERS}
    seconds = (sample.at_ms - before.at_ms) / 1000
    queries, hits = since["prefix_cache_queries"], since["prefix_cache_hits"]
    return replace(
        sample,
        prefix_cache_hit_rate=min(1.0, hits / queries) if queries and hits is not None else None,
        prompt_tokens_per_s=_per_s(since["prompt_tokens"], seconds),
        generation_tokens_per_s=_per_s(since["generation_tokens"], seconds),
    )


def _since(now: float | None, before: float | None) -> float | None:
    if now is None or before is None:
        return None
    return now - before if now >= before else now


def _per_s(amount: float | None, seconds: float) -> float | None:
    return amount / seconds if amount is not None and seconds > 0 else None


assert {*GAUGES, *COUNTERS} == _METRICS.keys()
