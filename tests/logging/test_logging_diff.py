from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging.diff import Change, apply, diff, summary_of
from tau2_enhanced.logging.plain import canonical, plain, pointer
from tau2_enhanced.logging.state_hash import hash_of_weight, state_hash, weight

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab/~0", max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("ab/~01", max_size=2), inner, max_size=4),
    max_leaves=15,
).map(plain)


@settings(max_examples=500, deadline=None)
@given(VALUES, VALUES)
def test_applying_the_diff_to_the_old_value_gives_the_new_one(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    changes = diff(old, new)
    assert canonical(apply(old, changes)) == canonical(new)
    assert canonical(old) == canonical(before)
    assert bool(changes) is (canonical(old) != canonical(new))


@settings(max_examples=300, deadline=None)
@given(VALUES, VALUES)
def test_equal_states_have_equal_hashes_and_only_those(old: Any, new: Any) -> None:
    assert (state_hash(old) == state_hash(new)) is (canonical(old) == canonical(new))


ENTRIES = st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1, max_size=3)


@given(st.dictionaries(st.sampled_from(["users", "orders"]), ENTRIES, min_size=1), st.sampled_from("abcd"), VALUES)
def test_comparing_only_what_was_touched_says_the_same(state: dict[str, Any], key: str, value: Any) -> None:
    collection = next(iter(state))
    new = copy.deepcopy(state)
    new[collection][key] = value
    assert diff(state, new, within=[pointer([collection, key])]) == diff(state, new)


@given(st.dictionaries(st.sampled_from(["users", "orders"]), ENTRIES, min_size=1), st.sampled_from("abcd"), VALUES)
def test_a_hash_brought_up_to_date_is_the_hash_of_the_new_state(state: dict[str, Any], key: str, value: Any) -> None:
    collection = next(iter(state))
    new = copy.deepcopy(state)
    new[collection][key] = value
    removed = weight({collection: {key: state[collection][key]}}) if key in state[collection] else 0
    added = weight({collection: {key: value}})
    assert hash_of_weight(weight(state) - removed + added) == state_hash(new)
    assert hash_of_weight(weight(new) - added + removed) == state_hash(state)


OLD = {
    "orders": {"#W123": {"status": "pending", "items": [1, 2, 3]}, "#W9": {"status": "pending"}},
    "users": {"mia": {"name": "Mia", "zip": "1"}},
}


def changed(**orders: Any) -> dict[str, Any]:
    new: dict[str, Any] = copy.deepcopy(OLD)
    new["orders"] |= orders
    return new


GOLDEN: list[tuple[Any, list[Change], str]] = [
    (OLD, [], "no changes"),
    (
        changed(**{"#W123": {"status": "cancelled", "items": [1, 2, 3]}}),
        [{"op": "replace", "path": "/orders/#W123/status", "old": "pending", "new": "cancelled"}],
        "orders/#W123/status: pending → cancelled",
    ),
    (
        changed(**{"#W123": {"status": "pending", "items": [1, 3]}}),
        [{"op": "remove", "path": "/orders/#W123/items/1", "old": 2}],
        "orders/#W123/items/1: removed 2",
    ),
    (
        changed(**{"#W1/0": {"status": None}}),
        [{"op": "add", "path": "/orders/#W1~10", "new": {"status": None}}],
        "orders/#W1/0: added",
    ),
    (
        changed(**{"#W123": {"status": None, "items": [0, 1, 2, 3]}, "#W9": {"status": "pending", "by": "mia"}}),
        [
            {"op": "add", "path": "/orders/#W123/items/0", "new": 0},
            {"op": "replace", "path": "/orders/#W123/status", "old": "pending", "new": None},
            {"op": "add", "path": "/orders/#W9/by", "new": "mia"},
        ],
        "orders/#W123: 2 changes; orders/#W9/by: added mia",
    ),
]


@pytest.mark.parametrize(("new", "changes", "summary"), GOLDEN, ids=[summary for *_, summary in GOLDEN])
def test_changes_and_their_sentence(new: Any, changes: list[Change], summary: str) -> None:
    assert diff(OLD, new) == changes
    assert summary_of(changes) == summary


def test_a_long_summary_counts_what_it_leaves_out_and_cuts_long_values() -> None:
    old = {"a": {str(index): 0 for index in range(5)}}
    assert summary_of(diff(old, {"a": {str(index): 1 for index in range(5)}})) == (
        "a/0: 0 → 1; a/1: 0 → 1; a/2: 0 → 1; 2 more"
    )
    assert summary_of(diff({"a": "x"}, {"a": "y" * 100})) == f"a: x → {'y' * 39}…"


def test_a_place_inside_another_touched_one_is_compared_once() -> None:
    new = changed(**{"#W9": {"status": "done"}})
    within = ["/orders/#W9/status", "/orders/#W9", "/nowhere", "/users/mia"]
    assert diff(OLD, new, within) == diff(OLD, new)
    assert diff(OLD, new, []) == []


def test_items_of_a_list_that_kept_its_length_can_be_named() -> None:
    old = {"lines": [{"gb": 1.0}, {"gb": 2.0}]}
    new = {"lines": [{"gb": 1.0}, {"gb": 4.0}]}
    assert diff(old, new, ["/lines/1"]) == [{"op": "replace", "path": "/lines/1/gb", "old": 2.0, "new": 4.0}]
    assert diff(old, new, ["/lines/0", "/lines/7", "/lines/x"]) == []
    assert state_hash({"a": [1]}) != state_hash({"a": {"0": 1}})


def test_what_is_the_same_object_is_not_looked_into() -> None:
    class Untouchable(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise AssertionError("looked into")

    shared = Untouchable(a=1)
    assert diff({"x": shared}, {"x": shared}) == []
