"""tau2's domains in their enhanced form, in tau2's own registry: `airline_enhanced` beside `airline`.

An enhanced domain has the tasks, splits, policy, tools and databases of its original, whose environments are
watched: each live tool call is emitted as an event and, inside `logging.event_stream.recording`, recorded with
all that can be said of it. The original stays what it was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tau2_enhanced.domain_names import SUFFIX, is_enhanced, plain_domain
from tau2_enhanced.environments.domain_environments import over_shared_databases
from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.logging.recording import current_recording

if TYPE_CHECKING:
    from tau2.environment.environment import Environment
    from tau2.registry import Registry

GetEnvironment = Callable[..., "Environment"]
GetTasks = Callable[..., Any]


class EnhancedDomainRegistry:
    """Registers enhanced domains with tau2. All instances work on tau2's one registry, unless another is given."""

    def __init__(self, registry: Registry | None = None) -> None:
        if registry is None:
            from tau2.registry import registry as tau2s_own

            registry = tau2s_own
        self._registry = registry

    def register_all_available_domains(self) -> dict[str, GetEnvironment]:
        """Register every domain that tau2 has tasks for; by enhanced name, what makes its environments."""
        registry = self._registry
        return {
            name + SUFFIX: self.register_enhanced_domain(
                name,
                registry.get_env_constructor(name),
                registry.get_tasks_loader(name),
                get_task_splits=registry.get_task_splits_loader(name),
            )
            for name in registry.get_domains()
            if not is_enhanced(name) and name in registry.get_task_sets()
        }

    def register_enhanced_domain(
        self,
        domain_name: str,
        original_get_environment: GetEnvironment,
        original_get_tasks: GetTasks,
        get_task_splits: Callable[[], Mapping[str, list[str]]] | None = None,
    ) -> GetEnvironment:
        """Register one as `DOMAIN_NAME_enhanced`; what makes its environments. Of two of a name, the last counts."""
        name = plain_domain(domain_name) + SUFFIX
        registry = self._registry
        known = registry._domains.get(name)
        if isinstance(known, EnhancedEnvironments) and known.original is original_get_environment:
            return known
        for of_registry in (registry._domains, registry._tasks, registry._task_splits):
            of_registry.pop(name, None)
        made = EnhancedEnvironments(original_get_environment)
        registry.register_domain(made, name)
        registry.register_tasks(original_get_tasks, name, get_task_splits=get_task_splits)
        return made


class EnhancedEnvironments:
    """Called as the original constructor is, and gives its environments, watched."""

    def __init__(self, original: GetEnvironment) -> None:
        self.original = original
        functools.update_wrapper(self, original, updated=())

    def __call__(self, *args: Any, **options: Any) -> Environment:
        environment = over_shared_databases(self.original)(*args, **options)
        if type(environment) is LoggingEnvironment:
            return environment
        recording = current_recording()
        if recording is None:
            return LoggingEnvironment(environment)
        return LoggingEnvironment(environment, events=recording.sink, record_replays=recording.replays)
