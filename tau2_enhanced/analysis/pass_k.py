"""pass^k and how sure it is.

pass^k = mean over tasks of C(c, k) / C(n, k), c successes of n trials (https://arxiv.org/abs/2406.12045).
A task's trials are not independent of each other, so standard errors are clustered by task and the
bootstrap draws tasks, not trials (https://arxiv.org/abs/2411.00640).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from math import comb, sqrt
from operator import mul
from statistics import NormalDist
from typing import NamedTuple

TOLERANCE = 1e-6
"""How far a reward may be from 1 and still be a success, as tau2 counts it."""
CONFIDENCE = 0.95
"""Of every interval."""
_SAMPLES = 2000


class Trials(NamedTuple):
    """A task's verdicts."""

    successes: int
    verdicts: int


class Interval(NamedTuple):
    """A confidence interval of a share."""

    low: float
    high: float


def is_success(reward: float) -> bool:
    """Whether a reward is 1."""
    return abs(reward - 1.0) <= TOLERANCE


def pass_hat_k(tasks: Iterable[Trials], k: int) -> float | None:
    """pass^k over the tasks that have at least k verdicts; None where there is none."""
    shares = [_share(task, k) for task in tasks if task.verdicts >= k]
    return sum(shares) / len(shares) if shares else None


def tasks_of(tasks: Iterable[Trials], k: int) -> int:
    """How many tasks pass^k is the mean of: those that have at least k verdicts."""
    return sum(task.verdicts >= k for task in tasks)


def clustered_standard_error(tasks: Iterable[Trials]) -> float | None:
    """Standard error of pass^1, clustered by task; None for fewer than two tasks.

    sqrt(sum over tasks (share - pass^1)^2 / (C (C - 1))), C tasks; where all have as many trials, that is
    sqrt(C / (C - 1) * sum over tasks (sum over trials (s - mean))^2) / n, n trials in all.
    """
    judged = [task for task in tasks if task.verdicts]
    return _estimate(judged, [1] * len(judged)).standard_error if judged else None


def wilson_interval(successes: float, trials: float) -> Interval | None:
    """Wilson's score interval of a share (Wilson 1927); None without trials."""
    return _wilson(successes / trials, trials) if trials else None


def pass_1_interval(tasks: Iterable[Trials]) -> Interval | None:
    """Wilson's interval of pass^1, in which all tasks weigh the same, however many verdicts each has.

    It is that for the effective number of trials: as many independent ones as the clustered ones are worth, whose
    plain standard error equals the clustered one. Where that is 0 or unknown, it is the number of tasks.
    """
    judged = [task for task in tasks if task.verdicts]
    return _clustered_interval(judged, [1] * len(judged))


def pooled_interval(clusters: Iterable[Trials]) -> Interval | None:
    """The same of the share of all trials, in which all trials weigh the same, whichever cluster they are of."""
    judged = [cluster for cluster in clusters if cluster.verdicts]
    return _clustered_interval(judged, [cluster.verdicts for cluster in judged])


def bootstrap_interval(tasks: Sequence[Trials], k: int) -> Interval | None:
    """Percentile interval of pass^k over resampled tasks; None where no task has k verdicts.

    Tasks that are all alike can't be resampled to others: theirs is Wilson's interval for as many trials as tasks.
    """
    shares = [_share(task, k) for task in tasks if task.verdicts >= k]
    if not shares:
        return None
    if len(set(shares)) == 1:
        return _wilson(shares[0], len(shares))
    source = random.Random(0)
    means = sorted(sum(source.choices(shares, k=len(shares))) / len(shares) for _ in range(_SAMPLES))
    tail = int((1 - CONFIDENCE) / 2 * (_SAMPLES - 1))
    return Interval(means[tail], means[-1 - tail])


def _share(task: Trials, k: int) -> float:
    return comb(task.successes, k) / comb(task.verdicts, k)


class _Estimate(NamedTuple):
    share: float
    standard_error: float | None
    """None for fewer than two clusters."""
    most_effective: float
    """How many independent trials the clusters' are worth at most, with these weights."""


def _estimate(clusters: Sequence[Trials], weights: Sequence[int]) -> _Estimate:
    """The weighted mean of the shares of one cluster or more, each of one trial or more."""
    count, total = len(clusters), sum(weights)
    shares = [_share(cluster, 1) for cluster in clusters]
    # rounding must not make a spread where all are alike
    mean = shares[0] if len(set(shares)) == 1 else sum(map(mul, weights, shares)) / total
    squares = sum((weight * (share - mean)) ** 2 for weight, share in zip(weights, shares, strict=True))
    error = sqrt(count / (count - 1) * squares) / total if count > 1 else None
    most = total**2 / sum(weight**2 / of.verdicts for weight, of in zip(weights, clusters, strict=True))
    return _Estimate(mean, error, most)


def _clustered_interval(clusters: Sequence[Trials], weights: Sequence[int]) -> Interval | None:
    if not clusters:
        return None
    share, error, most = _estimate(clusters, weights)
    effective = share * (1 - share) / error**2 if error else float(len(clusters))
    return _wilson(share, min(effective, most))


def _wilson(share: float, trials: float) -> Interval:
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # rounding must not leave out a share of 0 or 1
    return Interval(max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))
