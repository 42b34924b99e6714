"""pass^k: how likely k independent trials of a task all succeed.

pass^k = mean over tasks of C(c, k) / C(n, k), c successes of n trials (https://arxiv.org/abs/2406.12045).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import comb
from typing import NamedTuple


class Trials(NamedTuple):
    """A task's verdicts."""

    successes: int
    verdicts: int


def pass_hat_k(tasks: Iterable[Trials], k: int) -> float | None:
    """pass^k over the tasks that have at least k verdicts; None where there is none."""
    shares = [comb(task.successes, k) / comb(task.verdicts, k) for task in tasks if task.verdicts >= k]
    return sum(shares) / len(shares) if shares else None
