"""How the tools that were called compare with a task's gold actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Call = Mapping[str, Any]
"""A tool call or a gold action as tau2 writes it: `name`, `arguments`, `requestor`."""


class Matches(NamedTuple):
    """Calls of some tools in some simulations."""

    gold: Counter[str]
    """Gold actions by tool."""
    called: Counter[str]
    matched: Counter[str]
    """Gold actions that a call did: as many as can be, where each call does one at most."""


def match(pairs: Iterable[tuple[Sequence[Call], Sequence[Call]]]) -> Matches:
    """Count over pairs of gold actions and calls, one for each simulation."""
    found = Matches(Counter(), Counter(), Counter())
    for gold, calls in pairs:
        found.gold.update(action["name"] for action in gold)
        found.called.update(call["name"] for call in calls)
        found.matched.update(gold[place]["name"] for place in _matched(gold, calls))
    return found


def _matched(gold: Sequence[Call], calls: Sequence[Call]) -> Iterable[int]:
    """The places of the gold actions in a largest matching (Kuhn's algorithm)."""
    able = [[at for at, call in enumerate(calls) if _is(action, call)] for action in gold]
    does: dict[int, int] = {}

    def finds(action: int, asked: set[int]) -> bool:
        for at in sorted(able[action], key=does.__contains__):
            if at in asked:
                continue
            asked.add(at)
            # a call that does another action may do this one if that finds another call
            if at not in does or finds(does[at], asked):
                does[at] = action
                return True
        return False

    for action in range(len(gold)):
        finds(action, set())
    return does.values()


def tool_accuracy(pairs: Iterable[tuple[Sequence[Call], Sequence[Call]]]) -> dict[str, Any]:
    """Precision and recall of tool calls against gold actions, over all tools and for each.

    `precision` is the share of calls that did a gold action (reading more than the gold actions do lowers it),
    `recall` the share of gold actions that were done; each is None where there is nothing to take a share of.
    """
    found = match(pairs)
    tools = sorted(found.gold | found.called)
    return {
        **_shares(found.gold.total(), found.called.total(), found.matched.total()),
        "by_tool": [
            {"tool": tool, **_shares(found.gold[tool], found.called[tool], found.matched[tool])} for tool in tools
        ],
    }


def _shares(gold: int, called: int, matched: int) -> dict[str, Any]:
    return {
        "gold": gold,
        "called": called,
        "matched": matched,
        "precision": matched / called if called else None,
        "recall": matched / gold if gold else None,
    }


def _is(action: Call, call: Call) -> bool:
    """Whether a call did a gold action, as tau2's `Action.compare_with_tool_call` decides."""
    if action["name"] != call["name"] or _requestor(action) != _requestor(call):
        return False
    compared = action.get("compare_args")
    names = call["arguments"].keys() if compared is None else set(compared)
    return _only(call["arguments"], names) == _only(action["arguments"], names)


def _requestor(call: Call) -> str:
    return call.get("requestor") or "assistant"


def _only(arguments: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    wanted = set(names)
    return {name: value for name, value in arguments.items() if name in wanted}
