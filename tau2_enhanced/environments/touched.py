"""What may have changed in a copy of a shared database, found by what was noted as it was touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tau2_enhanced.environments.lazy_copy import Watch, copied_fields, is_watched, unwatched_entries
from tau2_enhanced.environments.unchanged import unchanged


class Originals(Protocol):
    """The shared database that a copy was made of."""

    def collection(self, name: str) -> dict[str, Any]:
        """The original entries of a collection. To be read only."""

    def field(self, name: str) -> Any:
        """The original of a field. To be read only."""

    def place_of(self, original: Any) -> tuple[str, str]:
        """The collection and the key of an original entry."""


class Touched(NamedTuple):
    """What may have changed in a copy of a shared database."""

    fields: dict[str, Any]
    """By name, those that are no collections."""
    entries: dict[str, dict[str, Any]]
    """By collection, its members by key."""
    removed: dict[str, set[str]]
    """By collection, the keys that are gone."""


@dataclass(slots=True)
class _Collection:
    """A collection as it was when it was last looked through."""

    originals: dict[str, Any]
    values: list[Any]
    last: str | None
    """The key that was put in last."""
    open: dict[str, Any] = field(default_factory=dict)
    """Entries that may have changed, or may yet without being noted. Once in, they stay."""
    removed: set[str] = field(default_factory=set)

    def look_through(self, entries: dict[str, Any]) -> None:
        """Notice entries that came, went or were put in the place of others."""
        values, last = list(entries.values()), next(reversed(entries), None)
        # the same objects in the same order, compared without looking into them
        if values == self.values and last == self.last:
            return
        self.values, self.last = values, last
        self.removed = self.originals.keys() - entries.keys()
        known = {key: entries[key] for key in self.open if key in entries}
        self.open = known | unwatched_entries(entries, self.originals)

    def changed(self) -> dict[str, Any]:
        """The open entries that may differ from the originals."""
        return {
            key: entry
            for key, entry in self.open.items()
            if key not in self.originals or not unchanged(entry, self.originals[key])
        }


class WatchedCopy:
    """A watched copy of a shared database. What it costs to ask is what was touched, and little for the rest."""

    def __init__(self, database: Any, noted: Watch, shared: Originals) -> None:
        self._database = database
        self._noted = noted
        self._shared = shared
        self._collections: dict[str, _Collection] = {}

    def is_whole(self, database: Any) -> bool:
        """Whether `database` is the copy, and all that was touched of it was noted."""
        return database is self._database and is_watched(database, self._noted)

    def touched(self) -> Touched:
        """What may have changed since the copy was made."""
        fields = copied_fields(self._database)
        for name, values in self._noted.opened.items():
            originals = self._shared.collection(name)
            self._collections[name] = _Collection(originals, values, next(reversed(originals), None))
        self._noted.opened.clear()
        for original in self._noted.touched:
            name, key = self._shared.place_of(original)
            if key in fields[name]:
                self._collections[name].open.setdefault(key, fields[name][key])
        self._noted.touched.clear()
        for name, collection in self._collections.items():
            collection.look_through(fields[name])
        return Touched(
            {
                name: value
                for name, value in fields.items()
                if name not in self._collections and not unchanged(value, self._shared.field(name))
            },
            {name: collection.changed() for name, collection in self._collections.items()},
            {name: collection.removed for name, collection in self._collections.items()},
        )
