"""The tools that agent and user hold: their names and schemas, described once for each class of tool kits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tau2_enhanced.models.client import ToolSchema

if TYPE_CHECKING:
    from tau2.data_model.tasks import Task
    from tau2.environment.environment import Environment

_descriptions: dict[type, list[ToolDescription]] = {}
"""By class of tool kits."""


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """What agent and user hold of a tool: they name it to their model, the environment alone calls it.

    tau2's own `Tool` takes a millisecond to make, and keeps the environment alive that it was made in.
    """

    name: str
    openai_schema: ToolSchema


def agent_tools(environment: Environment) -> list[ToolDescription]:
    """The agent's tools in an environment. Raises ValueError where it has none."""
    from tau2.environment.environment import Environment

    return _described(environment.tools, environment.get_tools, Environment.get_tools)


def user_tools(environment: Environment, task: Task | None = None) -> list[ToolDescription] | None:
    """The user's tools in an environment, or those of them that the task allows; None where users have none."""
    from tau2.environment.environment import Environment

    if environment.user_tools is None:
        return None
    tools = _described(environment.user_tools, environment.get_user_tools, Environment.get_user_tools)
    allowed = getattr(task, "user_tools", None)  # tau2 1.0 has it
    if allowed is None:
        return tools
    chosen = [tool for tool in tools if tool.name in allowed]
    # as tau2: a name that is no tool leaves the user without any
    return chosen if chosen and len(chosen) == len(set(allowed)) else None


def _described(tool_kit: Any, get_tools: Callable[[], list[Any]], tau2s_own: object) -> list[ToolDescription]:
    """The tools that `get_tools` gives, described once for each class of tool kits, if that class decides alone."""
    fixed = getattr(get_tools, "__func__", None) is tau2s_own and _class_decides(tool_kit)
    if fixed and type(tool_kit) in _descriptions:
        return list(_descriptions[type(tool_kit)])
    made = [ToolDescription(tool.name, tool.openai_schema) for tool in get_tools()]
    if fixed:
        _descriptions[type(tool_kit)] = made
    return list(made)


def _class_decides(tool_kit: Any) -> bool:
    """Whether a tool kit's tools follow from its class: tau2's own way, by decorated methods."""
    from tau2.environment.toolkit import ToolKitBase

    if not isinstance(tool_kit, ToolKitBase):
        return False
    own_way = type(tool_kit).tools is ToolKitBase.tools and type(tool_kit).get_tools is ToolKitBase.get_tools
    return own_way and not vars(tool_kit).keys() & {"get_tools", *tool_kit._func_tools}
