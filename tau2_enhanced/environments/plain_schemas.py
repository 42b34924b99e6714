"""Which classes of models hold nothing but plain values, as their schemas say. What they hold is taken to be valid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

_PLAIN = {
    *("bool", "date", "datetime", "decimal", "enum", "float", "int", "literal", "none", "str", "time", "timedelta"),
    *("default", "definitions", "definition-ref", "nullable", "union"),
    *("dict", "list", "model", "model-field", "model-fields"),
}
"""Kinds of pydantic's core schemas of which a dump is made anew, down to values that nobody can change."""
_SCHEMAS = {"schema", "definitions", "choices", "keys_schema", "values_schema", "items_schema"}
"""Where there are others in one."""
_OTHERWISE = {"serialization", "custom_init", "computed_fields", "extras_schema"}
"""What lets a dump be another than the fields' own, by its place in a schema."""
_PYDANTICS = (
    *("__str__", "__repr__", "__repr_args__", "__repr_name__", "__repr_str__", "__rich_repr__", "__iter__"),
    *("model_dump", "model_dump_json"),
)
"""Methods that texts and dumps are made with, which a plain model has from pydantic."""


def is_plain(kind: type[BaseModel]) -> bool:
    """Whether texts and dumps of such models are pydantic's own, and share nothing with them that can be changed."""
    models = {kind}
    schema = kind.__pydantic_core_schema__
    # one that pydantic has not made yet is no dictionary
    return isinstance(schema, dict) and _all_plain([schema], models) and all(map(_is_as_its_schema_says, models))


def _all_plain(schemas: Iterable[Any], models: set[type[BaseModel]]) -> bool:
    """Whether they and all in them are plain; the classes of models in them are added to `models`."""
    return all(_is_plain(schema, models) for schema in schemas)


def _is_plain(schema: Any, models: set[type[BaseModel]]) -> bool:
    if isinstance(schema, list | tuple):
        return _all_plain(schema, models)
    if not isinstance(schema, dict):
        return True
    if schema["type"] not in _PLAIN or any(schema.get(name) for name in _OTHERWISE):
        return False
    if schema["type"] == "model":
        models.add(schema["cls"])
    fields = schema.get("fields", {}).values()
    return _all_plain((*fields, *(inner for name, inner in schema.items() if name in _SCHEMAS)), models)


def _is_as_its_schema_says(kind: type[BaseModel]) -> bool:
    if kind.model_config.get("extra") == "allow":
        return False
    return all(getattr(kind, name, None) is getattr(BaseModel, name, None) for name in _PYDANTICS)
