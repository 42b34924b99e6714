"""A deep copy of pydantic models that is made while it is read: what nobody reads is never copied.

`lazy_copy(model)` gives an instance of a subclass that holds the original and no fields. Reading a field
copies that field, in the same lazy way, unless it is a plain value, which nobody can change. Writing one, or
whatever asks for all fields at once (pydantic's serialiser, `==`, `copy`, `pickle`, `vars`), copies the rest and
turns the instance into one of the original's own class. Dictionaries and lists become plain ones, of lazy
copies; those that `share_entries` made are copied entry by entry. No part of the original that can be changed
is ever handed out. What was not copied is unchanged (`unchanged.py`).

`watch(copy)` has it noted which of its entries are touched, as it happens: models in dictionaries that are
fields of it. Where only what was touched can have changed, nobody need look at the thousands of others.
"""

from __future__ import annotations

import copy
import functools
from abc import ABCMeta
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from tau2_enhanced.environments.lazy_entries import LazyEntries, SharedEntries
from tau2_enhanced.environments.plain_schemas import is_plain

T = TypeVar("T")
K = TypeVar("K")
Copier = Callable[[Any], Any]

_IMMUTABLE = (str, int, float, bool, type(None), bytes, datetime, date, time, timedelta, Decimal)

# an instance's own places, whatever its class has put in front of them
_FIELDS = BaseModel.__dict__["__dict__"]
_FIELDS_SET = BaseModel.__dict__["__pydantic_fields_set__"]
_EXTRA = BaseModel.__dict__["__pydantic_extra__"]
_ORIGINAL = BaseModel.__dict__["__pydantic_private__"]
"""Where a lazy copy holds its original: its model has no private attributes, so the place is free."""

_WATCH = _EXTRA
"""Where a watched copy holds its `Watch`, and what is in one whom to notify: free as well, as long as it is lazy."""

_fields_of: Callable[[Any], dict[str, Any]] = _FIELDS.__get__
copied_fields: Callable[[Any], Mapping[str, Any]] = _fields_of
"""The fields of a model; of a lazy copy, those copied so far. To be read only."""
original_of: Callable[[Any], Any] = _ORIGINAL.__get__
"""The original of a lazy copy, as long as that is one."""
_hold_original: Callable[[Any, Any], None] = _ORIGINAL.__set__
_watch_of: Callable[[Any], Any] = _WATCH.__get__
_hold_watch: Callable[[Any, Any], None] = _WATCH.__set__
_set_class: Callable[[Any, type], None] = object.__dict__["__class__"].__set__


def lazy_copy(value: T) -> T:
    """A copy of a model, or of a dictionary, a list or a plain value, to be changed freely."""
    copied: T = _copiers[type(value)](value)
    return copied


@dataclass(slots=True)
class Watch:
    """What became of a watched copy's entries. Whatever is not noted here is as the original has it."""

    touched: list[Any] = field(default_factory=list)
    """The originals of entries that were changed, or that handed out what can be changed without further notice: a
    list, a dictionary, or all their fields at once. Who reads this empties it."""
    opened: dict[str, list[Any]] = field(default_factory=dict)
    """By field, the entries of the dictionaries that were copied."""


def watch(model: BaseModel) -> Watch | None:
    """Have noted what is touched of a lazy copy of which no field was read yet; None for anything else."""
    if type(model) not in untouched_classes:
        return None
    made = Watch()
    _hold_watch(model, made)
    _set_class(model, _classes_of(model).watched)
    return made


def is_watched(model: BaseModel, by: Watch) -> bool:
    """Whether everything that was touched of a copy is noted in `by`: not once all its fields were asked for."""
    return type(model) in _watched_classes and _watch_of(model) is by


def unwatched_entries(entries: Mapping[K, Any], originals: Mapping[K, Any]) -> dict[K, Any]:
    """Those of which no note will be taken under their key, when they are touched."""
    return {
        key: entry
        for key, entry in entries.items()
        if type(entry) not in _entry_classes or original_of(entry) is not originals.get(key)
    }


def share_entries(entries: dict[Any, Any]) -> dict[Any, Any]:
    """A dictionary in whose place it may stand in an original, and whose copies are made entry by entry.

    It is the dictionary itself where copies of its values are no lazy ones. Neither may be changed any more.
    """
    kinds = set(map(type, entries.values()))
    if len(kinds) != 1 or not _is_lazy(kind := kinds.pop()):
        return entries
    return SharedEntries(entries, _copiers[kind])


