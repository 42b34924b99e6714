from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tau2_enhanced.logging import StateTracker, task_context
from tau2_enhanced.logging.events import from_json, to_json
from tau2_enhanced.logging.state_tracker import change_between


def test_equal_states_have_equal_hashes_whenever_they_are_seen() -> None:
    tracker = StateTracker()
    hashes = [tracker.create_snapshot({"a": {"x": n, "y": 1}}, metadata={"n": n}).state_hash for n in (1, 2, 1)]
    again = StateTracker().create_snapshot({"a": {"y": 1, "x": 1}}, "another trigger").state_hash
    assert hashes[0] == hashes[2] == again != hashes[1]
    assert [snapshot.changed for snapshot in tracker.snapshots] == [None, True, True]


def test_a_snapshot_is_a_copy_and_says_where_it_belongs() -> None:
    tracker, state = StateTracker(), {"bookings": [1]}
    with task_context(sim="s", task="12"):
        snapshot = tracker.create_snapshot(state, "start", {"tool": "book"})
    state["bookings"].append(2)
    assert snapshot.state_data == {"bookings": [1]}
    made = snapshot.to_dict()
    assert json.loads(json.dumps(made)) == made
    assert (made["index"], made["sim"], made["task"], made["action_trigger"]) == (0, "s", "12", "start")


def test_only_the_latest_snapshots_are_kept() -> None:
    tracker = StateTracker(max_snapshots=3)
    for number in range(10):
        tracker.create_snapshot({"n": number})
    assert [snapshot.state_data["n"] for snapshot in tracker.snapshots] == [7, 8, 9]
    assert [snapshot.index for snapshot in tracker.snapshots] == [7, 8, 9]
    assert tracker.count == 10
    with pytest.raises(ValueError, match="at least 1"):
        StateTracker(max_snapshots=0)


def test_only_so_many_bytes_are_kept_and_equal_states_count_once() -> None:
    tracker = StateTracker(max_bytes=1000)
    for _ in range(50):
        tracker.create_snapshot({"text": "x" * 600})
    assert len(tracker.snapshots) == 50
    tracker.create_snapshot({"text": "y" * 600})
    assert [snapshot.state_data["text"][0] for snapshot in tracker.snapshots] == ["y"]
    tracker.create_snapshot({"text": "z" * 5000})
    assert len(tracker.snapshots) == 1


def test_bytes_are_counted_not_characters() -> None:
    tracker = StateTracker(max_bytes=1000)
    for number in range(4):
        tracker.create_snapshot({"text": f"{number}" + "ä" * 240 + "\ud800"})
    # {"text":"…"} takes 11 bytes beside its text, of 1 + 480 + 3
    assert [snapshot.index for snapshot in tracker.snapshots] == [2, 3]


def test_without_hashes_changes_are_seen_all_the_same() -> None:
    tracker = StateTracker(track_state_hash=False)
    first, same, other = (tracker.create_snapshot(state) for state in ({"a": 1}, {"a": 1}, {"a": 2}))
    assert (first.state_hash, same.changed, other.changed) == (None, False, True)


def test_watching_an_action_takes_snapshots_around_it_and_the_change_is_told() -> None:
    tracker, state = StateTracker(), {"orders": {"#W1": {"status": "pending"}, "#W2": {"status": "pending"}}}
    with tracker.watch("cancel_order", lambda: state, {"step": 3}):
        state["orders"]["#W1"]["status"] = "cancelled"
    before, after = tracker.snapshots
    assert (before.action_trigger, after.action_trigger) == ("before_cancel_order", "after_cancel_order")
    event = change_between(before, after, action="cancel_order", within=["/orders/#W1"])
    assert event is not None
    assert event.change_summary == "orders/#W1/status: pending → cancelled"
    assert event.state_diff == [{"op": "replace", "path": "/orders/#W1/status", "old": "pending", "new": "cancelled"}]
    assert (event.pre_state_hash, event.post_state_hash) == (before.state_hash, after.state_hash)
    assert from_json(to_json(event)) == event
    assert change_between(after, after) is None


def test_an_action_that_raises_leaves_a_snapshot_of_its_error() -> None:
    tracker = StateTracker()
    with pytest.raises(KeyError), tracker.watch("pay", dict):
        raise KeyError("no such card")
    assert [snapshot.action_trigger for snapshot in tracker.snapshots] == ["before_pay", "error_pay"]


def test_a_state_that_can_not_be_read_does_not_hide_the_actions_error(caplog: pytest.LogCaptureFixture) -> None:
    states = [{"a": 1}]
    tracker = StateTracker()
    with pytest.raises(KeyError, match="no such card"), tracker.watch("pay", states.pop):
        raise KeyError("no such card")
    assert [snapshot.action_trigger for snapshot in tracker.snapshots] == ["before_pay"]
    assert caplog.messages == ["no snapshot of pay's error: the state can't be read: IndexError"]


def test_without_automatic_snapshots_nothing_is_read() -> None:
    def read() -> Any:
        raise AssertionError("read")

    tracker = StateTracker(auto_snapshot=False)
    with tracker.watch("pay", read):
        pass
    assert tracker.snapshots == []


def test_many_threads_take_snapshots() -> None:
    tracker = StateTracker(max_snapshots=50)
    threads = [
        threading.Thread(target=lambda: [tracker.create_snapshot({"n": n}) for n in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker.count == 200
    assert [snapshot.index for snapshot in tracker.snapshots] == list(range(150, 200))
