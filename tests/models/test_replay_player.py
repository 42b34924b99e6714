from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.models.replay import Recorded, Recording
from tau2_enhanced.models.stand_in.player import NoAnswer, Question
from tau2_enhanced.models.stand_in.recognition import NotRecognised
from tau2_enhanced.models.stand_in.replay_player import ReplayPlayer
from tau2_enhanced.models.stand_in.wires import Call, Turn

GREETING = {"role": "assistant", "content": "Hi! How can I help you today?"}
SIDES = {"assistant": "agent", "user": "user"}
OTHER = {"assistant": "user", "user": "assistant"}


def says(side: str, text: str | None = None, *calls: str) -> dict[str, Any]:
    """A message as tau2 records it; each call is a tool's name."""
    made = [{"id": f"id_{name}", "name": name, "arguments": {"of": name}, "requestor": side} for name in calls]
    return {"role": side, "content": text, "tool_calls": made or None}


def recording(*simulations: Recorded, domain: str = "mock") -> Recording:
    return Recording(Path("r.json"), domain, 100, 10, {(made.task, made.trial): made for made in simulations})


def recorded(*messages: dict[str, Any], task: str = "t", trial: int = 0, seed: int | None = None) -> Recorded:
    return Recorded(task, trial, seed, [GREETING, *messages])


def player(*simulations: Recorded) -> ReplayPlayer:
    tasks = {made.task for made in simulations}
    return ReplayPlayer([recording(*simulations)], {("mock", task): f"The scenario of {task}" for task in tasks})


