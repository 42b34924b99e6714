"""tau2's results files: what the simulations came to, whoever ran them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tau2_enhanced.analysis.pass_k import (
    Interval,
    Trials,
    bootstrap_interval,
    clustered_standard_error,
    is_success,
    pass_1_interval,
    pass_hat_k,
    tasks_of,
)
from tau2_enhanced.analysis.sums import total
from tau2_enhanced.analysis.tool_accuracy import tool_accuracy
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.results_format import INFRASTRUCTURE_ERROR, checked_simulation


@dataclass(frozen=True)
class Simulation:
    """One simulation of a results file."""

    sim: str | None
    task: str
    trial: int
    seed: int | None
    start_time: str | None
    reward: float | None
    """None where there is no verdict (tau2: `skipped`, `infrastructure_error`, or no reward at all)."""
    termination_reason: str
    agent_cost_usd: float | None
    user_cost_usd: float | None
    duration_s: float
    messages: Sequence[Mapping[str, Any]] = field(repr=False)
    """As tau2 wrote them; none of a voice run."""
    breakdown: dict[str, float]
    """The reward by basis: DB, COMMUNICATE, …"""

    @property
    def cost_usd(self) -> float | None:
        """Of agent and user together."""
        return total([self.agent_cost_usd, self.user_cost_usd])

    @property
    def tool_messages(self) -> list[Mapping[str, Any]]:
        return [message for message in self.messages if message["role"] == "tool"]

    @property
    def calls(self) -> list[Mapping[str, Any]]:
        """All tool calls of agent and user."""
        return [call for message in self.messages for call in message.get("tool_calls") or ()]


def answers_by_id(messages: Iterable[Mapping[str, Any]]) -> dict[str, deque[Mapping[str, Any]]]:
    """The tools' messages by their calls' ids, each id's in their order: ids need not be unique in a simulation."""
    answers: dict[str, deque[Mapping[str, Any]]] = {}
    for message in messages:
        if message["role"] == "tool":
            answers.setdefault(message["id"], deque()).append(message)
    return answers


@dataclass(frozen=True)
class ResultsFile:
    """A file of tau2's `Results`."""

    path: Path
    run: str
    """The file's name, or its folder's where the file is named after its domain, or `results`."""
    domain: str
    agent_model: str | None
    user_model: str | None
    planned: int
    """Tasks times trials."""
    gold: Mapping[str, Sequence[Mapping[str, Any]]] = field(repr=False)
    """Each task's gold actions, as tau2 wrote them."""
    simulations: Sequence[Simulation]


