"""Recorded conversations as answers: agent and user say again what they said.

With our header a request is known by the simulation that it names. Without, the user simulator's by the scenario
in its prompt and the agent's by the conversation: what agent and user have said so far is what a recording begins
with. Where several trials of a task go on differently from there, the request's seed decides, which tau2 gives to
each trial; where it is none of theirs, they take turns. Tasks that begin alike, and trials that differ in what the
one who asks has not seen, are not taken for each other: such requests are refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.replay import ROLES, Recorded, Recording
from tau2_enhanced.models.stand_in.gold import HEADER
from tau2_enhanced.models.stand_in.player import NoAnswer, Question
from tau2_enhanced.models.stand_in.recognition import NotRecognised, Recogniser, text_of
from tau2_enhanced.models.stand_in.wires import CHARACTERS_PER_TOKEN, Call, Tokens, Turn, tokens_of

Key = tuple[str, str, int]
"""Domain, task and trial."""


class _Said(NamedTuple):
    """One message as a participant sees it."""

    is_own: bool
    text: str
    calls: str
    """As JSON."""


class ReplayPlayer:
    """Plays the simulations of results files."""

    def __init__(self, recordings: Sequence[Recording], scenarios: Mapping[tuple[str, str], str]) -> None:
        """`scenarios` are those of the recorded tasks, by domain and task, as tau2 puts them into the prompt."""
        self._recorded: dict[Key, Recorded] = {
            (recording.domain, *key): recorded
            for recording in recordings
            for key, recorded in recording.simulations.items()
        }
        self._seen = {(key, role): _seen_by(role, self._recorded[key]) for key in self._recorded for role in ROLES}
        self._recogniser = Recogniser(scenarios)
        self._turns: Counter[tuple[str, int, tuple[Key, ...]]] = Counter()
        """How often one of several simulations had to be taken, by role, place and simulations."""

    def answer(self, question: Question) -> tuple[Turn, Tokens]:
        """As `Player.answer`."""
        number = sum(message["role"] == "assistant" for message in question.conversation)
        if question.header is not None:
            key, role = self._named(question.named())
        else:
            role, keys = self._alike(question.conversation)
            key = self._one_of(keys, role, number, question.seed)
        message = self._message(key, role, number)
        if message is None:
            raise NoAnswer(f"the recording of {_words(key)} has no further message of the {role}")
        turn = _turn(message)
        usage = message.get("usage") or {}
        prompt = usage.get("prompt_tokens", question.size // CHARACTERS_PER_TOKEN)
        return turn, Tokens(prompt, 0, usage.get("completion_tokens", tokens_of(turn)))

    def _named(self, named: Mapping[str, Any]) -> tuple[Key, str]:
        """The simulation and the role that a header names."""
        try:
            key, role = (named["domain"], named["task"], named.get("trial") or 0), named["role"]
            known = key in self._recorded
        except (LookupError, TypeError):
            raise NotRecognised(f"{HEADER} must name a domain, a task, a trial and the role") from None
        if not known:
            trials = [trial for domain, task, trial in self._recorded if (domain, task) == key[:2]]
            has = f"trials {', '.join(map(str, trials))} of it" if trials else "not this task"
            raise NotRecognised(f"{_words(key)} is not recorded: the recording has {has}")
        if role not in ROLES:
            raise NotRecognised(f"a recording answers for the agent and the user, not for the {role}")
        return key, role

    def _alike(self, conversation: Sequence[ChatMessage]) -> tuple[str, list[Key]]:
        """Who asks in this conversation, and the simulations that it may be of."""
        heard = [_heard(message) for message in conversation if message["role"] in ROLES.values()]
        if task := self._recogniser.users_task(conversation):
            keys = [key for key in self._recorded if key[:2] == task]
            # another agent may have said other words: then what the user said itself decides
            return "user", self._beginning(keys, "user", heard) or self._own_words(keys, "user", heard) or keys
        keys = self._beginning(list(self._recorded), "agent", heard)
        if not keys:
            raise NotRecognised(
                "no recorded conversation begins like this one: without the header X-Tau2-Simulation an agent's"
                " request needs a user simulator that is replayed here too"
            )
        return "agent", keys

    def _beginning(self, keys: Sequence[Key], role: str, heard: Sequence[_Said]) -> list[Key]:
        """Those of the simulations that begin with these words."""
        return [key for key in keys if self._seen[key, role][: len(heard)] == heard]

    def _own_words(self, keys: Sequence[Key], role: str, heard: Sequence[_Said]) -> list[Key]:
        own = _own(heard)
        return [key for key in keys if _own(self._seen[key, role])[: len(own)] == own]

    def _one_of(self, keys: Sequence[Key], role: str, number: int, seed: int | None) -> Key:
        """The simulation that is to go on."""
        if len({_answer_of(self._message(key, role, number)) for key in keys}) == 1:
            return keys[0]
        keys = [key for key in keys if self._recorded[key].seed == seed] or keys
        if len({(key[:2], self._beginning_of(key, role, number)) for key in keys}) > 1:
            shown = "; ".join(_words(key) for key in keys[:3])
            raise NotRecognised(
                f"recordings that look alike to the {role} go on differently ({shown}): they can't be told apart"
                f" without the header {HEADER} or the seeds of the recorded run"
            )
        place = role, number, tuple(keys)
        self._turns[place] += 1
        return keys[(self._turns[place] - 1) % len(keys)]

    def _beginning_of(self, key: Key, role: str, number: int) -> str:
        """What agent and user had said and called before a participant said so many messages of its own."""
        messages = self._recorded[key].messages
        own = [place for place, message in enumerate(messages) if message["role"] == ROLES[role]]
        before = messages[: own[number]] if number < len(own) else messages
        spoken = (message for message in before if message["role"] in ROLES.values())
        return repr([_recorded_as(message, is_own=message["role"] == ROLES[role]) for message in spoken])

    def _message(self, key: Key, role: str, number: int) -> Mapping[str, Any] | None:
        """What a participant said after so many messages of its own."""
        said = self._recorded[key].said_by(role)
        return said[number] if number < len(said) else None


def _turn(message: Mapping[str, Any]) -> Turn:
    calls = [Call(call["name"], call["arguments"], call["id"] or None) for call in message.get("tool_calls") or ()]
    return Turn(message.get("content"), calls)


def _answer_of(message: Mapping[str, Any] | None) -> str:
    """What tells answers apart."""
    return "" if message is None else repr(_recorded_as(message, is_own=True))


def _seen_by(role: str, recorded: Recorded) -> list[_Said]:
    """The recorded conversation as a participant sees it: not what another does with its own tools."""
    spoken = (message for message in recorded.messages if message["role"] in ROLES.values())
    seen = ((message, message["role"] == ROLES[role]) for message in spoken)
    return [_recorded_as(message, is_own=own) for message, own in seen if own or not message.get("tool_calls")]


def _own(seen: Sequence[_Said]) -> list[_Said]:
    return [said for said in seen if said.is_own]


def _recorded_as(message: Mapping[str, Any], *, is_own: bool) -> _Said:
    calls = [(call["name"], call["arguments"]) for call in message.get("tool_calls") or ()]
    return _Said(is_own, (message.get("content") or "").strip(), json.dumps(calls, sort_keys=True))


def _heard(message: ChatMessage) -> _Said:
    functions = [call["function"] for call in message.get("tool_calls") or ()]
    calls = [(function["name"], json.loads(function["arguments"] or "{}")) for function in functions]
    return _Said(message["role"] == "assistant", text_of(message).strip(), json.dumps(calls, sort_keys=True))


def _words(key: Key) -> str:
    domain, task, trial = key
    return f"{domain} {task}, trial {trial}"
