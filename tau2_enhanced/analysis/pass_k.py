"""pass^k and how sure it is.

pass^k = mean over tasks of C(c, k) / C(n, k), c successes of n trials (https://arxiv.org/abs/2406.12045).
A task's trials are not independent of each other, so standard errors are clustered by task and the
bootstrap draws tasks, not trials (https://arxiv.org/abs/2411.00640).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from math import comb, sqrt
from statistics import NormalDist
from typing import NamedTuple

TOLERANCE = 1e-6
"""How far a reward may be from 1 and still be a success, as tau2 counts it."""
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


def clustered_standard_error(tasks: Sequence[Trials]) -> float | None:
    """Standard error of the success rate over all trials, clustered by task; None for fewer than two tasks.

    sqrt(C / (C - 1) * sum over tasks (sum over trials (s - mean))^2) / n, C tasks, n trials.
    """
    clusters = len(tasks)
    trials = sum(task.verdicts for task in tasks)
    if clusters < 2 or not trials:
        return None
    mean = sum(task.successes for task in tasks) / trials
    squares = sum((task.successes - mean * task.verdicts) ** 2 for task in tasks)
    return sqrt(clusters / (clusters - 1) * squares) / trials


def wilson_interval(successes: float, trials: float, confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval of a share (Wilson 1927); None without trials."""
    if not trials:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def pass_1_interval(tasks: Sequence[Trials], confidence: float = 0.95) -> Interval | None:
    """Wilson's interval of pass^1 for as many independent trials as the clustered ones are worth.

    The effective number of trials is that whose plain standard error equals the clustered one; where the
    clustered one is 0 or unknown, it is the number of tasks.
    """
    trials = sum(task.verdicts for task in tasks)
    if not trials:
        return None
    share = sum(task.successes for task in tasks) / trials
    error = clustered_standard_error(tasks)
    effective = share * (1 - share) / error**2 if error else float(len(tasks))
    effective = min(effective, float(trials))
    return wilson_interval(share * effective, effective, confidence)


def bootstrap_interval(tasks: Sequence[Trials], k: int, confidence: float = 0.95, seed: int = 0) -> Interval | None:
    """Percentile interval of pass^k over resampled tasks; None where no task has k verdicts."""
    shares = [_share(task, k) for task in tasks if task.verdicts >= k]
    if not shares:
        return None
    source = random.Random(seed)
    means = sorted(sum(source.choices(shares, k=len(shares))) / len(shares) for _ in range(_SAMPLES))
    tail = (1 - confidence) / 2
    return Interval(means[int(tail * (_SAMPLES - 1))], means[-1 - int(tail * (_SAMPLES - 1))])


def _share(task: Trials, k: int) -> float:
    return comb(task.successes, k) / comb(task.verdicts, k)
