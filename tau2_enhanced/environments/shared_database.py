"""A domain's database, parsed once and shared by all environments of the domain."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tau2_enhanced.environments.lazy_copy import copied_fields, lazy_copy, unchanged

if TYPE_CHECKING:
    from tau2.environment.db import DB

_KNOWN_STATES = 1024
"""For how many states the hash is kept: in a run, most end states come up several times."""

Change = tuple[str, str | None, str | None]
"""A field, a key in it and its JSON: no key where the field is no collection, no JSON where the key is gone."""


class SharedDatabase:
    """A database that nobody changes, lazy copies of it for those who do, and their hashes.

    The hash is tau2's: SHA-256 of the whole database's JSON, keys sorted (`tau2.utils.utils.get_dict_hash`).
    The JSON of what nobody changed is kept, so a hash costs what was changed and one pass of SHA-256.
    """

    def __init__(self, database: DB) -> None:
        """`database` belongs to this object from now on: a caller that changes it changes all copies."""
        self._original = database
        dump = database.model_dump()
        self._collections = {
            name: {key: _member(key, entry) for key, entry in dump[name].items()}
            for name in dump
            if _is_collection(getattr(database, name, None)) and _is_collection(dump[name])
        }
        self._others = {name: _member(name, value) for name, value in dump.items() if name not in self._collections}
        self._hash_of_changes = functools.lru_cache(maxsize=_KNOWN_STATES)(self._hash)
        self.hash = self._hash(frozenset())

    def copy(self) -> DB:
        """A copy to be changed freely; an entry is copied when it is first read."""
        return lazy_copy(self._original)

    def hash_of(self, database: DB) -> str | None:
        """tau2's hash of a copy in its present state; None for what is no copy of this database."""
        if not isinstance(database, type(self._original)):
            return None
        changed = self._changed(copied_fields(database))
        if changed is None:
            return None
        if not changed:
            return self.hash
        # entries are serialised by the whole database's serialiser, as tau2 does it
        dump = self._original.model_copy(update=changed).model_dump(include=set(changed))
        changes = frozenset(self._changes(dump, database))
        return self._hash_of_changes(changes) if changes else self.hash

    def _changed(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """Of each field that may have changed, the entries that may; None where the shape is not the original's."""
        originals = self._original.__dict__
        changed: dict[str, Any] = {}
        for name, value in fields.items():
            if name not in originals:
                return None
            original = originals[name]
            if name not in self._collections:
                if not unchanged(value, original):
                    changed[name] = value
                continue
            if not _is_collection(value):
                return None
            entries = {
                key: entry for key, entry in value.items() if key not in original or not unchanged(entry, original[key])
            }
            if entries or len(value) != len(original):
                changed[name] = entries
        return changed

    def _changes(self, dump: Mapping[str, Any], database: DB) -> Iterator[Change]:
        for name, value in dump.items():
            if name not in self._collections:
                if (text := _member(name, value)) != self._others[name]:
                    yield name, None, text
                continue
            known = self._collections[name]
            for key, entry in value.items():
                if (text := _member(key, entry)) != known.get(key):
                    yield name, key, text
            for key in known.keys() - getattr(database, name).keys():
                yield name, key, None

    def _hash(self, changes: Iterable[Change]) -> str:
        collections, others = dict(self._collections), dict(self._others)
        for name, key, text in changes:
            if key is None:
                assert text is not None
                others[name] = text
                continue
            if collections[name] is self._collections[name]:
                collections[name] = dict(collections[name])
            if text is None:
                del collections[name][key]
            else:
                collections[name][key] = text
        fields = others | {name: f"{_json(name)}: {_object(entries)}" for name, entries in collections.items()}
        return hashlib.sha256(_object(fields).encode()).hexdigest()


def _is_collection(value: object) -> bool:
    return type(value) is dict and all(type(key) is str for key in value)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _member(key: str, value: object) -> str:
    return f"{_json(key)}: {_json(value)}"


def _object(members: Mapping[str, str]) -> str:
    """The JSON of an object, of its members' by key."""
    return "{" + ", ".join([members[key] for key in sorted(members)]) + "}"