def results_of(data: Any, path: Path) -> ResultsFile:
    """The results in the JSON of `path`, of any tau2. Raises UserMistake where it holds none."""
    try:
        info = data["info"]
        domain = info["environment_info"]["domain_name"]
        return ResultsFile(
            path=path,
            run=path.absolute().parent.name if path.stem in (domain, "results") else path.stem,
            domain=domain,
            agent_model=info["agent_info"].get("llm"),
            user_model=info["user_info"].get("llm"),
            planned=len(data["tasks"]) * info["num_trials"],
            gold={task["id"]: (task.get("evaluation_criteria") or {}).get("actions") or [] for task in data["tasks"]},
            simulations=[_simulation(checked_simulation(entry)) for entry in data["simulations"]],
        )
    except KeyError as error:
        raise UserMistake(f"{path} is no results file of tau2: {error} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UserMistake(f"{path} is no results file of tau2: {error}") from None


def result_statistics(results: ResultsFile) -> dict[str, Any]:
    """pass^k with intervals, coverage, flaky tasks, rewards by basis, costs, tokens and tools, as plain numbers.

    Verdicts alone enter pass^k; it is the mean over the `tasks` beside it, those that have k verdicts, which may
    be fewer than `planned_tasks`. Without a verdict there is pass^1 alone, which is None. `pass_1_standard_error` is
    clustered by task; the interval of pass^1 is Wilson's, those of pass^k (k > 1) come from a bootstrap over tasks;
    all are 95 % intervals. Simulations with a verdict alone enter the accuracy of tools.
    """
    verdicts = [simulation for simulation in results.simulations if simulation.reward is not None]
    by_task: dict[str, list[bool]] = defaultdict(list)
    for simulation in verdicts:
        by_task[simulation.task].append(is_success(simulation.reward or 0.0))
    tasks = [Trials(sum(passed), len(passed)) for passed in by_task.values()]
    tools = [message for simulation in results.simulations for message in simulation.tool_messages]
    most = max((task.verdicts for task in tasks), default=1)
    return {
        "file": str(results.path),
        "domain": results.domain,
        "agent_model": results.agent_model,
        "user_model": results.user_model,
        "tasks": len(by_task),
        "planned_tasks": len(results.gold),
        "planned": results.planned,
        "finished": len(verdicts),
        "coverage": len(verdicts) / results.planned if results.planned else None,
        "pass_hat_k": {str(k): _pass_hat(tasks, k) for k in range(1, most + 1)},
        "pass_1_standard_error": clustered_standard_error(tasks),
        "mean_reward": _mean([simulation.reward or 0.0 for simulation in verdicts]),
        "mean_reward_by_basis": _by_basis(verdicts),
        "flaky_tasks": sorted(task for task, passed in by_task.items() if len(set(passed)) == 2),
        "never_passed_tasks": sorted(task for task, passed in by_task.items() if not any(passed)),
        "agent_cost_usd": total([simulation.agent_cost_usd for simulation in results.simulations]),
        "user_cost_usd": total([simulation.user_cost_usd for simulation in results.simulations]),
        "input_tokens": _tokens(results, "prompt_tokens"),
        "output_tokens": _tokens(results, "completion_tokens"),
        "mean_duration_s": _mean([simulation.duration_s for simulation in verdicts]),
        "tool_calls": len(tools),
        "tool_errors": sum(bool(message.get("error")) for message in tools),
        "tool_accuracy": tool_accuracy((results.gold.get(run.task, []), run.calls) for run in verdicts),
    }


def _pass_hat(tasks: Sequence[Trials], k: int) -> dict[str, Any]:
    interval: Interval | None = pass_1_interval(tasks) if k == 1 else bootstrap_interval(tasks, k)
    return {
        "value": pass_hat_k(tasks, k),
        "low": interval.low if interval is not None else None,
        "high": interval.high if interval is not None else None,
        "tasks": tasks_of(tasks, k),
    }


def _simulation(entry: Mapping[str, Any]) -> Simulation:
    info = entry.get("reward_info")
    void = entry.get("skipped") or entry["termination_reason"] == INFRASTRUCTURE_ERROR
    return Simulation(
        sim=entry.get("id"),
        task=entry["task_id"],
        trial=entry.get("trial") or 0,
        seed=entry.get("seed"),
        start_time=entry.get("start_time"),
        reward=None if info is None or void else float(info["reward"]),
        termination_reason=entry["termination_reason"],
        agent_cost_usd=entry.get("agent_cost"),
        user_cost_usd=entry.get("user_cost"),
        duration_s=float(entry["duration"]),
        messages=entry["messages"] or [],
        breakdown=(info or {}).get("reward_breakdown") or {},
    )


def _by_basis(simulations: Sequence[Simulation]) -> dict[str, float]:
    rewards: dict[str, list[float]] = defaultdict(list)
    for simulation in simulations:
        for basis, reward in simulation.breakdown.items():
            rewards[basis].append(reward)
    return {basis: sum(values) / len(values) for basis, values in sorted(rewards.items())}


def _tokens(results: ResultsFile, name: str) -> int | None:
    """Those of all messages that say how many; None where none does."""
    usages = [message.get("usage") for simulation in results.simulations for message in simulation.messages]
    known = [usage[name] for usage in usages if isinstance(usage, Mapping) and isinstance(usage.get(name), int)]
    return sum(known) if known else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
