"""tau2's registry, its models answered by ours and its databases loaded once."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tau2_enhanced.deferred_imports import deferred
from tau2_enhanced.domain_names import plain_domain
from tau2_enhanced.environments.domain_environments import over_shared_databases
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.tau2_versions.answering import keep_users_answers, route_generate
from tau2_enhanced.tau2_versions.copies import copy_what_is_read
from tau2_enhanced.tau2_versions.installation import supported_installation
from tau2_enhanced.tau2_versions.texts import read_texts_once

if TYPE_CHECKING:
    from tau2.data_model.message import AssistantMessage
    from tau2.environment.environment import Environment
    from tau2.registry import Registry

_GENERATE_OF = {
    "agent": "tau2.agent.llm_agent",
    "user": "tau2.user.user_simulator",
    "judge": "tau2.evaluator.evaluator_nl_assertions",
}
Generate = Callable[..., "AssistantMessage"]
"""tau2's call of a model."""
_UNSUPPORTED = {"banking_knowledge": "its environments need a retrieval and the task, which the runner does not give"}


_loaded: Registry | None = None
_loading = threading.Lock()


def load() -> Registry:
    """Import tau2, its messages kept off the screen. Raises UserMistake where no supported one is there."""
    global _loaded
    with _loading:
        if _loaded is None:
            _loaded = _load()
        return _loaded


def _load() -> Registry:
    installation = supported_installation()
    try:
        registry = _import()
    except ModuleNotFoundError as error:
        raise UserMistake(f"{installation} can't be imported: it needs {error.name}, which is not installed") from None
    _share_databases(registry)
    return registry


def _import() -> Registry:
    # all three take longer to import than the whole rest, and nothing of a run uses them
    with deferred("litellm", idle={"disable_cache"}), deferred("deepdiff"), deferred("pandas"):
        registry: Registry = importlib.import_module("tau2.registry").registry
        for role, module in _GENERATE_OF.items():
            route_generate(role, importlib.import_module(module))
        keep_users_answers(importlib.import_module(_GENERATE_OF["user"]))
    copy_what_is_read()
    read_texts_once()
    return registry


@contextmanager
def around_generate(wrap: Callable[[str, Generate], Generate]) -> Iterator[None]:
    """Inside the block, agent, user and judge call what `wrap` makes of their role and their `generate`."""
    modules = {role: importlib.import_module(name) for role, name in _GENERATE_OF.items()}
    originals = {role: module.generate for role, module in modules.items()}
    for role, module in modules.items():
        module.generate = wrap(role, originals[role])  # type: ignore[attr-defined]  # a module's own name
    try:
        yield
    finally:
        for role, module in modules.items():
            module.generate = originals[role]  # type: ignore[attr-defined]  # as above


def _share_databases(registry: Registry) -> None:
    """Let the registry, which tau2's evaluator asks too, construct environments over databases loaded once."""
    if "get_env_constructor" in vars(registry):
        return  # shared by an earlier load
    original = registry.get_env_constructor

    def get_env_constructor(name: str) -> Callable[..., Environment]:
        return over_shared_databases(original(name))

    registry.get_env_constructor = get_env_constructor


def check_domain(registry: Registry, domain: str) -> None:
    """Raise UserMistake for a domain that tau2 does not have, or that can't be run here."""
    known = [
        name
        for name in registry.get_domains()
        if name in registry.get_task_sets() and plain_domain(name) not in _UNSUPPORTED
    ]
    if (reason := _UNSUPPORTED.get(plain_domain(domain))) is not None:
        raise UserMistake(f"{domain} is not supported: {reason} (use {', '.join(known)})")
    if domain not in known:
        raise UserMistake(f"unknown domain {domain!r}: tau2 has {', '.join(known)}")
