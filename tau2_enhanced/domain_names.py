"""What tau2's domains are called in their enhanced form: `airline_enhanced` beside `airline`."""

from __future__ import annotations

SUFFIX = "_enhanced"


def is_enhanced(domain: str) -> bool:
    return domain.endswith(SUFFIX)


def plain_domain(domain: str) -> str:
    """A domain's own name, also where that of its enhanced form is given."""
    return domain.removesuffix(SUFFIX)
