"""Registering enhanced domains when tau2 is imported, and not before: nobody pays for it who never uses tau2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader  # takes longer to import than all else here

_REGISTRY = "tau2.registry"


def arm(register: Callable[[ModuleType], object]) -> None:
    """Have `register` called with tau2's registry module: at once where it is imported, else after its import."""
    module = sys.modules.get(_REGISTRY)
    if module is not None and getattr(module, "registry", None) is not None:
        register(module)
    elif not any(isinstance(finder, _Armed) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Armed(register))


class _Armed:
    """Finds nothing itself: it lets the others find the module, and waits for the end of its import."""

    def __init__(self, register: Callable[[ModuleType], object]) -> None:
        self._register = register

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _REGISTRY:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others if hasattr(finder, "find_spec"))
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._call_after(spec.loader)
        return spec

    def _call_after(self, loader: Loader) -> None:
        execute = loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            # litellm, which tau2 imports, would otherwise fetch a price table from the network while it is imported
            os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            self._register(module)

        loader.exec_module = execute_and_register  # type: ignore[method-assign]  # each import has a loader of its own
