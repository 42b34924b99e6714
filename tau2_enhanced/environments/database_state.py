"""The state of an environment's database as what differs from the database that it began as.

A look at a database costs what was touched; hashes and differences are worked out later, by whoever wants them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tau2_enhanced.environments.base_state import BaseState, Look, Place, text_of
from tau2_enhanced.environments.lazy_copy import watch
from tau2_enhanced.environments.touched import WatchedCopy
from tau2_enhanced.logging.plain import plain

if TYPE_CHECKING:
    from tau2.environment.toolkit import ToolKitBase

    from tau2_enhanced.environments.shared_database import SharedDatabase
    from tau2_enhanced.environments.touched import Touched


class DatabaseState:
    """One environment's database, looked at again and again."""

    def __init__(self, toolkit: ToolKitBase) -> None:
        self._toolkit = toolkit
        self._shared: SharedDatabase | None = getattr(type(toolkit), "shared_database", None)
        self.base = self._shared.state if self._shared is not None else BaseState(_texts_of(toolkit.db))
        self._watched: WatchedCopy | None = None
        if self._shared is not None and (noted := watch(toolkit.db)) is not None:
            self._watched = WatchedCopy(toolkit.db, noted, self._shared)

    def look(self) -> Look:
        """What differs from the base now."""
        database = self._toolkit.db
        if self._watched is not None and self._watched.is_whole(database):
            touched: Touched | None = self._watched.touched()
        else:
            touched = self._shared.touched(database) if self._shared is not None else None
        seen: dict[Place, bytes | None] = {}
        if touched is None:
            for name, value in _fields_of(database).items():
                self._see(seen, (name, None), value)
            return seen
        for name, value in touched.fields.items():
            self._see(seen, (name, None), value)
        for name, entries in touched.entries.items():
            for key, entry in entries.items():
                self._see(seen, (name, key), entry)
        for name, keys in touched.removed.items():
            for key in keys:
                seen[name, key] = None
        return seen

    def _see(self, seen: dict[Place, bytes | None], place: Place, value: Any) -> None:
        text = text_of(value)
        if text != self.base.text(place):
            seen[place] = text


def _fields_of(database: Any) -> Mapping[str, Any]:
    fields = getattr(database, "__dict__", None)
    return fields if fields is not None else {"database": plain(database)}


def _texts_of(database: Any) -> Mapping[str, Any]:
    """A database's fields as JSON of their own."""
    return {name: json.loads(text_of(value)) for name, value in _fields_of(database).items()}
