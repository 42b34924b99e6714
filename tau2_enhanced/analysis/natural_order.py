"""Names in the order in which people count: worker-2 before worker-10."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(\D*)(\d{0,18})")


def natural(name: str) -> list[tuple[str, int]]:
    """A key to sort names by: their numbers count as numbers."""
    return [(text, int(number or 0)) for text, number in _PARTS.findall(name)]
