"""What changed between two JSON values: a list of changes, as in JSON Patch (RFC 6902), and a sentence.

A change has an `op` (add, remove or replace), a `path` (RFC 6901), and the `old` and the `new` value, where
there is one. Applied in their order to the old value, changes give the new one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypedDict

from tau2_enhanced.logging.plain import JSON, compact, pointer, tokens_of

Tokens = tuple[str | int, ...]

_SHOWN_CHANGES = 3
_SHOWN_LENGTH = 40


class Change(TypedDict, total=False):
    """One change, as plain JSON."""

    op: Literal["add", "remove", "replace"]
    path: str
    old: Any
    new: Any


class _Missing:
    """What stands at a place that is not there."""


_MISSING = _Missing()


def diff(old: JSON, new: JSON, within: Iterable[str] | None = None) -> list[Change]:
    """The changes from `old` to `new`; none if and only if their canonical JSON is the same.

    `within` names the places that may differ, so that only these are compared: what a database view knows to
    have been touched. Pointers to members of objects; to items of a list only where it kept its length.
    Values are not copied.
    """
    if within is None:
        return list(_changes(old, new, ()))
    found: list[Change] = []
    for tokens in _outermost(within):
        found.extend(_changes(_at(old, tokens), _at(new, tokens), tokens))
    return found


def _outermost(paths: Iterable[str]) -> list[Tokens]:
    """The places, in order, without those inside another."""
    kept: list[Tokens] = []
    for tokens in sorted(tuple(tokens_of(path)) for path in set(paths)):
        if not kept or tokens[: len(kept[-1])] != kept[-1]:
            kept.append(tokens)
    return kept


def _at(value: JSON, tokens: Tokens) -> JSON:
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token, _MISSING)
        elif isinstance(value, list) and str(token).isdecimal() and int(token) < len(value):
            value = value[int(token)]
        else:
            return _MISSING
    return value


def _changes(old: JSON, new: JSON, place: Tokens) -> Iterator[Change]:
    if old is new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(key, _MISSING), new.get(key, _MISSING), (*place, key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, place)
    elif old is _MISSING:
        yield {"op": "add", "path": pointer(place), "new": new}
    elif new is _MISSING:
        yield {"op": "remove", "path": pointer(place), "old": old}
    elif not _same(old, new):
        yield {"op": "replace", "path": pointer(place), "old": old, "new": new}


def _list_changes(old: list[JSON], new: list[JSON], place: Tokens) -> Iterator[Change]:
    """What is equal at both ends stays; what is between is compared one by one, the rest added or removed."""
    shorter = min(len(old), len(new))
    start = next((index for index in range(shorter) if not _same(old[index], new[index])), shorter)
    end = next((back for back in range(shorter - start) if not _same(old[-1 - back], new[-1 - back])), shorter - start)
    pairs = shorter - start - end
    for index in range(start, start + pairs):
        yield from _changes(old[index], new[index], (*place, index))
    # from the last on, so that the places of those before stay what they are
    for index in range(len(old) - end - 1, start + pairs - 1, -1):
        yield {"op": "remove", "path": pointer((*place, index)), "old": old[index]}
    for index in range(start + pairs, len(new) - end):
        yield {"op": "add", "path": pointer((*place, index)), "new": new[index]}


def _same(old: JSON, new: JSON) -> bool:
    """Equal as JSON: 1, 1.0 and true are three values."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def apply(value: JSON, changes: Iterable[Change]) -> JSON:
    """`value` after the changes, as a copy. Raises LookupError where a change does not fit."""
    whole = {"": copy.deepcopy(value)}
    for change in changes:
        *parents, last = ["", *tokens_of(change["path"])]
        inside: JSON = whole
        for token in parents:
            inside = inside[int(token)] if isinstance(inside, list) else inside[token]
        new = copy.deepcopy(change.get("new"))
        if isinstance(inside, list) and change["op"] == "add":
            inside.insert(int(last), new)
            continue
        key: Any = int(last) if isinstance(inside, list) else last
        if change["op"] == "remove":
            del inside[key]
        else:
            inside[key] = new
    return whole[""]


def summary_of(changes: Iterable[Change]) -> str:
    """The changes in a sentence, by entry: `orders/#W123/status: pending → cancelled; users/mia_li_3668: 2 changes`."""
    entries: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        entries.setdefault(tuple(tokens_of(change["path"])[:2]), []).append(change)
    texts = [_about(entry, of_entry) for entry, of_entry in entries.items()]
    further = len(texts) - _SHOWN_CHANGES
    shown = texts[:_SHOWN_CHANGES] if further > 0 else texts
    return "; ".join([*shown, f"{further} more"] if further > 0 else shown) or "no changes"


def _about(entry: tuple[str, ...], changes: list[Change]) -> str:
    if len(changes) > 1:
        return f"{'/'.join(entry)}: {len(changes)} changes"
    [change] = changes
    place = "/".join(tokens_of(change["path"])) or "everything"
    if change["op"] == "replace":
        return f"{place}: {_shown(change['old'])} → {_shown(change['new'])}"
    value = change["new"] if change["op"] == "add" else change["old"]
    word = "added" if change["op"] == "add" else "removed"
    return f"{place}: {word}" if isinstance(value, dict | list) else f"{place}: {word} {_shown(value)}"


def _shown(value: JSON) -> str:
    if isinstance(value, dict | list):
        return f"{len(value)} {'fields' if isinstance(value, dict) else 'items'}"
    text = value if isinstance(value, str) and value else compact(value)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
