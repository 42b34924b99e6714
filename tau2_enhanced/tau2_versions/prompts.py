"""What tau2 tells the models of a domain."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tau2_enhanced.tau2_versions.tool_descriptions import agent_tools, user_tools

if TYPE_CHECKING:
    from tau2.registry import Registry


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
