"""How the stand-in plays a task: its gold actions in their written order, agent and user in turns.

Nothing is remembered between requests: whose turn it is and what was played follow from the messages
that the participant sends. Consecutive actions of one side are a *part*; in each of its turns a side
plays one part, a tool call at a time, and then speaks. The user, who answers the agent's greeting,
speaks first; if the first part is the agent's, the user's first turn is words alone (and the other way
round in a task whose own history ends with the user). When no part is left, the agent states what it
has to communicate, and the user stops.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from tau2_enhanced.models.conversation import CALL_EXPERT
from tau2_enhanced.models.stand_in.asking import expert_to_ask
from tau2_enhanced.models.stand_in.wires import Call, Turn

HEADER = "X-Tau2-Simulation"
"""Names the simulation of a request: JSON with `domain`, `task`, `trial` and `role`."""
STOP = "###STOP###"
DONE = "done"
"""The tool by which an agent without a user ends."""
_SIDES = {"agent": "assistant", "user": "user"}


@dataclass(frozen=True)
class GoldAction:
    """A tool call that the benchmark's authors expect; `requestor` is assistant or user."""

    requestor: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Play:
    """All that playing a task needs."""

    actions: Sequence[GoldAction]
    opening: str
    """What the user says first."""
    information: Sequence[str] = ()
    """What the agent must tell the user."""
    assertions: Sequence[str] = ()
    """What a judge is asked about; the stand-in finds all of it met."""
    first_speaker: str = "user"
    history_calls: Mapping[str, int] | None = None
    """Tool calls in the task's own message history, by role: not played by us."""
    history_texts: Mapping[str, int] | None = None
    """Texts there, by role. Without a history the agent has greeted: {"agent": 1}."""
    experts: Sequence[str] = ()
    """Whom the agent lets take a turn now and then."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Play:
        actions = [GoldAction(**action) for action in data["actions"]]
        return cls(**{**data, "actions": actions, "experts": tuple(data.get("experts", ()))})


def next_turn(play: Play, role: str, messages: Sequence[Mapping[str, Any]]) -> Turn:
    """The answer of `role` (agent, expert, user, judge or solo: an agent without a user) to its conversation."""
    if role == "judge":
        return Turn(text=_judgement(play))
    if role == "expert":
        return next_turn(replace(play, experts=()), "agent", messages)
    if role == "agent" and (expert := expert_to_ask(play.experts, messages)):
        return Turn(calls=[Call(CALL_EXPERT, {"expert": expert, "reason": "It is an expert's turn."})])
    if role == "solo":
        return Turn(calls=[_next_alone(play, messages)])
    calls, turns = played(play, role, messages)
    parts = [(side, list(actions)) for side, actions in groupby(play.actions, key=lambda action: action.requestor)]
    mine = [actions for side, actions in parts if side == _SIDES[role]]
    waits = play.first_speaker == role and bool(parts) and parts[0][0] != _SIDES[role]
    part = turns - int(waits)
    played_before = sum(len(actions) for actions in mine[: max(part, 0)])
    if 0 <= part < len(mine) and calls - played_before < len(mine[part]):
        action = mine[part][calls - played_before]
        return Turn(calls=[Call(action.name, action.arguments)])

    done = part >= len(mine) - 1
    if role == "agent":
        told = " ".join(["That is done.", *play.information]) if done else "Now it is your turn."
        return Turn(text=told)
    if turns == 0:
        return Turn(text=play.opening)
    others = len(parts) - len(mine)
    agent_turns = sum(1 for m in messages if m["role"] == "user") - (play.history_texts or {"agent": 1}).get("agent", 0)
    return Turn(text=STOP if part >= len(mine) and agent_turns >= others else "I did that. Please go on.")


def played(play: Play, role: str, messages: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """How many tool calls and how many texts the stand-in has given as `role` in this conversation."""
    calls = sum(len(m.get("tool_calls") or ()) for m in messages if m["role"] == "assistant")
    texts = sum(1 for m in messages if m["role"] == "assistant" and not m.get("tool_calls"))
    role = "agent" if role in ("expert", "solo") else role
    history_calls, history_texts = play.history_calls or {}, play.history_texts or {"agent": 1}
    return calls - history_calls.get(role, 0), texts - history_texts.get(role, 0)


def _next_alone(play: Play, messages: Sequence[Mapping[str, Any]]) -> Call:
    """Both sides' actions in their order, and then the tool by which tau2's solo agents end."""
    calls, _ = played(play, "solo", messages)
    if calls >= len(play.actions):
        return Call(DONE, {})
    action = play.actions[calls]
    return Call(action.name, action.arguments)


def _judgement(play: Play) -> str:
    checks = [
        {"expectedOutcome": assertion, "reasoning": "the gold actions were played", "metExpectation": True}
        for assertion in play.assertions
    ]
    return json.dumps({"results": checks})


def read_plays(text: str) -> dict[tuple[str, str], Play]:
    """Plays from `[[domain, task, play], …]`."""
    return {(domain, task): Play.from_json(play) for domain, task, play in json.loads(text)}


def write_plays(plays: Mapping[tuple[str, str], Play]) -> str:
    """One line that `read_plays` reads."""
    return json.dumps([[domain, task, play.to_json()] for (domain, task), play in plays.items()])
