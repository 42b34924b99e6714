"""Tells a simulation's own environment from those that tau2's evaluator builds to replay it in.

After a simulation the evaluator makes two environments of its own: it replays the simulation's calls in one and
the task's gold actions in the other. Where a recording does not say which is which, its times and contents do:

1. A model answers between two calls of a simulation, so it pauses there; the evaluator goes on at once.
2. The replay has the simulation's calls again, in their order and with their outcomes, after its end.
3. The gold actions follow their replay at once.

Without pauses (one call, or several in one message) a simulation is one whose calls come again soon. What
neither pauses, nor repetition, nor order tells is taken for gold actions, and said to be assumed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

PAUSE_S = 0.5
"""A model takes longer than this at least once in a simulation of several turns, the evaluator never."""
FOLLOWS_S = 2.0
"""Gold actions begin this soon after the end of their replay, on a busy machine too."""
_CALM_S = 60.0
"""How long a simulation may go on after its only calls, where none with pauses tells."""

Phase = Literal["live", "replay", "gold"]


class Environment(NamedTuple):
    """The calls that one environment saw."""

    content: Hashable
    """Its calls' names, arguments and outcomes, in order: equal where the calls are."""
    began: float
    """When its first call began, in seconds of some clock."""
    ended: float
    pause_s: float | None
    """The longest time between the end of a call and the next one's beginning; None for a single call."""


@dataclass
class Told:
    """Whose an environment is."""

    phase: Phase
    by: Literal["pauses", "repetition", "order", "assumed"]
    """What tells."""
    replays: int | None = None
    """Of which environment it is the replay, by its place in the list."""


def tell(environments: Sequence[Environment], pause_s: float = PAUSE_S) -> list[Told]:
    """Whose each environment is, in the order given. The environments are those of one recording."""
    return _Telling(environments, pause_s).told()


class _Telling:
    def __init__(self, environments: Sequence[Environment], pause_s: float) -> None:
        self._all = environments
        self._pause_s = pause_s
        self._told: dict[int, Told] = {}

    def told(self) -> list[Told]:
        self._by_pauses()
        self._replays_of(sorted(self._told, key=lambda place: self._all[place].ended))
        self._gold_by_order()
        self._by_repetition()
        evaluated = any(told.phase == "replay" for told in self._told.values())
        for place in self._untold():
            paceless = evaluated and self._all[place].pause_s is not None
            self._told[place] = Told("gold" if evaluated else "live", "pauses" if paceless else "assumed")
        return [self._told[place] for place in range(len(self._all))]

    def _untold(self) -> list[int]:
        """Their places, by the time at which they began."""
        left = (place for place in range(len(self._all)) if place not in self._told)
        return sorted(left, key=lambda place: self._all[place].began)

    def _by_pauses(self) -> None:
        for place, environment in enumerate(self._all):
            if (environment.pause_s or 0.0) > self._pause_s:
                self._told[place] = Told("live", "pauses")

    def _replays_of(self, live: Iterable[int]) -> None:
        untold: dict[Hashable, list[int]] = {}
        for place in self._untold():
            untold.setdefault(self._all[place].content, []).append(place)
        for place in live:
            same = untold.get(self._all[place].content, [])
            replay = next((later for later in same if self._all[later].began >= self._all[place].ended), None)
            if replay is not None:
                same.remove(replay)
                self._told[replay] = Told("replay", "repetition", place)

    def _gold_by_order(self) -> None:
        waiting = sorted((place for place, told in self._told.items() if told.phase == "replay"), key=self._end)
        for place in self._untold():
            began = self._all[place].began
            before = [replay for replay in waiting if 0 <= began - self._end(replay) <= FOLLOWS_S]
            if before:
                waiting.remove(before[0])
                self._told[place] = Told("gold", "order")

    def _by_repetition(self) -> None:
        """Simulations without pauses: what comes again before a conversation could have ended twice."""
        soon = max((self._all[place].pause_s or 0.0 for place in self._told), default=0.0)
        soon = max(soon, self._pause_s) if soon else _CALM_S
        untold = self._untold()
        for index, place in enumerate(untold):
            if place in self._told:
                continue
            here = self._all[place]
            for later in untold[index + 1 :]:
                there = self._all[later]
                if later in self._told or there.content != here.content:
                    continue
                if 0 <= there.began - here.ended <= soon:
                    self._told[place] = Told("live", "repetition")
                    self._told[later] = Told("replay", "repetition", place)
                break

    def _end(self, place: int) -> float:
        return self._all[place].ended
