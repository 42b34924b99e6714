"""tau2-enhanced: a local evaluation runner for τ²-bench.

Importing it is enough to have tau2's domains in their enhanced form (`airline_enhanced`, …): they are registered
when tau2's registry is imported.
"""

from types import ModuleType

from tau2_enhanced.arming import arm
from tau2_enhanced.tau2_source import use_named_source

__version__ = "0.1.0"

use_named_source()


def _register_domains(tau2_registry: ModuleType) -> None:
    from tau2_enhanced.domain_registration import EnhancedDomainRegistry

    EnhancedDomainRegistry(tau2_registry.registry).register_all_available_domains()


arm(_register_domains)
