"""tau2's constructor of a domain's environments, over databases that are loaded once for a process."""

from __future__ import annotations

import functools
import gc
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from tau2_enhanced.environments.shared_database import SharedDatabase
from tau2_enhanced.logging import get_logger

if TYPE_CHECKING:
    from tau2.environment.environment import Environment
    from tau2.environment.toolkit import ToolKitBase

_logger = get_logger(__name__)

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
                    self._loaded = list(self._load())
                    gc.freeze()  # what lives as long as the process need not be looked through again and again
        return self._loaded

    def _load(self) -> Iterator[_Loaded]:
        environment = self._construct()
        for parameter in _parameters_of(self._construct).keys() & _TOOLKITS.keys():
            toolkit = getattr(environment, _TOOLKITS[parameter])
            database = SharedDatabase(toolkit.db)
            if _copies_are_exact(toolkit):
                yield _Loaded(parameter, database, _hashing(type(toolkit), database))
            else:
                _logger.warning(
                    "%s: the database is not shared, each simulation loads its own", environment.domain_name
                )


_made: dict[Callable[..., Environment], DomainEnvironments] = {}


def over_shared_databases(construct: Callable[..., Environment]) -> Callable[..., Environment]:
    """The constructor over shared databases, the same one for all who ask, where its databases can be shared."""
    if not offers_databases(construct):
        return construct
    # of two threads that come here at once, both get what the first one has put there
    return _made.get(construct) or _made.setdefault(construct, DomainEnvironments(construct))


def offers_databases(construct: Callable[..., Environment]) -> bool:
    """Whether it is one of tau2's own constructors that take a database: such an environment keeps no other state."""
    function = construct.func if isinstance(construct, functools.partial) else construct
    # what wraps one of them has its module too
    is_tau2s = inspect.isfunction(function) and function.__module__.startswith("tau2.domains.")
    return is_tau2s and "db" in _parameters_of(construct)


@functools.lru_cache(maxsize=64)
def _parameters_of(construct: Callable[..., Environment]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(construct).parameters


def _copies_are_exact(toolkit: ToolKitBase) -> bool:
    """Whether pydantic and tau2 are what lazy copies and their hashes rest on, tried on a few entries."""
    few = {name: dict(islice(value.items(), 3)) for name, value in toolkit.db if type(value) is dict}
    sample = SharedDatabase(toolkit.db.model_copy(update=few))
    toolkit.db = sample.copy()
    return bool(toolkit.get_db_hash() == sample.hash)


def _hashing(toolkit_class: type[ToolKitBase], shared: SharedDatabase) -> type[ToolKitBase]:
    """The toolkit's class, but for how it comes to its database's hash."""

    class Toolkit(toolkit_class):  # type: ignore[misc]  # known at run time alone
        shared_database = shared

        def get_db_hash(self) -> str:
            known = shared.hash_of(self.db)
            return super().get_db_hash() if known is None else known

    for name in ("__name__", "__qualname__", "__module__"):
        setattr(Toolkit, name, getattr(toolkit_class, name))
    return Toolkit