class Conversation:
    """What a harness does: agent and user in turns, each with its own view."""

    def __init__(self, playing: ReplayPlayer, task: str = "t", trial: int | None = None, seed: int | None = None):
        self._player = playing
        self._named = None if trial is None else {"domain": "mock", "task": task, "trial": trial}
        self._seed = seed
        scenario = {"role": "system", "content": f"Guidelines\n<scenario>\nThe scenario of {task}\n</scenario>"}
        self._views: dict[str, list[dict[str, Any]]] = {
            "assistant": [{"role": "system", "content": "Policy"}, GREETING],
            "user": [scenario, {**GREETING, "role": "user"}],
        }
        self.said: list[tuple[str, Turn]] = []

    def ask(self, side: str) -> Turn:
        named = None if self._named is None else json.dumps({**self._named, "role": SIDES[side]})
        turn, _ = self._player.answer(Question(named, self._views[side], self._seed))
        self.said.append((side, turn))
        calls = [
            {"id": call.id, "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
            for call in turn.calls
        ]
        message = {"role": "assistant", "content": turn.text}
        self._views[side].append({**message, "tool_calls": calls} if calls else message)
        if not calls:
            self._views[OTHER[side]].append({"role": "user", "content": turn.text})
        for call in calls:
            self._views[side].append({"role": "tool", "tool_call_id": call["id"], "content": "done"})
        return turn

    def run(self) -> list[tuple[str, Turn]]:
        """Until the recording ends."""
        side = "user"
        while True:
            try:
                turn = self.ask(side)
            except NoAnswer:
                return self.said
            side = side if turn.calls else OTHER[side]


def turns(simulation: Recorded) -> list[tuple[str, Turn]]:
    made = []
    for message in simulation.messages[1:]:
        calls = [Call(call["name"], call["arguments"], call["id"]) for call in message["tool_calls"] or ()]
        made.append((message["role"], Turn(message["content"], calls)))
    return made


LONG = recorded(
    says("user", None, "restart", "look"),
    says("user", "Help me"),
    says("assistant", "Let me see.", "find", "find_more"),
    says("assistant", "Done."),
    says("user", "###STOP###"),
)


@pytest.mark.parametrize("trial", [0, None])
def test_all_that_was_said_is_said_again(trial: int | None) -> None:
    assert Conversation(player(LONG), trial=trial).run() == turns(LONG)


def test_tokens_are_those_recorded() -> None:
    counted = {**says("user", "Help me"), "usage": {"prompt_tokens": 425, "completion_tokens": 93}}
    _, tokens = player(recorded(counted)).answer(
        Question(json.dumps({"domain": "mock", "task": "t", "trial": 0, "role": "user"}), [])
    )
    assert (tokens.prompt, tokens.cached, tokens.completion) == (425, 0, 93)


def test_a_trials_seed_tells_it_from_others() -> None:
    trials = [recorded(says("user", text), trial=n, seed=n + 5) for n, text in enumerate(("One", "Two", "Three"))]
    playing = player(*trials)
    for seed, text in ((7, "Three"), (7, "Three"), (5, "One"), (6, "Two")):
        assert Conversation(playing, seed=seed).ask("user").text == text


def test_trials_take_turns_where_no_seed_tells_them_apart() -> None:
    playing = player(*(recorded(says("user", text), trial=n) for n, text in enumerate(("One", "Two"))))
    asked = [Conversation(playing, seed=1).ask("user").text for _ in range(4)]
    assert asked == ["One", "Two", "One", "Two"]


MESSAGES = st.builds(says, st.just("assistant"), st.sampled_from([None, "a"]), st.sampled_from(["x", "y"])) | st.builds(
    says, st.just("assistant"), st.sampled_from(["a", "b"])
)


@st.composite
def trials(draw: st.DrawFn) -> list[Recorded]:
    """A few trials of one task, so alike that many begin with the same words."""
    made = []
    for trial in range(draw(st.integers(1, 5))):
        side, messages = "user", []
        for message in draw(st.lists(MESSAGES, max_size=6)):
            messages.append({**message, "role": side})
            side = side if message["tool_calls"] else OTHER[side]
        made.append(recorded(*messages, trial=trial))
    return made


@given(trials(), st.randoms(use_true_random=False))
def test_as_many_conversations_as_trials_play_each_of_them_once(made: list[Recorded], random: Any) -> None:
    """In whatever order their requests come; where trials can't be told apart, none is played wrongly."""
    playing = player(*made)
    running = {number: (Conversation(playing), "user") for number in range(len(made))}
    expected, played, refused = [turns(simulation) for simulation in made], [], []
    while running:
        number = random.choice(list(running))
        conversation, side = running.pop(number)
        try:
            turn = conversation.ask(side)
        except NotRecognised:
            refused.append(conversation.said)
        except NoAnswer:
            played.append(conversation.said)
        else:
            running[number] = conversation, side if turn.calls else OTHER[side]
    assert all(any(whole[: len(said)] == said for whole in expected) for said in refused)
    assert all(said in expected for said in played)
    if not refused:
        assert Counter(map(repr, played)) == Counter(map(repr, expected))


def test_trials_that_differ_in_what_the_other_did_unseen_are_refused() -> None:
    first = recorded(says("user", "Help me"), says("assistant", "One"))
    other = recorded(says("user", None, "restart"), says("user", "Help me"), says("assistant", "Two"), trial=1)
    conversation = Conversation(player(first, other))
    assert conversation.ask("user").text == "Help me"
    with pytest.raises(NotRecognised, match="look alike to the agent go on differently"):
        conversation.ask("assistant")


def test_a_user_is_replayed_beside_an_agent_of_another_kind() -> None:
    playing = player(
        recorded(says("user", "Help me"), says("assistant", "Gladly"), says("user", "###STOP###")),
        recorded(says("user", "I have a wish"), says("assistant", "Well"), says("user", "Thanks"), trial=1),
    )
    scenario = {"role": "system", "content": "<scenario>The scenario of t</scenario>"}
    asked = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I have a wish"}]
    said = [scenario, *asked, {"role": "user", "content": "What nobody recorded"}]
    assert playing.answer(Question(None, said))[0].text == "Thanks"


def test_tasks_that_can_not_be_told_apart_are_refused() -> None:
    playing = player(
        recorded(says("user", "Help me"), says("assistant", "One"), task="t"),
        recorded(says("user", "Help me"), says("assistant", "Two"), task="u"),
    )
    conversation = Conversation(playing, task="u")
    conversation.ask("user")
    with pytest.raises(NotRecognised, match=r"go on differently \(mock t, trial 0; mock u, trial 0\)"):
        conversation.ask("assistant")
    same = Conversation(playing, task="u", trial=0)
    same.ask("user")
    assert same.ask("assistant").text == "Two"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"domain": "mock", "task": "t", "trial": 3, "role": "user"}, "mock t, trial 3 is not recorded.*trials 0 of"),
        ({"domain": "retail", "task": "t", "trial": 0, "role": "user"}, "has not this task"),
        ({"domain": "mock", "task": "t", "trial": 0, "role": "judge"}, "not for the judge"),
        ({"task": "t"}, "must name a domain"),
        ({"domain": "mock", "task": [], "trial": 0, "role": "user"}, "must name a domain"),
    ],
)
def test_a_header_that_names_nothing_recorded_is_refused_with_the_reason(named: dict[str, Any], said: str) -> None:
    with pytest.raises(NotRecognised, match=said):
        player(LONG).answer(Question(json.dumps(named), []))


@pytest.mark.parametrize(
    ("conversation", "said"),
    [
        ([GREETING, {"role": "user", "content": "What nobody recorded"}], "needs a user simulator that is replayed"),
        ([{"role": "system", "content": "<scenario>Another</scenario>"}], "no task that is played here"),
    ],
)
def test_a_conversation_that_nobody_recorded_is_refused_with_the_reason(
    conversation: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(NotRecognised, match=said):
        player(LONG).answer(Question(None, conversation))


def test_a_recording_that_ends_says_so() -> None:
    conversation = Conversation(player(recorded(says("user", "Help me"))), trial=0)
    conversation.ask("user")
    with pytest.raises(NoAnswer, match="the recording of mock t, trial 0 has no further message of the agent"):
        conversation.ask("assistant")
