"""Which models' texts and dumps may be told by the original of a copy."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field, create_model, field_serializer, model_serializer

from tau2_enhanced.environments.lazy_copy import lazy_copy
from tau2_enhanced.environments.plain_schemas import is_plain


class Colour(Enum):
    RED = "red"


class Leaf(BaseModel):
    name: str = "leaf"
    colour: Colour = Colour.RED
    day: date | None = None


class Tree(BaseModel):
    leaves: dict[str, list[Leaf]] = Field(default_factory=dict)
    kind: Literal["oak"] | int = "oak"
    # a field may be called as a part of a schema is
    default: Leaf = Leaf()
    left: Tree | None = None


class Handle:
    """What a dump would hand out as it is."""

    def __init__(self) -> None:
        self.values = [1]


class OwnText(BaseModel):
    def __repr__(self) -> str:
        return "own"


class OwnDump(BaseModel):
    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {"own": super().model_dump(**options)}


class OwnFieldDump(BaseModel):
    name: str = ""

    @field_serializer("name")
    def dumped(self, name: str) -> list[str]:
        return [name]


class OwnModelDump(BaseModel):
    @model_serializer
    def dumped(self) -> dict[str, Any]:
        return vars(self)


class Computing(BaseModel):
    @computed_field
    def handle(self) -> Any:
        return Handle()


class HoldingAnything(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    default: Any = None


class HoldingHandle(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    handle: Handle = Field(default_factory=Handle)


class TakingMore(BaseModel):
    model_config = ConfigDict(extra="allow")


class Unfinished(BaseModel):
    other: Missing  # noqa: F821  # the class is to be incomplete


NOT_PLAIN = [OwnText, OwnDump, OwnFieldDump, OwnModelDump, Computing, HoldingAnything, HoldingHandle, TakingMore]


@pytest.mark.parametrize("kind", [Leaf, Tree, create_model("Empty")])
def test_models_of_plain_values_are_plain(kind: type[BaseModel]) -> None:
    assert is_plain(kind)


@pytest.mark.parametrize("kind", [*NOT_PLAIN, Unfinished])
def test_models_that_hold_or_do_more_are_not(kind: type[BaseModel]) -> None:
    assert not is_plain(kind)


@pytest.mark.parametrize("kind", NOT_PLAIN)
@pytest.mark.parametrize("around", ["{}", "list[{}]", "dict[str, {}]", "{} | None", "Leaf | {}"])
def test_nor_are_models_of_such(kind: type[BaseModel], around: str) -> None:
    annotation = eval(around.format("kind"), {"kind": kind, "Leaf": Leaf})
    assert not is_plain(create_model("Around", default=(annotation, ...)))


def test_what_a_dump_hands_out_is_the_copys_own() -> None:
    original = HoldingHandle()
    lazy_copy(original).model_dump()["handle"].values.append(2)
    assert original.handle.values == [1]


class Special(Leaf):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    handle: Handle = Field(default_factory=Handle)


class Bed(BaseModel):
    leaf: Leaf


def test_nor_does_a_dump_of_more_than_the_schema_says() -> None:
    special = Special()
    original = Bed(leaf=special)
    dump = lazy_copy(original).model_dump(serialize_as_any=True)
    dump["leaf"]["handle"].values.append(2)
    seen: list[Any] = []
    lazy_copy(original).model_dump_json(serialize_as_any=True, fallback=seen.append)
    assert seen[0] is not special.handle
    assert special.handle.values == [1]
