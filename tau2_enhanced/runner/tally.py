"""How far a run is: counted as outcomes arrive, read by the display."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from tau2_enhanced.runner.jobs import Job, Outcome, Status


@dataclass
class Count:
    """Simulations of one domain, or of all."""

    planned: int = 0
    ended: int = 0
    """In this run and in the parts before it."""
    verdicts: int = 0
    passed: int = 0
    cost_usd: float = 0.0
    unpriced: bool = False
    """Some cost is unknown, so `cost_usd` is the least."""

    def add(self, outcome: Outcome) -> None:
        self.ended += 1
        self.verdicts += outcome.status is Status.VERDICT
        self.passed += outcome.passed
        self.cost_usd += outcome.known_cost_usd
        self.unpriced = self.unpriced or outcome.cost_usd() is None

    @property
    def pass_rate(self) -> float | None:
        return self.passed / self.verdicts if self.verdicts else None


@dataclass
class Tally:
    """Counts of a run, for each domain and for all."""

    all: Count = field(default_factory=Count)
    domains: dict[str, Count] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    ended_here: int = 0
    """Simulations that ended since this process began."""

    @classmethod
    def of(cls, planned: Iterable[Job], earlier: Iterable[Outcome]) -> Tally:
        """The tally of a plan, with what earlier parts of the run finished."""
        tally = cls()
        for job in planned:
            tally.all.planned += 1
            tally.domains.setdefault(job.domain, Count()).planned += 1
        for outcome in earlier:
            tally._count(outcome)
        return tally

    def add(self, outcome: Outcome) -> None:
        self._count(outcome)
        self.ended_here += 1

    def _count(self, outcome: Outcome) -> None:
        self.all.add(outcome)
        self.domains[outcome.domain].add(outcome)

    @property
    def per_second(self) -> float:
        """Simulations ended per second of this process."""
        return self.ended_here / max(time.monotonic() - self.started, 1e-9)

    @property
    def eta_s(self) -> float | None:
        """Seconds until the plan is done at the rate so far; None before the first has ended."""
        return (self.all.planned - self.all.ended) / self.per_second if self.ended_here else None
