#!/usr/bin/env python3
"""How often the intervals of a comparison hold the truth: `python benchmarks/interval_coverage.py`.

Runs are drawn again and again from tasks whose true means are known. 95 in 100 intervals should hold the true
difference; beside ours, the percentile and BCa intervals of a bootstrap over tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from tau2_enhanced.analysis.compare.paired import mean_difference, share_difference

ROUNDS = 1000
RESAMPLES = 999
TASKS = (10, 50, 114)
TRIALS = (1, 4)
_POPULATION = 200_000

Values = np.ndarray
Drawn = tuple[Values, Values]


class Scenario(NamedTuple):
    measure: str
    what: str
    truth: float
    draw: Callable[[int, int], Drawn]
    """Each task's mean in both runs, for a number of tasks and of trials."""


def scenarios(random: np.random.Generator) -> Iterator[Scenario]:
    for easy, hard, shift in ((0.5, 0.3, 0.0), (0.5, 0.3, 0.7), (2.0, 2.0, 0.7), (8.0, 0.4, 0.0)):
        yield _passes(random, easy, hard, shift)
    for ratio in (1.0, 0.6, 1.5):
        yield _costs(random, ratio)


def _passes(random: np.random.Generator, easy: float, hard: float, shift: float) -> Scenario:
    """Tasks pass with chances of a Beta distribution; the other run's log odds are higher by `shift`."""
    here = np.clip(random.beta(easy, hard, _POPULATION), 1e-6, 1 - 1e-6)
    there = 1 / (1 + (1 - here) / here * np.exp(-shift))

    def draw(tasks: int, trials: int) -> Drawn:
        drawn = random.integers(0, _POPULATION, tasks)
        return random.binomial(trials, here[drawn]) / trials, random.binomial(trials, there[drawn]) / trials

    truth = round(float((there - here).mean()), 9) + 0.0
    return Scenario("pass^1", f"Beta({easy:g}, {hard:g}), {100 * truth:+.1f} points", truth, draw)


def _costs(random: np.random.Generator, ratio: float) -> Scenario:
    """Log-normal costs: tasks differ by a factor of 2 or so, trials of a task by 1.5; the other run's are `ratio`."""
    of_tasks, of_trials = 0.7, 0.4

    def draw(tasks: int, trials: int) -> Drawn:
        means = np.exp(random.normal(0, of_tasks, (tasks, 1)))
        here, there = (means * np.exp(random.normal(0, of_trials, (tasks, trials))) for _ in range(2))
        return here.mean(1), ratio * there.mean(1)

    truth = (ratio - 1) * float(np.exp((of_tasks**2 + of_trials**2) / 2))
    return Scenario("cost", f"log-normal, {100 * (ratio - 1):+.0f} %", truth, draw)


def covered(scenario: Scenario, tasks: int, trials: int) -> dict[str, float]:
    """The share of intervals that hold the truth, of ours and of two bootstraps."""
    held = {"ours": 0, "percentile": 0, "BCa": 0}
    for _ in range(ROUNDS):
        here, there = scenario.draw(tasks, trials)
        if scenario.measure == "cost":
            found = mean_difference(here.tolist(), there.tolist())
        else:
            found = share_difference(here.tolist(), there.tolist(), tasks * trials)
        intervals = {"ours": (found.low, found.high), **_bootstraps(there - here)}
        for name, (low, high) in intervals.items():
            held[name] += low is not None and low - 1e-9 <= scenario.truth <= high + 1e-9
    return {name: n / ROUNDS for name, n in held.items()}


def _bootstraps(differences: Values) -> dict[str, tuple[float, float]]:
    if not np.ptp(differences):
        return dict.fromkeys(("percentile", "BCa"), (differences[0], differences[0]))
    made = None
    found = {}
    for name in ("percentile", "BCa"):
        made = stats.bootstrap(
            (differences,), np.mean, n_resamples=RESAMPLES if made is None else 0, method=name, bootstrap_result=made
        )
        found[name] = tuple(made.confidence_interval)
    return found


def main() -> None:
    random = np.random.default_rng(0)
    table = Table(title=f"per cent of {ROUNDS} intervals at 95 % that hold the truth", title_justify="left")
    for heading in ("measure", "tasks differ as", "tasks", "trials", "ours", "percentile", "BCa"):
        table.add_column(heading, justify="left" if heading in ("measure", "tasks differ as") else "right")
    for scenario in scenarios(random):
        for tasks in TASKS:
            for trials in TRIALS:
                shares = [f"{100 * share:.1f}" for share in covered(scenario, tasks, trials).values()]
                table.add_row(scenario.measure, scenario.what, str(tasks), str(trials), *shares)
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    main()
