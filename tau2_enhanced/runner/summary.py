"""What a run came to, as plain numbers: the content of `run/summary.json`.

Units stand in the names. Verdicts alone enter pass^k; how many of the planned simulations have one is
the coverage beside it. Each pass^k is the mean over the tasks that have k verdicts, of which there are as
many as `pass_hat_k_tasks` says: where some are missing, a larger k may rest on a few tasks, and be higher
than a smaller one. `pass_hat_k_lower_bound` counts those without one as failed; where every planned
simulation was at least tried, that is what tau2 computes from the results files. Times are of verdicts.
`cost_usd` is of the attempts that count and None where a part is unknown, `spent_usd` what is known of the cost of
all, those included that had to be repeated.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tau2_enhanced.analysis.pass_k import Trials, pass_hat_k, tasks_of
from tau2_enhanced.runner.jobs import JobKey, Outcome, Status

_LISTED = 10
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens")


def summarise(planned: Sequence[JobKey], find: Callable[[JobKey], Outcome | None]) -> dict[str, Any]:
    """The summary of a plan; `find` gives a simulation's outcome, None where it has not ended."""
    outcomes = [outcome for key in planned if (outcome := find(key)) is not None]
    domains = list(dict.fromkeys(key.domain for key in planned))
    verdicts = [outcome for outcome in outcomes if outcome.status is Status.VERDICT]
    ended = [outcome for outcome in outcomes if not outcome.given_up]
    return {
        **_group(planned, outcomes),
        "domains": {
            domain: _group(
                [key for key in planned if key.domain == domain],
                [outcome for outcome in outcomes if outcome.domain == domain],
            )
            for domain in domains
        },
        "failed": [_line(outcome) for outcome in verdicts if not outcome.passed],
        "without_verdict": [_line(outcome) for outcome in outcomes if outcome.status is not Status.VERDICT],
        "not_run": [key._asdict() for key in planned if find(key) is None],
        "looped": [_loop(outcome) for outcome in outcomes if outcome.loops],
        "slowest": [_line(outcome) for outcome in sorted(ended, key=lambda outcome: -outcome.duration_ms)[:_LISTED]],
    }


def _group(planned: Sequence[JobKey], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    verdicts = [outcome for outcome in outcomes if outcome.status is Status.VERDICT]
    durations = [outcome.duration_ms for outcome in verdicts]
    judged = _trials([outcome.key for outcome in verdicts], verdicts)
    return {
        "tasks": len({(key.domain, key.task) for key in planned}),
        "planned": len(planned),
        "finished": len(verdicts),
        "coverage": len(verdicts) / len(planned) if planned else None,
        "passed": sum(outcome.passed for outcome in verdicts),
        "mean_reward": statistics.fmean(outcome.reward or 0.0 for outcome in verdicts) if verdicts else None,
        "pass_hat_k": _pass_hats(judged),
        "pass_hat_k_tasks": {str(k): tasks_of(judged, k) for k in _ks(judged)},
        "pass_hat_k_lower_bound": _pass_hats(_trials(planned, verdicts)),
        "cost_usd": _cost(outcomes),
        "cost_usd_by_role": {role: _cost(outcomes, role) for role in _roles(outcomes)},
        **{kind: _tokens(outcomes, kind) for kind in _TOKENS},
        "model_calls": sum(used["calls"] for outcome in outcomes for used in outcome.used.values()),
        "duration_ms_median": statistics.median(durations) if durations else None,
        "duration_ms_p95": _percentile(durations, 95),
        "termination_reasons": dict(Counter(_reason(outcome) for outcome in outcomes).most_common()),
    }


def _trials(counted: Iterable[JobKey], verdicts: Iterable[Outcome]) -> list[Trials]:
    """The tasks of what is counted; what did not pass, or has no verdict, failed."""
    counts = Counter((key.domain, key.task) for key in counted)
    passed = Counter((outcome.domain, outcome.task) for outcome in verdicts if outcome.passed)
    return [Trials(passed[task], count) for task, count in counts.items()]


def _pass_hats(tasks: Sequence[Trials]) -> dict[str, float]:
    found = {str(k): pass_hat_k(tasks, k) for k in _ks(tasks)}
    return {k: value for k, value in found.items() if value is not None}


def _ks(tasks: Sequence[Trials]) -> range:
    return range(1, max((task.verdicts for task in tasks), default=0) + 1)


def _cost(outcomes: Iterable[Outcome], *roles: str) -> float | None:
    """None where any part is unknown."""
    costs = [outcome.cost_usd(*roles) for outcome in outcomes]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 10) if len(known) == len(costs) else None


def _tokens(outcomes: Iterable[Outcome], kind: str) -> int | None:
    """None where a server did not say."""
    counts = [outcome.tokens(kind) for outcome in outcomes]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _roles(outcomes: Iterable[Outcome]) -> list[str]:
    present = {role for outcome in outcomes for role in outcome.used}
    return [role for role in ("agent", "expert", "user", "judge") if role in present]


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """Linear between the two nearest values."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _reason(outcome: Outcome) -> str:
    """Why it ended; for one without a verdict, why it has none."""
    return outcome.termination_reason if outcome.status is Status.VERDICT else f"no_verdict:{outcome.error_type}"


def _loop(outcome: Outcome) -> dict[str, Any]:
    function, repeats = max(outcome.loops.items(), key=lambda loop: loop[1])
    return {**outcome.key._asdict(), "function": function, "repeats": repeats, "reward": outcome.reward}


def _line(outcome: Outcome) -> dict[str, Any]:
    return {
        **outcome.key._asdict(),
        "reward": outcome.reward,
        "termination_reason": outcome.termination_reason,
        "error_type": outcome.error_type,
        "error": outcome.error,
        "duration_ms": outcome.duration_ms,
        "cost_usd": outcome.cost_usd(),
    }