def _completed(model: Any) -> Any:
    """The lazy copy itself, all its fields copied and its class the original's."""
    if type(model) in _entry_classes:
        _note(model)
    original, copied = original_of(model), _fields_of(model)
    # in the original's order, which is the order of its JSON
    fields = {name: copied[name] if name in copied else lazy_copy(value) for name, value in original.__dict__.items()}
    for value in fields.values():
        if type(value) is LazyEntries:
            value.fill()
    _FIELDS.__set__(model, fields)
    _FIELDS_SET.__set__(model, set(original.__pydantic_fields_set__))
    _EXTRA.__set__(model, None)
    _hold_original(model, None)
    _set_class(model, type(original))
    return model


def _get(model: Any, name: str) -> Any:
    """A field that is not copied yet, or one of pydantic's own attributes."""
    fields = original_of(model).__dict__
    if name not in fields:
        return getattr(_completed(model), name)
    value = fields[name]
    copier = _copiers[type(value)]
    # what nobody can change leaves no trace
    if copier is not _itself:
        value = _fields_of(model)[name] = copier(value)
    return value


def _get_of_watched(model: Any, name: str) -> Any:
    """The same of a watched copy: entries are told whom to notify."""
    value = original_of(model).__dict__.get(name)
    kinds = set(map(type, value.values())) if isinstance(value, dict) else set()
    if len(kinds) != 1 or not _is_lazy(kind := kinds.pop()):
        return _get(model, name)
    noted: Watch = _watch_of(model)
    entries = _copy_models(kind, value.values(), _lazy_classes(kind).entry)
    deque(map(_hold_watch, entries, repeat(noted.touched.append)), maxlen=0)
    noted.opened[name] = entries
    copied = _fields_of(model)[name] = dict(zip(value, entries, strict=True))
    return copied


def _get_of_entry(model: Any, name: str) -> Any:
    """The same of a watched copy's entry, or of a model in one."""
    value = _get(model, name)
    if name in _fields_of(model):
        # it can be changed, so it was copied
        _set_class(model, _classes_of(model).touched_entry)
        if type(value) in untouched_classes:
            _set_class(value, _classes_of(value).entry)
            _hold_watch(value, _notifying(model))
        else:
            _note(model)
    return value


def _note(model: Any) -> None:
    notify, original = _notifying(model)
    if notify is not None:
        notify(original)


def _notifying(model: Any) -> tuple[Callable[[Any], None] | None, Any]:
    """Whom to tell that the entry that a model is, or is in, may change, and that entry's original."""
    held = _watch_of(model)
    # a model in an entry holds both; an entry holds no more than is the same for all of them
    return held if type(held) is tuple else (held, original_of(model))


def _when_completed(name: str) -> Callable[..., Any]:
    def method(model: Any, *args: Any) -> Any:
        return getattr(_completed(model), name)(*args)

    return method


class _Field:
    """A field that is not copied yet. Without it, Python would make an AttributeError before it asks `__getattr__`."""

    __slots__ = ("_getter", "_name")

    def __init__(self, name: str, getter: Callable[[Any, str], Any]) -> None:
        self._name = name
        self._getter = getter

    def __get__(self, model: Any, _: type | None = None) -> Any:
        # a copied field stands in the instance, which Python looks into first
        if model is None:
            raise AttributeError(self._name)
        return self._getter(model, self._name)


class _FirstField:
    """The same of a copy of which no field was copied. Walks through thousands read each here: little is called."""

    __slots__ = ("_name", "_touched")

    def __init__(self, name: str, touched: type) -> None:
        """`touched` is the class of copies of which a field was copied."""
        self._name = name
        self._touched = touched

    def __get__(self, model: Any, _: type | None = None) -> Any:
        name = self._name
        if model is None:
            raise AttributeError(name)
        fields = original_of(model).__dict__
        if name not in fields:
            return _get(model, name)
        value = fields[name]
        copier = _copiers[type(value)]
        if copier is not _itself:
            _set_class(model, self._touched)
            value = _fields_of(model)[name] = copier(value)
        return value


_NEEDING_ALL = ("__setattr__", "__delattr__", "__hash__", "__copy__", "__deepcopy__", "__reduce_ex__")
_NAMESPACE: Mapping[str, Any] = {
    "__slots__": (),
    "__dict__": property(lambda model: _completed(model).__dict__),
    "__pydantic_extra__": property(lambda model: _completed(model).__pydantic_extra__),
    # the operator, so that the other side may be completed too
    "__eq__": lambda model, other: _completed(model) == other,
    **{name: _when_completed(name) for name in _NEEDING_ALL},
}


def _as_original_does(name: str) -> Callable[..., Any]:
    """What gives away nothing of a plain model: of a copy of which no field was copied, the original can tell it."""

    def method(model: Any, *args: Any, **options: Any) -> Any:
        tells = type(model) in untouched_classes and not _HANDING_OUT & options.keys()
        whole = original_of(model) if tells else _completed(model)
        return getattr(whole, name)(*args, **options)

    return method


