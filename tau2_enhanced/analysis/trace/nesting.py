"""Makes slices of one row nest: two of them are apart, or one lies within the other."""

from __future__ import annotations

from collections.abc import Sequence

ROUNDING_US = 2
"""How far two ends that are the same moment can be apart: starts and durations are each kept to the µs."""


def nest(rows: Sequence[int], ranks: Sequence[int], starts: list[int], ends: list[int]) -> list[bool]:
    """Which slices overlap others of their row without nesting, so that they can't stand in it.

    Slices come by row, start and falling end, containers first; of `ranks`, a lower one contains. Times are
    in µs. Where only rounding makes two overlap, `starts` and `ends` are moved inwards: a start by ROUNDING_US
    at most, an end by twice that. Of two that really overlap the container keeps its row, or else the earlier.
    """
    given_starts, given_ends = starts.copy(), ends.copy()
    outside = [False] * len(starts)
    open_slices: list[int] = []
    row: int | None = None
    for this, start in enumerate(starts):
        if rows[this] != row:
            row = rows[this]
            open_slices.clear()
        contained: list[int] = []
        while open_slices:
            top = open_slices[-1]
            over = ends[this] - ends[top]
            if ends[top] <= start:
                open_slices.pop()
            elif over <= 0:
                break
            elif over <= ROUNDING_US and ranks[this] > ranks[top]:
                ends[this] = ends[top]
                break
            elif ends[top] - start <= ROUNDING_US:
                ends[top] = start
                open_slices.pop()
            elif ranks[this] < ranks[top]:
                contained.append(open_slices.pop())
            else:
                outside[this] = True
                break
        if outside[this]:
            open_slices += reversed(contained)
            continue
        open_slices.append(this)
        for inner in reversed(contained):
            if start - given_starts[inner] <= ROUNDING_US:
                starts[inner] = start
                open_slices.append(inner)
            else:
                outside[inner] = True
                starts[inner], ends[inner] = given_starts[inner], given_ends[inner]
    return outside
