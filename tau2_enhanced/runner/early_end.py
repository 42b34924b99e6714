"""What ends a run before its plan does: going on would waste money or time."""

from __future__ import annotations

from collections.abc import Iterable

from tau2_enhanced.models.failures import UNREACHABLE, AuthenticationFailed, NotThere, ServerBusy
from tau2_enhanced.runner.jobs import Outcome
from tau2_enhanced.runner.pool import Stop
from tau2_enhanced.runner.record import Record


def look_at_servers(outcomes: Iterable[Outcome], stop: Stop) -> None:
    """Ask for a stop where a server will answer no other call either.

    Before the outcomes are put on record: that takes long enough for many others to fail.
    """
    for outcome in outcomes:
        if outcome.error_type == AuthenticationFailed.error_type:
            stop.request(f"a server refuses further calls: {outcome.error}")
        if outcome.error_type == NotThere.error_type:
            stop.request(f"a server does not know the model or the address asked for: {outcome.error}")
        if outcome.error_type == UNREACHABLE:
            stop.request(f"a server can't be reached, even after waiting: {outcome.error}")
        if outcome.error_type == ServerBusy.error_type:
            stop.request(f"a server keeps refusing calls under load: {outcome.error}")


def look_at_cost(outcome: Outcome, record: Record, stop: Stop, *, max_cost_usd: float | None) -> None:
    """Ask for a stop where that much is spent, or it can't be known."""
    if max_cost_usd is None:
        return
    if outcome.cost_usd() is None:
        stop.request("--max-cost can't be enforced: a server does not report how many tokens a call used")
    elif record.spent_usd >= max_cost_usd:
        stop.request(f"--max-cost {max_cost_usd:g} USD is reached")
