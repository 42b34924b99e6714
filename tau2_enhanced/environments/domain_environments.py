"""tau2's constructor of a domain's environments, over databases that are loaded once for a process."""

from __future__ import annotations

import functools
import gc
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tau2_enhanced.environments.shared_database import SharedDatabase

if TYPE_CHECKING:
    from tau2.environment.environment import Environment
    from tau2.environment.toolkit import ToolKitBase

_TOOLKITS = {"db": "tools", "user_db": "user_tools"}
"""By a constructor's parameter for a database: which toolkit of the environment works on it."""


class _Loaded(NamedTuple):
    parameter: str
    database: SharedDatabase
    toolkit_class: type[ToolKitBase]


class DomainEnvironments:
    """Called as tau2's own constructor is, and gives what it gives: an environment of its own, ready at once.

    Each environment works on a copy of the databases that is made while it is read. `get_db_hash` is tau2's
    value, at the cost of what was changed. Databases that the caller gives are left to tau2.
    """

    def __init__(self, construct: Callable[..., Environment]) -> None:
        self._construct = construct
        self._loading = threading.Lock()
        self._loaded: Sequence[_Loaded] | None = None

    def __call__(self, *args: Any, **options: Any) -> Environment:
        if args or _TOOLKITS.keys() & options.keys():
            return self._construct(*args, **options)
        shared = self._shared()
        copies = {loaded.parameter: loaded.database.copy() for loaded in shared}
        environment = self._construct(**copies, **options)
        for loaded in shared:
            getattr(environment, _TOOLKITS[loaded.parameter]).__class__ = loaded.toolkit_class
        return environment

    def _shared(self) -> Sequence[_Loaded]:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = self._load()
        return self._loaded

    def _load(self) -> Sequence[_Loaded]:
        environment = self._construct()
        loaded = []
        for parameter in inspect.signature(self._construct).parameters.keys() & _TOOLKITS.keys():
            toolkit = getattr(environment, _TOOLKITS[parameter])
            database = SharedDatabase(toolkit.db)
            loaded.append(_Loaded(parameter, database, _hashing(type(toolkit), database)))
        gc.freeze()  # what lives as long as the process need not be looked through at every collection
        return loaded


def offers_databases(construct: Callable[..., Environment]) -> bool:
    """Whether it is one of tau2's own constructors that take a database: such an environment keeps no other state."""
    function = construct.func if isinstance(construct, functools.partial) else construct
    is_tau2s = getattr(function, "__module__", "").startswith("tau2.domains.")
    return is_tau2s and "db" in inspect.signature(construct).parameters


def _hashing(toolkit_class: type[ToolKitBase], shared: SharedDatabase) -> type[ToolKitBase]:
    """The toolkit's class, but for how it comes to its database's hash."""

    class Toolkit(toolkit_class):  # type: ignore[misc]  # known at run time alone
        def get_db_hash(self) -> str:
            known = shared.hash_of(self.db)
            return super().get_db_hash() if known is None else known

    for name in ("__name__", "__qualname__", "__module__"):
        setattr(Toolkit, name, getattr(toolkit_class, name))
    return Toolkit
