"""What of a lazy copy may differ from its original: a look at what was copied, and at nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from tau2_enhanced.environments.lazy_copy import copied_fields, original_of, touched_classes, untouched_classes
from tau2_enhanced.environments.lazy_entries import LazyEntries

K = TypeVar("K")


def unchanged(value: Any, original: Any) -> bool:
    """Whether a lazy copy surely equals its original, but for the order of keys.

    A copy of which all fields were asked for at once counts as changed: what became of it is not known.
    """
    if value is original:
        return True
    kind = type(value)
    if kind in untouched_classes:
        return original_of(value) is original
    if kind in touched_classes:
        if original_of(value) is not original:
            return False
        fields = original.__dict__
        for name, copied in copied_fields(value).items():
            # most are untouched, and known without a call
            if type(copied) in untouched_classes and original_of(copied) is fields[name]:
                continue
            if not unchanged(copied, fields[name]):
                return False
        return True
    if kind is LazyEntries:
        if len(value) != len(original):
            return False
        value = value.read_or_put()
    elif kind is not type(original) or kind not in (dict, list) or len(value) != len(original):
        return False
    if kind is list:
        return all(map(unchanged, value, original))
    for key, copied in value.items():
        # nearly all are untouched, and known without a call
        if type(copied) in untouched_classes and original_of(copied) is original.get(key):
            continue
        if key not in original or not unchanged(copied, original[key]):
            return False
    return True


def changed_entries(entries: Mapping[K, Any], originals: Mapping[K, Any]) -> dict[K, Any]:
    """Those of a lazy copy's entries that may differ from the originals, and those that these don't have."""
    known = entries.read_or_put() if type(entries) is LazyEntries else entries
    return {
        key: entry
        for key, entry in known.items()
        # nearly all are untouched, and there may be thousands: they are known without a call
        if (type(entry) not in untouched_classes or original_of(entry) is not originals.get(key))
        and (key not in originals or not unchanged(entry, originals[key]))
    }
