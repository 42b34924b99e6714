"""A deep copy of pydantic models that is made while it is read: what nobody reads is never copied.

`lazy_copy(model)` gives an instance of a subclass that holds the original and no fields. Reading a field
copies that field, the same lazy way. Writing one, or whatever asks for all fields at once (pydantic's
serialiser, `==`, `copy`, `pickle`, `vars`), fills in the rest and turns the instance into one of the
original's own class. Dictionaries and lists become plain ones, of lazy copies. No part of the original
that can be changed is ever handed out.
"""

from __future__ import annotations

import copy
import functools
from abc import ABCMeta
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T")

_IMMUTABLE = (str, int, float, bool, type(None), bytes, datetime, date, time, timedelta, Decimal)

# the instance's own places, whatever a class has put in front of them
_FIELDS = BaseModel.__dict__["__dict__"]
_FIELDS_SET = BaseModel.__dict__["__pydantic_fields_set__"]
_EXTRA = BaseModel.__dict__["__pydantic_extra__"]
_ORIGINAL = BaseModel.__dict__["__pydantic_private__"]
"""Where a lazy copy holds its original: its model has no private attributes, so the place is free."""

_fields_of: Callable[[BaseModel], dict[str, Any]] = _FIELDS.__get__
_original_of: Callable[[BaseModel], BaseModel] = _ORIGINAL.__get__


def lazy_copy(value: T) -> T:
    """A copy of models, dictionaries, lists and plain values, to be changed freely."""
    copied: T = _copiers[type(value)](value)
    return copied


def copied_fields(model: BaseModel) -> Mapping[str, Any]:
    """The fields of a model; of a lazy copy, those copied so far. To be read only."""
    return _fields_of(model)


def unchanged(value: object, original: object) -> bool:
    """Whether a lazy copy surely says what its original says, but for the order of keys.

    A lazy copy that became a model of the original's class counts as changed.
    """
    if value is original:
        return True
    kind = type(value)
    if kind in _lazy_classes:
        assert isinstance(value, BaseModel)
        if _original_of(value) is not original:
            return False
        fields = original.__dict__
        return all(unchanged(copied, fields[name]) for name, copied in _fields_of(value).items())
    if kind is not type(original):
        return False
    if isinstance(value, dict) and isinstance(original, dict):
        return len(value) == len(original) and all(
            key in original and unchanged(copied, original[key]) for key, copied in value.items()
        )
    if isinstance(value, list) and isinstance(original, list):
        return len(value) == len(original) and all(map(unchanged, value, original))
    return False


def _completed(model: Any) -> Any:
    """The lazy copy itself, all its fields copied and its class the original's."""
    original, copied = _original_of(model), _fields_of(model)
    # in the original's order, which is the order of its JSON
    fields = {name: copied[name] if name in copied else lazy_copy(value) for name, value in original.__dict__.items()}
    _FIELDS.__set__(model, fields)
    _FIELDS_SET.__set__(model, set(original.__pydantic_fields_set__))
    _EXTRA.__set__(model, None)
    _ORIGINAL.__set__(model, None)
    object.__setattr__(model, "__class__", type(original))
    return model


def _fields(model: Any) -> dict[str, Any]:
    fields: dict[str, Any] = _completed(model).__dict__
    return fields


def _get(model: Any, name: str) -> Any:
    """A field that is not copied yet, or one of pydantic's own attributes."""
    fields = _original_of(model).__dict__
    if name not in fields:
        return getattr(_completed(model), name)
    value = _fields_of(model)[name] = lazy_copy(fields[name])
    return value


def _when_completed(name: str) -> Callable[..., Any]:
    def method(model: Any, *args: Any) -> Any:
        return getattr(_completed(model), name)(*args)

    return method


_NEEDING_ALL = ("__setattr__", "__delattr__", "__eq__", "__hash__", "__copy__", "__deepcopy__", "__reduce_ex__")
_NAMESPACE = {
    "__slots__": (),
    "__dict__": property(_fields),
    "__getattr__": _get,
    **{name: _when_completed(name) for name in _NEEDING_ALL},
}

_lazy_classes: set[type] = set()


@functools.cache
def _lazy_class(model_class: type[BaseModel]) -> type[BaseModel]:
    """The class of a model's lazy copies: of the same name, its schema and its methods inherited."""
    names = {"__module__": model_class.__module__, "__qualname__": model_class.__qualname__}
    # past pydantic's metaclass, which would build another schema
    made: type[BaseModel] = ABCMeta.__new__(
        type(model_class), model_class.__name__, (model_class,), {**_NAMESPACE, **names}
    )
    _lazy_classes.add(made)
    return made


def _itself(value: T) -> T:
    return value


def _copy_dict(original: dict[Any, Any]) -> dict[Any, Any]:
    return {key: _copiers[type(value)](value) for key, value in original.items()}


def _copy_list(original: list[Any]) -> list[Any]:
    return [_copiers[type(value)](value) for value in original]


def _copier_of(model_class: type[BaseModel]) -> Callable[[BaseModel], BaseModel]:
    lazy_class, new, hold = _lazy_class(model_class), object.__new__, _ORIGINAL.__set__

    def copy_model(original: BaseModel) -> BaseModel:
        made = new(lazy_class)
        hold(made, original)
        return made

    return copy_model


class _Copiers(dict[type, Callable[[Any], Any]]):
    """By a value's class, how it is copied."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        if issubclass(kind, Enum):
            copier: Callable[[Any], Any] = _itself
        elif (
            issubclass(kind, BaseModel)
            and not kind.__private_attributes__
            and kind.model_config.get("extra") != "allow"
        ):
            copier = _copier_of(kind)
        else:
            copier = copy.deepcopy
        self[kind] = copier
        return copier


_copiers = _Copiers({**dict.fromkeys(_IMMUTABLE, _itself), dict: _copy_dict, list: _copy_list})
