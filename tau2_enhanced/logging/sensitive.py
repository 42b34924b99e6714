"""Sensitive data in whatever is recorded: found by key and by value, at any depth, and replaced on request.

This concerns the people in the data: their cards, addresses, birth dates and whatever credentials they tell.
The secrets of the process itself (its API keys) are `redaction.py`'s, which is always on.

| kind | by its key | by its value |
| --- | --- | --- |
| credential | `password`, `api_key`, `token`, `pin`, … | providers' forms (`credentials.py`), bearer tokens, URLs |
| payment_card | `card_number`, `cvv`, … | 13 to 19 digits of a known issuer that pass their check digit |
| email | `email`, … | its form |
| phone | `phone`, `mobile_number`, … and 7 to 15 digits | `+…`, or North American with separators |
| birth_date | `dob`, `date_of_birth`, … and a date | a date after `born` or `date of birth` |
| national_id | `ssn`, `passport_number`, `tax_id`, … | a US social security number with its hyphens |
| address | `address`, `street`, `zip`, …, and all texts inside one | a house number and a street |

A text that is JSON is looked into as if it were no text; in other texts, `key: value` counts as key and value.
Entries of a JSON Patch (`op`, `path`, `old`, `new`) are taken for what stands at that path. Keys stay as they are.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NamedTuple

from tau2_enhanced.logging.plain import JSON, compact, pointer, tokens_of
from tau2_enhanced.logging.sensitive_keys import Kind, kind_of_place, looks_like
from tau2_enhanced.logging.sensitive_texts import Span, spans_in

_CHANGED = ("old", "new", "value")
"""Members of a patch's entry that stand at its path."""
_LONGEST_JSON = 1_000_000
"""Longer texts are not tried as JSON."""


class Finding(NamedTuple):
    """Something sensitive."""

    kind: Kind
    path: str
    """The RFC 6901 pointer of the text or number that holds it."""


def find_sensitive(value: JSON) -> list[Finding]:
    """All that is sensitive in a JSON value, in its order; of one kind, once for each place."""
    walk = _Walk()
    walk.over(value, (), ())
    return list(walk.findings)


def redacted(value: JSON) -> JSON:
    """A copy in which everything sensitive is replaced by its kind: `[email]`, `[birth_date]`."""
    return _Walk().over(value, (), ())


class _Walk:
    """One pass over a value, which notes what is sensitive and returns the value without it."""

    def __init__(self) -> None:
        self.findings: dict[Finding, None] = {}

    def over(self, value: JSON, path: tuple[str | int, ...], names: tuple[str, ...]) -> JSON:
        """`path` says where the value is, `names` the keys that say what it is."""
        if isinstance(value, dict):
            changed = _path_of_change(value)
            return {
                key: self.over(inner, (*path, key), changed if changed and key in _CHANGED else (*names, key))
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self.over(inner, (*path, index), names) for index, inner in enumerate(value)]
        if isinstance(value, str):
            with suppress(RecursionError):  # nested too deep to be taken for more than a text
                inside = _json_inside(value)
                if inside is not None:
                    found = self.over(inside, path, names)
                    return value if found == inside else compact(found)
            return self._text(value, path, names)
        if isinstance(value, int) and not isinstance(value, bool):
            text = self._text(str(value), path, names)
            return value if text == str(value) else text
        return value

    def _text(self, text: str, path: tuple[str | int, ...], names: tuple[str, ...]) -> str:
        kind = kind_of_place(names)
        spans = [Span(0, len(text), kind)] if kind is not None and looks_like(kind, text) else spans_in(text)
        for span in spans:
            self.findings[Finding(span.kind, pointer(path))] = None
        for span in reversed(spans):
            text = f"{text[: span.start]}[{span.kind}]{text[span.end :]}"
        return text


def _path_of_change(entry: dict[str, Any]) -> tuple[str, ...]:
    """The keys that an entry of a JSON Patch leads to; empty for any other object."""
    path = entry.get("path")
    if not isinstance(path, str) or not isinstance(entry.get("op"), str):
        return ()
    try:
        return tuple(token for token in tokens_of(path) if not token.isdigit())
    except ValueError:
        return ()


def _json_inside(text: str) -> JSON:
    """The object or list that a text is the JSON of; None for any other text."""
    if text[:1] not in ("{", "[") or text[-1] not in "}]" or len(text) > _LONGEST_JSON:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
