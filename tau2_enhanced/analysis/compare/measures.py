"""What is compared, and the words for it."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """A number that each simulation has."""

    key: str
    """Its name in `compare.json`, with its unit at the end."""
    column: str
    """Where `simulations` has it."""
    name: str
    unit: str
    more: str
    """What is said of a run that has more of it; `{run}` and `{amount}` stand in it."""
    less: str
    scale: float = 1.0
    """What the column is multiplied by."""
    a_task: bool = True
    """Whether the amount is one for each task, as seconds are and points are not."""
    share: bool = False
    """Whether it lies between 0 and 1, so that its interval is a share's."""
    optional: bool = False
    """Whether it is passed over where no simulation of either run has any."""
    alike: bool = False
    """Whether it is told alike in two logs or two results files, but not in one of each."""
    logged: bool = False
    """Whether logs alone tell it."""


def _part(column: str, name: str, spends: str, *, logged: bool = False, optional: bool = False) -> Measure:
    return Measure(
        column.replace("_ms", "_s"), column, name, "s", f"{{run}} spends {{amount}} more {spends} a task",
        f"{{run}} spends {{amount}} less {spends} a task", 0.001, optional=optional, alike=True, logged=logged,
    )  # fmt: skip


def _count(
    column: str, name: str, verb: str, *, optional: bool = False, alike: bool = False, logged: bool = False
) -> Measure:
    return Measure(
        column, column, name, "", f"{{run}} {verb} {{amount}} more {name} a task",
        f"{{run}} {verb} {{amount}} fewer {name} a task", optional=optional, alike=alike, logged=logged,
    )  # fmt: skip


MEASURES = (
    Measure(
        "pass_1", "passed", "pass^1", "points", "{run}'s pass^1 is {amount} higher", "{run}'s pass^1 is {amount} lower",
        a_task=False, share=True,
    ),
    Measure(
        "reward", "reward", "reward", "", "{run}'s reward is {amount} higher", "{run}'s reward is {amount} lower",
        a_task=False, share=True,
    ),
    Measure(
        "duration_s", "duration_ms", "duration", "s", "{run} is {amount} slower a task",
        "{run} is {amount} faster a task", 0.001, alike=True,
    ),
    Measure(
        "cost_usd", "cost_usd", "cost", "USD", "{run} is {amount} dearer a task", "{run} is {amount} cheaper a task"
    ),
    Measure(
        "agent_cost_usd", "agent_cost_usd", "cost of the agent", "USD", "{run}'s agent is {amount} dearer a task",
        "{run}'s agent is {amount} cheaper a task",
    ),
    _count("input_tokens", "input tokens", "reads", alike=True),
    _count("output_tokens", "output tokens", "writes", alike=True),
    _count("steps", "steps", "takes"),
    _count("llm_calls", "model calls", "makes", alike=True),
    _count("tool_calls", "tool calls", "makes"),
    _count("tool_errors", "tool errors", "has"),
    _count("retries", "retries", "has", optional=True, logged=True),
    _part("model_ms", "time of the model", "in its model"),
    _part("user_simulator_ms", "time of the user simulator", "in the user simulator"),
    _part("judge_ms", "time of the judge", "in the judge", logged=True, optional=True),
    _part("tools_ms", "time of tools", "in tools"),
    _part("retry_wait_ms", "waits to retry", "in waits to retry", logged=True, optional=True),
    _part("framework_ms", "time of the framework", "in the framework", logged=True),
)  # fmt: skip
