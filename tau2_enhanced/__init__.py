"""tau2-enhanced: a local evaluation runner for τ²-bench.

Importing it is enough to have tau2's domains in their enhanced form (`airline_enhanced`, …): they are registered
when tau2's registry is imported.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from tau2_enhanced.arming import arm
from tau2_enhanced.tau2_source import use_named_source

if TYPE_CHECKING:
    from tau2_enhanced.runner.enhanced_simulation import run_enhanced_simulation

__all__ = ["__version__", "run_enhanced_simulation"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # what runs a simulation is loaded for those who do
    if name != "run_enhanced_simulation":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tau2_enhanced.runner.enhanced_simulation import run_enhanced_simulation

    return run_enhanced_simulation


def _register_domains(tau2_registry: ModuleType) -> None:
    from tau2_enhanced.domain_registration import EnhancedDomainRegistry
    from tau2_enhanced.own_domains import import_named

    import_named()
    EnhancedDomainRegistry(tau2_registry.registry).register_all_available_domains()


use_named_source()
arm(_register_domains)
