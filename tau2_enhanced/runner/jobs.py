"""What is to be run and what came of it, as plain data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, NamedTuple

from tau2_enhanced.analysis.pass_k import is_success
from tau2_enhanced.models.cutoff import GivenUp


class JobKey(NamedTuple):
    """Names one simulation of a plan."""

    domain: str
    task: str
    trial: int


class Status(StrEnum):
    """How a simulation ended."""

    VERDICT = "verdict"
    """It counts, and is never run again."""
    NO_VERDICT = "no_verdict"
    """The infrastructure failed, or the run was stopped while it ran; `--resume` runs it again."""
    UNJUDGED = "unjudged"
    """The conversation is whole, its evaluation failed; `--resume` evaluates it again."""


@dataclass
class Outcome:
    """What one attempt at a simulation came to: one line of the run's record."""

    domain: str
    task: str
    trial: int
    seed: int
    sim: str
    status: Status
    reward: float | None
    """None where there is no verdict."""
    termination_reason: str
    error_type: str | None
    error: str | None
    duration_ms: float
    ended_ms: float
    """When it ended, since the run's start."""
    steps: int
    used: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By role (agent, expert, user, judge): calls, input_tokens, output_tokens, cached_tokens, cost_usd, seconds."""
    loops: dict[str, int] = field(default_factory=dict)
    """By function that was called in a loop, how many times in a row at most."""
    simulation: dict[str, Any] = field(default_factory=dict)
    """The tau2 SimulationRun."""
    continues: str | None = None
    """The `sim` of an earlier attempt whose conversation this one only evaluated; its account is part of `used`."""

    @property
    def key(self) -> JobKey:
        return JobKey(self.domain, self.task, self.trial)

    @property
    def given_up(self) -> bool:
        """Whether it was broken off with its run: it has not ended, and counts for what it cost alone."""
        return self.error_type == GivenUp.error_type

    @property
    def passed(self) -> bool:
        return self.reward is not None and is_success(self.reward)

    def cost_usd(self, *roles: str) -> float | None:
        """Cost of these roles, or of all; None where a price is unknown."""
        costs = [used["cost_usd"] for role, used in self.used.items() if not roles or role in roles]
        return None if None in costs else float(sum(costs))

    @property
    def known_cost_usd(self) -> float:
        """What is known of the cost: the least that it was."""
        return float(sum(used["cost_usd"] or 0.0 for used in self.used.values()))

    def tokens(self, kind: str) -> int | None:
        """input_tokens, output_tokens or cached_tokens of all roles; None where a server did not say."""
        counts = [used[kind] for used in self.used.values()]
        return None if None in counts else sum(counts)

    def to_json(self) -> dict[str, Any]:
        """Its fields by their names; no part is copied."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Raises KeyError, TypeError, AttributeError or ValueError for what is no outcome."""
        outcome = cls(**{**data, "status": Status(data["status"])})
        for number in (outcome.duration_ms, outcome.ended_ms, outcome.reward or 0.0, outcome.known_cost_usd):
            float(number)
        if not (isinstance(outcome.domain, str) and isinstance(outcome.task, str) and isinstance(outcome.trial, int)):
            raise TypeError("an outcome names its domain, task and trial")
        outcome.simulation["messages"]
        return outcome


@dataclass(frozen=True)
class Job:
    """One simulation to be run."""

    domain: str
    task: str
    trial: int
    seed: int
    unjudged: Outcome | None = None
    """An earlier attempt whose conversation is whole and only lacks its verdict."""

    @property
    def key(self) -> JobKey:
        return JobKey(self.domain, self.task, self.trial)


def derive_seed(seed: int, key: JobKey) -> int:
    """The seed of one simulation, from the run's: the same on every machine, in any order of running."""
    text = f"{seed}/{key.domain}/{key.task}/{key.trial}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 1_000_000
