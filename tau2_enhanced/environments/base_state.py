"""A database as it was at first, and what a later look at it tells: the state, its hash, what differs.

A place is a member of a collection (`("users", "mia_li_3668")`) or a whole field (`("lines", None)`).
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import to_json

from tau2_enhanced.logging.diff import Change, diff
from tau2_enhanced.logging.plain import JSON, compact, plain, pointer
from tau2_enhanced.logging.state_hash import hash_of_weight, weight

Place = tuple[str, str | None]
Look = Mapping[Place, bytes | None]
"""By place, the JSON of what stands there now; None where it is gone. Places that are left out are unchanged."""


class BaseState:
    """A database as it was at first: its JSON by place, and its hash."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """`fields` by name; nobody changes them from now on."""
        self._fields = fields
        self._texts: dict[Place, bytes | None] = {}
        self._weighing = threading.Lock()

    def text(self, place: Place) -> bytes | None:
        """The JSON of a place; None where there is none."""
        if place not in self._texts:
            name, key = place
            value = self._fields.get(name, _MISSING)
            if key is not None:
                value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
            self._texts[place] = None if value is _MISSING else text_of(value)
        return self._texts[place]

    def hash_of(self, look: Look) -> str:
        """`logging.state_hash.state_hash` of the state that a look saw, at the cost of what differs.

        Slow the first time.
        """
        differing = sum(_weight(place, text) - _weight(place, self.text(place)) for place, text in look.items())
        return hash_of_weight(self._weight + differing)

    @functools.cached_property
    def _weight(self) -> int:
        with self._weighing:
            return weight(json.loads(text_of(dict(self._fields))))

    def part(self, places: Iterable[Place], look: Look) -> dict[str, JSON]:
        """The state that a look saw, as far as these places go; an empty look is the base itself."""
        made: dict[str, JSON] = {}
        # whole fields first: what is known of their members comes on top
        for place in sorted(places, key=_is_member):
            name, key = place
            text = look[place] if place in look else self.text(place)
            if text is None or (key is not None and (name, None) in look):
                continue
            if key is None:
                made[name] = json.loads(text)
            else:
                made.setdefault(name, {})[key] = json.loads(text)
        return made

    def differing(self, look: Look) -> dict[str, JSON]:
        """What a look saw to differ from the base; None for what is gone."""
        made: dict[str, JSON] = {}
        for (name, key), text in look.items():
            value = None if text is None else json.loads(text)
            if key is None:
                made[name] = value
            else:
                made.setdefault(name, {})[key] = value
        return made

    def changes(self, before: Look, after: Look) -> list[Change]:
        """What changed from one look to a later one."""
        if before == after:
            return []
        places = [
            place
            for place in {**before, **after}
            if before.get(place, self.text(place)) != after.get(place, self.text(place))
        ]
        within = [pointer(token for token in place if token is not None) for place in places]
        return diff(self.part(places, before), self.part(places, after), within)


_MISSING = object()


@functools.lru_cache(maxsize=4096)
def _weight(place: Place, text: bytes | None) -> int:
    """What stands at a place adds so much to the hash: the same things come again and again."""
    if text is None:
        return 0
    (name, key), value = place, json.loads(text)
    return weight({name: value if key is None else {key: value}})


def _is_member(place: Place) -> bool:
    return place[1] is not None


def text_of(value: Any) -> bytes:
    """A value's JSON, whatever it holds."""
    try:
        return to_json(value, serialize_unknown=True)
    except ValueError:  # half a character, which models write at times, or a value that holds itself
        return compact(plain(value)).encode("utf-8", "surrogatepass")
