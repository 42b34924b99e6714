"""How complex a value is, from 0 to 1.

    score = mean of x / (x + half) over four measures x:

    measure                                                             half
    values  those that hold no others, at any depth                       5
    depth   levels of nesting beyond the first                             2
    kinds   different JSON kinds (text, integer, number, truth, null,
            list, object) beyond the first, arguments' own object apart    2
    size    bytes of compact JSON, beyond the two of an empty object     500

Each measure counts a quarter, so none hides the others. x / (x + half) grows with every bit of x and
never reaches 1: no real value is cut off at the top, where a sum with ceilings calls every larger call
1.0. `half` is the measure at which it says 0.5, set between τ²'s plain and its largest calls: a lookup
by one id scores about 0.05, a flight booking with passengers and payments about 0.6.
"""

from __future__ import annotations

from typing import NamedTuple

from tau2_enhanced.logging.plain import JSON, json_size

_HALF = (5.0, 2.0, 2.0, 500.0)
_EMPTY = 2


class Measures(NamedTuple):
    """What the score is made of: see above."""

    values: int
    depth: int
    kinds: int
    size: int


def measures(value: JSON, size: int | None = None) -> Measures:
    """The four measures of a JSON value, each 0 for an empty one. `size` is its bytes, where they are known."""
    kinds: set[str] = set()
    count, depth = 0, 0
    level = [value]
    while level:
        below: list[JSON] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            else:
                count += 1
        kinds.update(type(item).__name__ for item in below)
        depth += bool(below)
        level = below
    if not isinstance(value, dict | list):
        kinds.add(type(value).__name__)
    return Measures(
        count, max(depth - 1, 0), max(len(kinds) - 1, 0), max((json_size(value) if size is None else size) - _EMPTY, 0)
    )


def complexity(value: JSON, size: int | None = None) -> float:
    """The score of a JSON value. `size` is its bytes, where they are known."""
    return score_of(measures(value, size))


def score_of(measured: Measures) -> float:
    """The score of what was measured: grows with each measure, and lies in [0, 1)."""
    return sum(x / (x + half) for x, half in zip(measured, _HALF, strict=True)) / len(_HALF)
