from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.models.stand_in.gold import STOP, GoldAction, Play, next_turn, read_plays, write_plays
from tau2_enhanced.models.stand_in.plays import play_of
from tau2_enhanced.models.stand_in.wires import Call, Turn

Message = dict[str, Any]
GREETING = [("assistant", "text")]
OTHER = {"assistant": "user", "user": "assistant"}
ROLES = {"assistant": "agent", "user": "user"}

actions_of_both = st.lists(st.sampled_from(["assistant", "user"]), max_size=14).map(
    lambda sides: [GoldAction(side, f"tool_{index}", {"n": index}) for index, side in enumerate(sides)]
)
histories = st.lists(st.tuples(st.sampled_from(["assistant", "user"]), st.sampled_from(["text", "call"])), max_size=6)
information = st.lists(st.sampled_from(["42 USD", "gate B7", "tomorrow", "<none>"]), max_size=3)


class Conversation:
    """Agent and user, each with a view of its own, as tau2 gives it to them."""

    def __init__(self, play: Play, history: Sequence[tuple[str, str]]) -> None:
        self.play = play
        self.views: dict[str, list[Message]] = {side: [{"role": "system", "content": "…"}] for side in OTHER}
        self.played: list[GoldAction] = []
        self.told: list[str] = []
        for index, (side, kind) in enumerate(history):
            if kind == "text":
                self.say(side, f"earlier words {index}")
            else:
                self.call(side, f"earlier_tool_{index}")

    def say(self, side: str, text: str) -> None:
        self.views[side].append({"role": "assistant", "content": text})
        self.views[OTHER[side]].append({"role": "user", "content": text})

    def call(self, side: str, name: str) -> None:
        made = {"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}
        self.views[side].append({"role": "assistant", "content": None, "tool_calls": [made]})
        self.views[side].append({"role": "tool", "content": "done", "tool_call_id": "c"})

    def run(self, side: str) -> Conversation:
        """Until the user stops; the play must not need more turns than twice its actions and some words."""
        for _ in range(4 * len(self.play.actions) + 10):
            turn = next_turn(self.play, ROLES[side], self.views[side])
            if turn.calls:
                assert turn.text is None
                [call] = turn.calls
                self.played.append(GoldAction(side, call.name, call.arguments))
                self.call(side, call.name)
                continue
            assert turn.text
            if STOP in turn.text:
                assert side == "user"
                return self
            if side == "assistant":
                self.told.append(turn.text)
            self.say(side, turn.text)
            side = OTHER[side]
        raise AssertionError(f"the user never stopped: {self.played}")


def counts(history: Sequence[tuple[str, str]], wanted: str) -> Mapping[str, int]:
    return {ROLES[side]: sum(item == (side, wanted) for item in history) for side in OTHER}


def assert_played(conversation: Conversation) -> None:
    assert conversation.played == list(conversation.play.actions)
    for item in conversation.play.information:
        assert any(item in text for text in conversation.told)


@settings(max_examples=300, deadline=None)
@given(actions=actions_of_both, information=information)
def test_all_actions_are_played_once_and_in_order(actions: list[GoldAction], information: list[str]) -> None:
    play = Play(actions, "Hello, I need help", information)
    assert_played(Conversation(play, GREETING).run("user"))


@settings(max_examples=300, deadline=None)
@given(actions=actions_of_both, information=information, earlier=histories)
@pytest.mark.parametrize(
    ("last", "speaker"),
    [
        (("assistant", "text"), "user"),
        (("user", "text"), "assistant"),
        (("user", "call"), "user"),
        (("assistant", "call"), "assistant"),
    ],
    ids=["agent spoke", "user spoke", "user called", "agent called"],
)
def test_what_happened_before_is_not_counted(
    last: tuple[str, str],
    speaker: str,
    actions: list[GoldAction],
    information: list[str],
    earlier: list[tuple[str, str]],
) -> None:
    history = [*earlier, last]
    play = Play(
        actions,
        "Hello, I need help",
        information,
        first_speaker=ROLES[speaker],
        history_calls=counts(history, "call"),
        history_texts=counts(history, "text"),
    )
    assert_played(Conversation(play, history).run(speaker))


@pytest.mark.parametrize("domain", ["mock", "retail", "airline", "telecom"])
def test_every_real_task_is_played_to_its_end(registry: Any, domain: str) -> None:
    tasks = registry.get_tasks_loader(domain)("base")
    assert tasks
    for task in tasks:
        messages = (task.initial_state.message_history if task.initial_state else None) or []
        history = [
            (message.role, kind)
            for message in messages
            if message.role != "tool"
            for kind in (["call"] * len(message.tool_calls) if message.tool_calls else ["text"])
        ]
        speaker = "user"
        if messages:
            last = messages[-1]
            speaker = last.requestor if last.role == "tool" else OTHER[last.role]
        play = play_of(task)
        assert_played(Conversation(play, history or GREETING).run(speaker))
        criteria = task.evaluation_criteria
        assert [(a.requestor, a.name, a.arguments) for a in play.actions] == [
            (a.requestor, a.name, a.arguments) for a in criteria.actions or []
        ]
        assert list(play.information) == (criteria.communicate_info or [])


def test_the_user_says_the_tasks_reason_for_calling(registry: Any) -> None:
    task = registry.get_tasks_loader("retail")("base")[0]
    assert play_of(task).opening == task.user_scenario.instructions.reason_for_call


def test_the_user_opens_with_the_tasks_words() -> None:
    play = Play([GoldAction("assistant", "look", {})], "My phone is broken")
    greeted = [{"role": "user", "content": "Hi! How can I help you today?"}]
    assert next_turn(play, "user", greeted) == Turn(text="My phone is broken")


def test_a_call_that_is_asked_for_again_is_the_same() -> None:
    play = Play([GoldAction("assistant", "look", {}), GoldAction("assistant", "see", {})], "Hello")
    asked = [{"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Hello"}]
    assert next_turn(play, "agent", asked) == next_turn(play, "agent", asked) == Turn(calls=[Call("look", {})])


def test_the_judge_finds_all_assertions_met() -> None:
    text = next_turn(Play([], "Hello", assertions=["be kind", "be quick"]), "judge", []).text
    results = json.loads(text or "")["results"]
    assert [(check["expectedOutcome"], check["metExpectation"]) for check in results] == [
        ("be kind", True),
        ("be quick", True),
    ]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
plays = st.builds(
    Play,
    actions=st.lists(
        st.builds(
            GoldAction,
            st.sampled_from(["assistant", "user"]),
            st.text(),
            st.dictionaries(st.text(), values, max_size=3),
        ),
        max_size=3,
    ),
    opening=st.text(),
    information=st.lists(st.text(), max_size=2),
    assertions=st.lists(st.text(), max_size=2),
    first_speaker=st.sampled_from(["agent", "user"]),
    history_calls=st.none() | st.fixed_dictionaries({"agent": st.integers(0, 3), "user": st.integers(0, 3)}),
    history_texts=st.none() | st.fixed_dictionaries({"agent": st.integers(0, 3), "user": st.integers(0, 3)}),
)


@settings(deadline=None)
@given(st.dictionaries(st.tuples(st.text(), st.text()), plays, max_size=3))
def test_plays_are_written_on_one_line_and_read_back(written: dict[tuple[str, str], Play]) -> None:
    text = write_plays(written)
    assert len(text.splitlines()) == 1
    assert read_plays(text) == written
