"""A look sees exactly what differs, whatever was done to the database, and whoever looked before."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from database_writes import WRITES, mock_database
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from tau2_enhanced.environments.database_state import DatabaseState
from tau2_enhanced.environments.shared_database import SharedDatabase
from tau2_enhanced.logging.diff import apply, diff
from tau2_enhanced.logging.state_hash import state_hash

pytestmark = [
    pytest.mark.usefixtures("registry"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]


class Kit:
    """What a state needs of tau2's tool kits."""

    def __init__(self, database: Any) -> None:
        self.db = database


def shared_kit() -> Any:
    shared = SharedDatabase(mock_database())

    class SharedKit(Kit):
        shared_database = shared

    return SharedKit(shared.copy())


def as_json(database: Any) -> Any:
    return json.loads(to_json(database.__dict__, serialize_unknown=True))


@settings(deadline=None, database=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(sorted(WRITES)), st.integers(0, 8), st.booleans()), max_size=10))
@example([("read", 0, True), ("write", 3, True), ("nested", 1, True), ("nested", 2, True)])
@example([("move", 3, True), ("write", 3, True), ("delete", 3, True)])
@example([("replace", 8, True), ("write", 8, True), ("delete", 8, False), ("add", 8, True)])
def test_looks_and_their_differences_after_any_writes(writes: list[tuple[str, int, bool]]) -> None:
    kit, plain = shared_kit(), mock_database()
    state = DatabaseState(kit)
    look, seen = state.look(), as_json(plain)
    assert look == {}
    for name, number, looking in writes:
        for database in (kit.db, plain):
            with suppress(KeyError, AttributeError):  # an earlier write took it away
                WRITES[name](database, number)
        if not looking:
            continue
        before, look = look, state.look()
        earlier, seen = seen, as_json(plain)
        changes = state.base.changes(before, look)
        assert diff(apply(earlier, changes), seen) == [], name
        assert bool(changes) is bool(diff(earlier, seen)), name
        if all(seen.values()):
            assert state.base.hash_of(look) == state_hash(seen), name
    assert diff(as_json(kit.db), as_json(plain)) == []


def test_what_was_only_read_is_not_looked_at_again() -> None:
    kit = shared_kit()
    state = DatabaseState(kit)
    assert [user.name for user in kit.db.users.values()] == ["Ada", ""]
    assert kit.db.tasks["t3"].title == "T3"
    assert state._watched is not None
    assert state._watched.touched().entries == {"users": {}, "tasks": {}}
    kit.db.users["u1"].tasks.append("t9")
    assert list(state._watched.touched().entries["users"]) == ["u1"]
    assert state.look().keys() == {("users", "u1")}


def test_a_database_of_ones_own_is_compared_in_full() -> None:
    kit: Any = Kit(mock_database())
    state = DatabaseState(kit)
    assert state.look() == {}
    before = state.look()
    kit.db.tasks["t1"].status = "completed"
    assert state.base.changes(before, state.look()) == [
        {"op": "replace", "path": "/tasks/t1/status", "old": "pending", "new": "completed"}
    ]
    assert state.base.hash_of(state.look()) == state_hash(as_json(kit.db))


def test_a_database_that_was_exchanged_is_still_seen() -> None:
    kit = shared_kit()
    state = DatabaseState(kit)
    before = state.look()
    kit.db = kit.db.model_copy(deep=True)
    assert state.base.changes(before, state.look()) == []
    kit.db.tasks["t1"].status = "completed"
    [change] = state.base.changes(before, state.look())
    assert change["path"] == "/tasks/t1/status"
