"""Why a simulation got its reward: what tau2 checked, and which of it counts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One thing that tau2 looked at."""

    basis: str
    """DB, ACTION, ENV_ASSERTION, COMMUNICATE or NL_ASSERTION."""
    what: str
    met: bool
    counts: bool
    """Whether the task's reward rests on it."""
    why: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A reward and what it is made of."""

    reward: float
    breakdown: Mapping[str, float]
    """The reward by basis; their product is the reward."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    """What tau2 says of what it did not check."""


def verdict_of(info: Mapping[str, Any] | None) -> Verdict | None:
    """The verdict in tau2's `reward_info`; None where there is none."""
    if info is None:
        return None
    basis = tuple(info.get("reward_basis") or ())
    checks = (Check(kind, what, met, kind in basis, why) for kind, what, met, why in _checks(info))
    return Verdict(float(info["reward"]), info.get("reward_breakdown") or {}, tuple(checks), tuple(_notes(info)))


def _checks(info: Mapping[str, Any]) -> Iterator[tuple[str, str, bool, str | None]]:
    if (database := info.get("db_check")) is not None:
        same = "as" if database["db_match"] else "not as"
        yield "DB", f"the database is {same} the gold actions leave it", bool(database["db_match"]), None
    for check in info.get("env_assertions") or ():
        wanted = check["env_assertion"]
        expected = "" if wanted.get("assert_value", True) else "not "
        yield "ENV_ASSERTION", expected + call_text(wanted["func_name"], wanted["arguments"]), bool(check["met"]), None
    for check in info.get("action_checks") or ():
        action = check["action"]
        by = " by the user" if action.get("requestor") == "user" else ""
        yield "ACTION", call_text(action["name"], action["arguments"]) + by, bool(check["action_match"]), None
    for check in info.get("communicate_checks") or ():
        yield "COMMUNICATE", check["info"], bool(check["met"]), check.get("justification")
    for check in info.get("nl_assertions") or ():
        yield "NL_ASSERTION", check["nl_assertion"], bool(check["met"]), check.get("justification")


def _notes(info: Mapping[str, Any]) -> Iterator[str]:
    told = info.get("info") or {}
    for part in (told, *told.values()):
        if isinstance(part, Mapping) and isinstance(part.get("note"), str):
            yield part["note"]


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A call on one line: `get_order(order_id="#W1", items=["7", "8"])`."""
    given = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    return f"{name}({given})"
