"""A domain's database, parsed once and shared by all environments of the domain."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tau2_enhanced.environments.base_state import BaseState
from tau2_enhanced.environments.lazy_copy import copied_fields, lazy_copy, share_entries
from tau2_enhanced.environments.touched import Touched
from tau2_enhanced.environments.unchanged import changed_entries, unchanged

if TYPE_CHECKING:
    from tau2.environment.db import DB

_KNOWN_STATES = 1024
"""For how many states the hash is kept: most end states of a run come up several times."""


class _Change(NamedTuple):
    field: str
    key: str | None
    """In the field, which is a collection; None where it is none."""
    text: str | None
    """The JSON of the new member, name and value; None where it is gone."""


class SharedDatabase:
    """A database that nobody changes, lazy copies of it for those who do, and their hashes.

    The hash is tau2's: SHA-256 of the whole database's JSON, keys sorted (`tau2.utils.utils.get_dict_hash`).
    The JSON of what nobody changed is kept, so that a hash costs what was changed and at most one pass of
    SHA-256. A collection is a field whose value is a dictionary with strings for keys.
    """

    def __init__(self, database: DB) -> None:
        """`database` belongs to this object from now on: whoever changes it changes all copies."""
        self._original = database
        dump = database.model_dump()
        self._entries = {
            name: {key: _member(key, value[key]) for key in sorted(value)}
            for name, value in dump.items()
            if _is_collection(value) and _is_collection(getattr(database, name))
        }
        """Of each collection the JSON of its members, by key."""
        self._fields = {
            name: _collection(name, self._entries[name]) if name in self._entries else _member(name, dump[name])
            for name in sorted(dump)
        }
        """The JSON of the database's members, in the order in which they are hashed."""
        for name in self._entries:
            database.__dict__[name] = share_entries(database.__dict__[name])
        self.state = BaseState(database.__dict__)
        self._hash_of_changes = functools.lru_cache(maxsize=_KNOWN_STATES)(self._hash)
        self._before = {}
        """By field, the SHA-256 of what stands before it in the database's JSON."""
        whole = hashlib.sha256(b"{")
        for number, (name, text) in enumerate(self._fields.items()):
            whole.update(b", " if number else b"")
            self._before[name] = whole.copy()
            whole.update(text.encode())
        whole.update(b"}")
        self.hash = whole.hexdigest()

    def copy(self) -> DB:
        """A copy to be changed freely; an entry is copied when it is first read."""
        return lazy_copy(self._original)

    def collection(self, name: str) -> dict[str, Any]:
        """The original entries of a collection. To be read only."""
        entries: dict[str, Any] = self._original.__dict__[name]
        return entries

    def field(self, name: str) -> Any:
        """The original of a field. To be read only."""
        return self._original.__dict__[name]

    def place_of(self, original: Any) -> tuple[str, str]:
        """The collection and the key of an original entry."""
        return self._places[id(original)]

    @functools.cached_property
    def _places(self) -> Mapping[int, tuple[str, str]]:
        return {id(entry): (name, key) for name in self._entries for key, entry in self.collection(name).items()}

    def hash_of(self, database: DB) -> str | None:
        """tau2's hash of a copy in its present state; None for what is no copy, or no longer of its shape."""
        if not isinstance(database, type(self._original)):
            return None
        touched = self._touched(copied_fields(database))
        if touched is None:
            return None
        if not touched:
            return self.hash
        # entries are serialised by the whole database's serialiser, as tau2 does it
        dump = self._original.model_copy(update=touched).model_dump(include=set(touched))
        changes = frozenset(self._changes(dump, database))
        return self._hash_of_changes(changes) if changes else self.hash

    def touched(self, database: Any) -> Touched | None:
        """What may have changed in a copy; None for what is no copy, or no longer of its shape."""
        if not isinstance(database, type(self._original)):
            return None
        known = self._touched(copied_fields(database))
        if known is None:
            return None
        entries = {name: value for name, value in known.items() if name in self._entries}
        removed = {name: self._entries[name].keys() - getattr(database, name).keys() for name in entries}
        return Touched({name: value for name, value in known.items() if name not in entries}, entries, removed)

    def _touched(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """The fields that may have changed, collections without their unchanged entries."""
        originals = self._original.__dict__
        touched: dict[str, Any] = {}
        for name, value in fields.items():
            if name not in self._fields:
                return None
            if name not in self._entries:
                if not unchanged(value, originals[name]):
                    touched[name] = value
                continue
            if not isinstance(value, dict):
                return None
            known = originals[name]
            entries = changed_entries(value, known)
            # those that are as they were have the originals' keys
            if not _is_collection(entries):
                return None
            if entries or len(value) != len(known):
                touched[name] = entries
        return touched

    def _changes(self, dump: Mapping[str, Any], database: DB) -> Iterator[_Change]:
        for name, value in dump.items():
            if name not in self._entries:
                if (text := _member(name, value)) != self._fields[name]:
                    yield _Change(name, None, text)
                continue
            known = self._entries[name]
            for key, entry in value.items():
                if (text := _member(key, entry)) != known.get(key):
                    yield _Change(name, key, text)
            kept = getattr(database, name)
            if len(kept) != len(known) or not value.keys() <= known.keys():
                for key in known.keys() - kept.keys():
                    yield _Change(name, key, None)

    def _hash(self, changes: frozenset[_Change]) -> str:
        fields = dict(self._fields)
        changed = {change.field for change in changes}
        for name in changed:
            fields[name] = self._changed_field(name, [change for change in changes if change.field == name])
        names = list(fields)
        first = min(map(names.index, changed))
        whole = self._before[names[first]].copy()
        whole.update(f"{', '.join(fields[name] for name in names[first:])}}}".encode())
        return whole.hexdigest()

    def _changed_field(self, name: str, changes: list[_Change]) -> str:
        if name not in self._entries:
            [change] = changes
            return change.text or ""
        entries = dict(self._entries[name])
        for change in changes:
            assert change.key is not None
            if change.text is None:
                del entries[change.key]
            else:
                entries[change.key] = change.text
        return _collection(name, entries)


def _is_collection(value: object) -> bool:
    return type(value) is dict and set(map(type, value)) <= {str}


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _member(name: str, value: object) -> str:
    return f"{_json(name)}: {_json(value)}"


def _collection(name: str, entries: Mapping[str, str]) -> str:
    members = ", ".join(map(entries.__getitem__, sorted(entries)))
    return f"{_json(name)}: {{{members}}}"
