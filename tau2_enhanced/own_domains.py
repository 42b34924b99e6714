"""Domains of the user's own, for every command: modules that register them, named by TAU2_ENHANCED_DOMAINS."""

from __future__ import annotations

import importlib
import os
import runpy

from tau2_enhanced.errors import UserMistake

VARIABLE = "TAU2_ENHANCED_DOMAINS"
"""Modules or Python files, with commas between them."""


def import_named() -> None:
    """Import what the variable names. Raises UserMistake for what can't be imported."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(",")):
        try:
            if name.endswith(".py"):
                runpy.run_path(name)
            else:
                importlib.import_module(name)
        except Exception as error:  # whatever is wrong with it, it is the user's module
            raise UserMistake(f"{VARIABLE}: {name} can't be imported: {type(error).__name__}: {error}") from error