_HANDING_OUT = {"fallback", "serialize_as_any", "polymorphic_serialization"}
"""Options with which a dump may hold more than the schema says."""
_OF_PLAIN_MODELS = {name: _as_original_does(name) for name in ("__str__", "__repr__", "model_dump", "model_dump_json")}


class _LazyClasses(NamedTuple):
    """The classes of a model's lazy copies: of the same name, with its schema and methods."""

    untouched: type
    touched: type
    """Of copies of which a field was copied."""
    watched: type
    """Of copies whose entries are watched."""
    entry: type
    """Of untouched entries of watched copies, and of models in them."""
    touched_entry: type
    """Of those of which a field was copied."""


untouched_classes: set[type] = set()
"""The classes of lazy copies of which no field was copied."""
touched_classes: set[type] = set()
"""The classes of those of which some were."""
_watched_classes: set[type] = set()
_entry_classes: set[type] = set()


@functools.cache
def _lazy_classes(model_class: type[BaseModel]) -> _LazyClasses:
    def subclass(getter: Callable[[Any, str], Any], field_made: Callable[[str], Any] | None = None) -> type:
        names = {"__module__": model_class.__module__, "__qualname__": model_class.__qualname__}
        fields = {name: field_made(name) if field_made else _Field(name, getter) for name in model_class.model_fields}
        namespace = {**_NAMESPACE, **told, **names, **fields, "__getattr__": getter}
        if model_class.__hash__ is None:
            namespace["__hash__"] = None
        # past pydantic's metaclass, which would build another schema
        return ABCMeta.__new__(type(model_class), model_class.__name__, (model_class,), namespace)

    def first_get(model: Any, name: str) -> Any:
        _set_class(model, touched)
        return _get(model, name)

    told = _OF_PLAIN_MODELS if is_plain(model_class) else {}
    touched, watched = subclass(_get), subclass(_get_of_watched)
    untouched = subclass(first_get, lambda name: _FirstField(name, touched))
    entry, touched_entry = subclass(_get_of_entry), subclass(_get_of_entry)
    touched_classes.update((touched, touched_entry))
    untouched_classes.update((untouched, entry))
    _watched_classes.add(watched)
    _entry_classes.update((entry, touched_entry))
    return _LazyClasses(untouched, touched, watched, entry, touched_entry)


def _classes_of(model: Any) -> _LazyClasses:
    return _lazy_classes(type(original_of(model)))  # type: ignore[arg-type]  # a class can be hashed


@functools.cache
def _is_lazy(kind: type) -> bool:
    """Whether copies of the class are lazy: it keeps nothing but fields, and is no lazy copy's own."""
    if not issubclass(kind, BaseModel) or kind in untouched_classes | touched_classes | _watched_classes:
        return False
    return not kind.__private_attributes__ and kind.model_config.get("extra") != "allow"


def _model_copier(kind: type[BaseModel]) -> Copier:
    untouched, new = _lazy_classes(kind).untouched, object.__new__

    def copier(original: BaseModel) -> Any:
        copied: Any = new(untouched)
        _hold_original(copied, original)
        return copied

    return copier


def _copy_models(kind: type[BaseModel], originals: Collection[BaseModel], made: type | None = None) -> list[Any]:
    """Lazy copies of models of one class; there may be thousands, so no step is Python's."""
    lazy_class = made or _lazy_classes(kind).untouched
    copies: list[Any] = list(map(object.__new__, repeat(lazy_class, len(originals))))
    deque(map(_hold_original, copies, originals), maxlen=0)
    return copies


def _copy_all(originals: Collection[Any]) -> list[Any]:
    kinds = set(map(type, originals))
    if len(kinds) == 1 and _is_lazy(kind := kinds.pop()):
        return _copy_models(kind, originals)
    return [_copiers[type(value)](value) for value in originals]


def _copy_dict(original: dict[Any, Any]) -> dict[Any, Any]:
    return dict(zip(original, _copy_all(original.values()), strict=True))


def _itself(value: T) -> T:
    return value


class _Copiers(dict[type, Copier]):
    """By a value's class, how it is copied."""

    def __missing__(self, kind: type) -> Copier:
        if _is_lazy(kind):
            self[kind] = _model_copier(kind)
        else:
            self[kind] = _itself if issubclass(kind, Enum) else copy.deepcopy
        return self[kind]


_copiers = _Copiers(
    {**dict.fromkeys(_IMMUTABLE, _itself), dict: _copy_dict, list: _copy_all, SharedEntries: LazyEntries}
)
