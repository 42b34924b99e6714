"""Where tau2 comes from: the checkout of tau2-bench that TAU2_SOURCE names, or what is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "TAU2_SOURCE"


def named_source() -> Path | None:
    """The checkout that TAU2_SOURCE names; None where it names none."""
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else None


def use_named_source() -> None:
    """Let `import tau2` find the named checkout, before any tau2 that is installed."""
    source = named_source()
    if source is not None and (path := str(source / "src")) not in sys.path:
        sys.path.insert(0, path)
