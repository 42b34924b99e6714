"""The statistics that the analyses share, each with its source; None where there is none, never NaN or inf.

Everything here takes plain sequences and gives plain numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, log2
from typing import Any

from tau2_enhanced.analysis.pass_k import CONFIDENCE, Trials, pooled_interval, wilson_interval

PERCENTILES = (50, 90, 95, 99)
_RESAMPLES = 1000
_DRAWS = 5_000_000
"""How many numbers the bootstrap may draw: fewer resamples of very many clusters."""
_FEWEST_RESAMPLES = 200
_SLOPE_POINTS = 1000


def share(part: int, whole: int) -> dict[str, Any]:
    """A share with Wilson's 95 % interval (Wilson 1927): `value`, `low`, `high`, `n`; None without trials."""
    interval = wilson_interval(part, whole)
    return {
        "value": part / whole if whole else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "n": whole,
    }


def clustered_share(clusters: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """The share of all trials with Wilson's 95 % interval for as many independent ones as they are worth.

    Each cluster is its successes and its trials: the calls of one simulation are not independent of each other
    (https://arxiv.org/abs/2411.00640, and `pooled_interval`).
    """
    trials = [Trials(successes, count) for successes, count in clusters if count]
    interval = pooled_interval(trials)
    whole = sum(trial.verdicts for trial in trials)
    return {
        "value": sum(trial.successes for trial in trials) / whole if whole else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "n": whole,
        "clusters": len(trials),
    }


def bootstrap_mean(clusters: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """The mean over all values with the percentile interval of a bootstrap over clusters (Efron 1979).

    Each cluster is the sum of its values and their number. Whole clusters are drawn, since values of one
    simulation depend on each other; with fewer than two clusters there is no interval.
    """
    import numpy as np

    totals = np.array([total for total, _ in clusters], dtype=float)
    counts = np.array([count for _, count in clusters], dtype=float)
    n = int(counts.sum()) if len(clusters) else 0
    found: dict[str, Any] = {"value": None, "low": None, "high": None, "n": n, "clusters": len(clusters)}
    if not n:
        return found
    found["value"] = float(totals.sum() / n)
    if len(clusters) > 1:
        draws = np.random.default_rng(0)
        resamples = max(min(_RESAMPLES, _DRAWS // len(clusters)), _FEWEST_RESAMPLES)
        means = np.empty(resamples)
        for resample in range(resamples):
            chosen = draws.integers(0, len(clusters), len(clusters))
            means[resample] = totals[chosen].sum() / counts[chosen].sum()
        low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        found["low"], found["high"] = float(low), float(high)
    return found


def gini(values: Iterable[float]) -> float | None:
    """Gini's coefficient of values that are not negative: 0 where all are equal, towards 1 where one has all.

    G = sum over i of (2 i - n - 1) x_i / (n sum of x), the values in order and i from 1 (Gini 1912; Sen 1973).
    None without values and where all are 0.
    """
    ordered = sorted(values)
    total = float(sum(ordered))
    if total <= 0 or not isfinite(total):
        return None
    n = len(ordered)
    return max(0.0, sum((2 * place - n - 1) * value for place, value in enumerate(ordered, 1)) / (n * total))


def diversity(counts: Iterable[int]) -> dict[str, Any]:
    """How diverse what was counted is.

    `shannon_bits` is Shannon's entropy, minus the sum of p log2 p (Shannon 1948); `evenness` is that over its
    maximum log2 kinds (Pielou 1966), None for fewer than two kinds; `effective_kinds` is 2 to the entropy, how
    many equally frequent kinds would be as diverse (Hill 1973).
    """
    present = [count for count in counts if count > 0]
    total = sum(present)
    if not total:
        return {"kinds": 0, "n": 0, "shannon_bits": None, "evenness": None, "effective_kinds": None}
    entropy = max(0.0, -sum(count / total * log2(count / total) for count in present))
    return {
        "kinds": len(present),
        "n": total,
        "shannon_bits": entropy,
        "evenness": min(1.0, entropy / log2(len(present))) if len(present) > 1 else None,
        "effective_kinds": 2**entropy,
    }


def spearman(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """Spearman's rank correlation (Spearman 1904), which skewed values don't mislead, and its two-sided p-value.

    None for fewer than three pairs and where one side is constant.
    """
    n = len(first)
    if n < 3 or len(set(first)) < 2 or len(set(second)) < 2:
        return {"rho": None, "p_value": None, "n": n}
    from scipy import stats

    found = stats.spearmanr(first, second)
    return {"rho": finite(found.statistic), "p_value": finite(found.pvalue), "n": n}


def mann_kendall(times: Sequence[float], values: Sequence[float]) -> dict[str, Any]:
    """Whether values rise or fall with time: the test of Mann (1945) and Kendall (1975), which is of no shape.

    `tau` is Kendall's tau-b, from -1 to 1; `p_value` two-sided; `slope_per_hour` the median of the slopes between
    all pairs (Theil 1950, Sen 1968), over at most 1,000 values, evenly chosen. `times` are in seconds. None for
    fewer than four values, and where all times or values are equal.
    """
    n = len(times)
    if n < 4 or len(set(times)) < 2 or len(set(values)) < 2:
        return {"tau": None, "p_value": None, "slope_per_hour": None, "n": n}
    from scipy import stats

    found = stats.kendalltau(times, values)
    pairs = sorted(zip(times, values, strict=True))
    chosen = pairs[:: -(-n // _SLOPE_POINTS)]
    slope = None
    if len({time for time, _ in chosen}) > 1:
        slope = stats.theilslopes([value for _, value in chosen], [time for time, _ in chosen]).slope
    return {
        "tau": finite(found.statistic),
        "p_value": finite(found.pvalue),
        "slope_per_hour": finite(slope * 3600) if slope is not None else None,
        "n": n,
    }


def correct(rows: Sequence[dict[str, Any]]) -> None:
    """Add `q_value` and `significant` to rows that were tested together: one in twenty would be found by chance.

    q-values are p-values corrected for the false discovery rate (Benjamini and Hochberg 1995).
    """
    tested = [row for row in rows if row["p_value"] is not None]
    corrected: Iterable[float] = []
    if tested:
        from scipy import stats

        corrected = stats.false_discovery_control([row["p_value"] for row in tested])
    for row in rows:
        row["q_value"], row["significant"] = None, None
    for row, q_value in zip(tested, corrected, strict=True):
        row["q_value"], row["significant"] = float(q_value), bool(q_value <= 1 - CONFIDENCE)


def finite(value: Any) -> float | None:
    """A number as a plain one; None for one that is none or has no end."""
    return float(value) if value is not None and isfinite(value) else None
