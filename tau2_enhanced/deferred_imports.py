"""Packages that another one imports and a run seldom needs, imported when they are first used.

Inside `deferred`, importing such a package gives stand-ins for its modules and for what is taken from them by
name. Afterwards only those who imported it there hold stand-ins: everybody else who imports the package gets
the package. Using a stand-in imports the package. What was assigned to a stand-in is assigned to the package
when it is imported, whoever does that first.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


@contextmanager
def deferred(package: str, *, idle: Collection[str] = ()) -> Iterator[None]:
    """Defer imports of `package` that are made inside the block, unless it is imported already.

    `idle` names functions of it that may be called inside the block: the call waits for the import, and what it
    returns is not used. Any other call inside the block ends the deferral.
    """
    if package in sys.modules:
        yield
        return
    deferral = _Deferral(package, idle)
    sys.meta_path.insert(0, deferral)
    try:
        yield
    finally:
        deferral.end()


class _Deferral(MetaPathFinder, Loader):
    """Finds stand-ins for one package's modules until `end`, then the package, once."""

    def __init__(self, package: str, idle: Collection[str]) -> None:
        self.package = package
        self.idle = idle
        self.standing_in = True
        self.owed: list[Callable[[ModuleType], object]] = []
        """What was done to a stand-in, to be done to the package."""

    def end(self) -> None:
        """From here on, who imports the package gets it."""
        self.standing_in = False
        for name, module in list(sys.modules.items()):
            if isinstance(module, _ModuleStandIn) and module.__spec__ is not None and module.__spec__.loader is self:
                del sys.modules[name]
        if not self.owed:
            self._leave()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self.standing_in and fullname.partition(".")[0] == self.package:
            return ModuleSpec(fullname, self, is_package=True)
        if fullname != self.package:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._settle_after(spec.loader)
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _ModuleStandIn(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """A stand-in has no code of its own."""

    def real(self, module: str) -> Any:
        """The module that a stand-in stands for."""
        if self.standing_in:
            self.end()
        return importlib.import_module(module)

    def _settle_after(self, loader: Loader) -> None:
        execute = loader.exec_module

        def execute_and_settle(module: ModuleType) -> None:
            execute(module)
            for settle in self.owed:
                settle(module)
            self._leave()

        loader.exec_module = execute_and_settle  # type: ignore[method-assign]  # each import has a loader of its own

    def _leave(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)


class _ModuleStandIn(ModuleType):
    def __init__(self, name: str, deferral: _Deferral) -> None:
        super().__init__(name)
        self.__dict__["_deferral"] = deferral

    def __getattr__(self, name: str) -> Any:
        deferral: _Deferral = self.__dict__["_deferral"]
        if not deferral.standing_in:
            return getattr(deferral.real(self.__name__), name)
        if name.startswith("__"):
            # the import system and whoever walks through sys.modules ask for these
            raise AttributeError(name)
        return _NameStandIn(self.__name__, name, deferral)

    def __setattr__(self, name: str, value: object) -> None:
        deferral: _Deferral = self.__dict__["_deferral"]
        if name.startswith("__") or isinstance(value, _ModuleStandIn):
            super().__setattr__(name, value)
        elif deferral.standing_in and self.__name__ == deferral.package:
            deferral.owed.append(lambda package: setattr(package, name, value))
        else:
            setattr(deferral.real(self.__name__), name, value)


class _NameStandIn:
    """For what was taken from a module by name: a function or a class."""

    def __init__(self, module: str, name: str, deferral: _Deferral) -> None:
        self._module = module
        self._name = name
        self._deferral = deferral

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        deferral = self._deferral
        if deferral.standing_in and self._module == deferral.package and self._name in deferral.idle:
            deferral.owed.append(lambda package: getattr(package, self._name)(*args, **kwargs))
            return None
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def _real(self) -> Any:
        return getattr(self._deferral.real(self._module), self._name)
