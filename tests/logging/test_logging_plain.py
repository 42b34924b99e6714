from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tau2_enhanced.logging.plain import canonical, plain, pointer, tokens_of


class Cabin(str, Enum):  # noqa: UP042  # what pydantic models of tools hold
    ECONOMY = "economy"


class Flight(BaseModel):
    number: str
    day: date


@dataclass
class Box:
    inside: object


def test_python_values_become_json() -> None:
    value = {
        1: (1, 2.5, None, True),
        "set": {"b", "a"},
        "enum": Cabin.ECONOMY,
        "model": Flight(number="HAT1", day=date(2024, 5, 1)),
        "class": Box(b"123"),
        "when": datetime(2024, 5, 1, 12),
        "odd": [float("nan"), float("-inf"), -0.0],
        "type": Flight,
    }
    made = plain(value)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert canonical(made["odd"]).endswith(",0.0]")
    assert made == {
        "1": [1, 2.5, None, True],
        "set": ["a", "b"],
        "enum": "economy",
        "model": {"number": "HAT1", "day": "2024-05-01"},
        "class": {"inside": "<3 bytes>"},
        "when": "2024-05-01T12:00:00",
        "odd": ["nan", "-inf", 0.0],
        "type": str(Flight),
    }


def test_what_holds_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "…" in json.dumps(plain(loop), ensure_ascii=False)


def test_what_holds_itself_many_times_ends_soon() -> None:
    loop: list[Any] = []
    loop.extend([loop, {"again": loop}, loop])
    assert plain(loop) == ["…", {"again": "…"}, "…"]
    shared = [1]
    assert plain([shared, shared]) == [[1], [1]]


def test_an_object_that_can_not_say_what_it_is_is_its_class() -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

    class Node(BaseModel):
        inner: Any = None

    node = Node()
    node.inner = node
    assert plain([Mute(), node]) == ["<Mute>", "<Node>"]


def test_a_copy_shares_nothing() -> None:
    inner = {"a": [1]}
    made = plain(inner)
    inner["a"].append(2)
    assert made == {"a": [1]}


@given(st.dictionaries(st.text(max_size=4), st.integers(), max_size=5))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


@given(st.lists(st.text(max_size=6)))
def test_pointers_read_back(tokens: list[str]) -> None:
    assert tokens_of(pointer(tokens)) == tokens


def test_a_pointer_escapes_as_rfc_6901_says() -> None:
    assert pointer(["a/b", "m~n", 0]) == "/a~1b/m~0n/0"
    with pytest.raises(ValueError, match="pointer"):
        tokens_of("a/b")
