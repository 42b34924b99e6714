"""Dictionaries of models whose copies are made entry by entry: an entry that nobody reads is never copied.

What reads such a dictionary past its methods (pydantic's serialiser, orjson) finds `UNREAD` where nobody has read yet,
and fails, rather than that it gets hold of an original.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from itertools import compress, repeat
from operator import is_not
from typing import Any


class _Unread:
    # pydantic would take an empty `__dict__` for a model's fields
    __slots__ = ()

    def __repr__(self) -> str:
        return "UNREAD"

    def __str__(self) -> str:
        # tau2 hashes what `json` can't write as a text
        raise RuntimeError("an entry was read past the methods of its dictionary")


UNREAD = _Unread()


class SharedEntries(dict[Any, Any]):
    """A dictionary that nobody changes, and all that its copies have in common."""

    __slots__ = ("copier", "unread")

    def __init__(self, entries: Mapping[Any, Any], copier: Callable[[Any], Any]) -> None:
        """`copier` makes the copy of an entry."""
        super().__init__(entries)
        self.copier = copier
        self.unread = dict.fromkeys(entries, UNREAD)


class LazyEntries(dict[Any, Any]):
    """A copy of shared entries, to be changed freely. Keys are there from the beginning, so their ways are dict's."""

    __slots__ = ("_originals",)

    def __init__(self, originals: SharedEntries) -> None:
        super().__init__(originals.unread)
        self._originals = originals

    def read_or_put(self) -> dict[Any, Any]:
        """The entries that were read, or put in: all others are as the originals are."""
        return dict(compress(super().items(), map(is_not, super().values(), repeat(UNREAD))))

    def fill(self) -> LazyEntries:
        """The dictionary itself, all its entries copied: from now on it is one like any other."""
        for _ in self.values():
            pass
        return self

    def _read(self, key: Any) -> Any:
        copied = self._originals.copier(self._originals[key])
        super().__setitem__(key, copied)
        return copied

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        return self._read(key) if value is UNREAD else value

    def get(self, key: Any, default: Any = None) -> Any:
        value = super().get(key, default)
        return self._read(key) if value is UNREAD else value

    def pop(self, key: Any, *default: Any) -> Any:
        value = super().pop(key, *default)
        return self._originals.copier(self._originals[key]) if value is UNREAD else value

    def popitem(self) -> tuple[Any, Any]:
        key, value = super().popitem()
        return key, self._originals.copier(self._originals[key]) if value is UNREAD else value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        value = super().setdefault(key, default)
        return self._read(key) if value is UNREAD else value

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]  # a view of dict's own would hand out UNREAD
        return _Items(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # as above
        return _Values(self)

    def __iter__(self) -> Iterator[Any]:
        # `dict(x)` and `{**x}` go past all methods unless this one is its own
        return super().__iter__()

    def copy(self) -> dict[Any, Any]:
        return dict(self)

    def __eq__(self, other: object) -> bool:
        return super(LazyEntries, self.fill()).__eq__(other.fill() if isinstance(other, LazyEntries) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as dict's

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _walk(entries: LazyEntries) -> Iterator[tuple[Any, Any]]:
    originals, put = entries._originals, dict.__setitem__
    copier = originals.copier
    for key, value in dict.items(entries):
        if value is UNREAD:
            value = copier(originals[key])
            put(entries, key, value)
        yield key, value


class _Items(ItemsView[Any, Any]):
    _mapping: LazyEntries

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return _walk(self._mapping)

    def __reversed__(self) -> Iterator[tuple[Any, Any]]:
        return ((key, self._mapping[key]) for key in reversed(self._mapping))


class _Values(ValuesView[Any]):
    _mapping: LazyEntries

    def __iter__(self) -> Iterator[Any]:
        for _, value in _walk(self._mapping):
            yield value

    def __reversed__(self) -> Iterator[Any]:
        return (self._mapping[key] for key in reversed(self._mapping))
