"""Snapshots of a state over time, and what changed between two of them.

tracker = StateTracker()
with tracker.watch("book_flight", read_state):
    book_flight()
change_between(*tracker.snapshots[-2:], action="book_flight")
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tau2_enhanced.logging.context import current_context
from tau2_enhanced.logging.diff import diff, summary_of
from tau2_enhanced.logging.events import StateChangeEvent
from tau2_enhanced.logging.levels import get_logger
from tau2_enhanced.logging.plain import JSON, canonical, plain
from tau2_enhanced.logging.state_hash import state_hash

_log = get_logger(__name__)

MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class StateSnapshot:
    """A state at one moment."""

    index: int
    """From 0, counting all snapshots that the tracker took."""
    timestamp: datetime
    action_trigger: str | None
    """What made it worth a snapshot: `before_book_flight`, `start`, …"""
    state_hash: str | None
    """Depends on the state alone (`state_hash.py`); None where hashes are not tracked."""
    changed: bool | None
    """The state is not that of the snapshot before; None for the first."""
    metadata: dict[str, Any]
    sim: str | None = None
    task: str | None = None
    text: str = field(default="", repr=False)
    """The state as canonical JSON; snapshots in a row with equal texts share it."""

    @property
    def state_data(self) -> JSON:
        """The state, as a copy of its own."""
        return json.loads(self.text)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "index": self.index,
            "timestamp": self.timestamp.isoformat(timespec="milliseconds"),
            "action_trigger": self.action_trigger,
            "state_hash": self.state_hash,
            "changed": self.changed,
            "metadata": self.metadata,
            "sim": self.sim,
            "task": self.task,
            "state_data": self.state_data,
        }


class StateTracker:
    """The latest snapshots of one state. Safe from many threads.

    It keeps at most `max_snapshots`, and at most `max_bytes` of states, as JSON in UTF-8; the oldest go first.
    `auto_snapshot` turns on what `watch` takes by itself, `track_state_hash` the hashes.
    """

    def __init__(
        self,
        max_snapshots: int = 1000,
        auto_snapshot: bool = True,
        track_state_hash: bool = True,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if max_snapshots < 1:
            raise ValueError(f"max_snapshots must be at least 1, not {max_snapshots}")
        self.max_snapshots = max_snapshots
        self.auto_snapshot = auto_snapshot
        self.track_state_hash = track_state_hash
        self.max_bytes = max_bytes
        self._kept: deque[StateSnapshot] = deque()
        self._bytes = 0
        self._count = 0
        self._known_hash: str | None = None
        """What was given as the last snapshot's."""
        self._lock = threading.Lock()

    @property
    def snapshots(self) -> list[StateSnapshot]:
        """Those that are kept, the oldest first."""
        with self._lock:
            return list(self._kept)

    @property
    def count(self) -> int:
        """All snapshots ever taken."""
        return self._count

    def create_snapshot(
        self,
        state_data: object,
        action_trigger: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        known_hash: str | None = None,
    ) -> StateSnapshot:
        """Take a snapshot of a state: anything that `plain` makes JSON of, pydantic models included.

        Who gives only what differs from a state known elsewhere gives the whole state's `known_hash` as well.
        """
        state = plain(state_data)
        text = canonical(state)
        context = current_context()
        with self._lock:
            last = self._kept[-1] if self._kept else None
            same = False
            if last is not None and last.text == text:
                # equal differences from two states make no equal states
                text, same = last.text, known_hash == self._known_hash
            else:
                self._bytes += _size(text)
            if same and last is not None:
                hashed = last.state_hash
            else:
                hashed = (known_hash or state_hash(state)) if self.track_state_hash else None
            self._known_hash = known_hash
            snapshot = StateSnapshot(
                index=self._count,
                timestamp=datetime.now(),
                action_trigger=action_trigger,
                state_hash=hashed,
                changed=None if last is None else not same,
                metadata=plain(metadata or {}),
                sim=context.sim,
                task=context.task,
                text=text,
            )
            self._kept.append(snapshot)
            self._count += 1
            self._forget()
        return snapshot

    def _forget(self) -> None:
        while len(self._kept) > 1 and (len(self._kept) > self.max_snapshots or self._bytes > self.max_bytes):
            gone = self._kept.popleft()
            if self._kept[0].text is not gone.text:
                self._bytes -= _size(gone.text)

    @contextmanager
    def watch(
        self, action: str, read_state: Callable[[], object], metadata: dict[str, Any] | None = None
    ) -> Iterator[None]:
        """Take snapshots `before_ACTION` and `after_ACTION` around the block, `error_ACTION` where it raises.

        Nothing is read where `auto_snapshot` is off.
        """
        if not self.auto_snapshot:
            yield
            return
        self.create_snapshot(read_state(), f"before_{action}", metadata)
        try:
            yield
        except BaseException:  # an action that ^C ends may have changed the state too
            try:
                self.create_snapshot(read_state(), f"error_{action}", metadata)
            except Exception as error:  # the action's own error is what its caller has to see
                _log.warning("no snapshot of %s's error: the state can't be read: %s", action, type(error).__name__)
            raise
        self.create_snapshot(read_state(), f"after_{action}", metadata)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def change_between(
    before: StateSnapshot,
    after: StateSnapshot,
    *,
    action: str | None = None,
    state_type: str = "database",
    within: Iterable[str] | None = None,
) -> StateChangeEvent | None:
    """The event that says what changed between two snapshots; None where nothing did.

    `within` names the only places that may differ, as in `diff`.
    """
    if before.text == after.text:
        return None
    changes = diff(before.state_data, after.state_data, within)
    return StateChangeEvent(
        state_type=state_type,
        action_trigger=action or after.action_trigger,
        pre_state_hash=before.state_hash,
        post_state_hash=after.state_hash,
        state_diff=[dict(change) for change in changes],
        change_summary=summary_of(changes),
    )
