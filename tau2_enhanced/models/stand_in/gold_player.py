"""Gold actions as answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.stand_in.gold import HEADER, STOP, Play, next_turn, played
from tau2_enhanced.models.stand_in.player import Question
from tau2_enhanced.models.stand_in.recognition import Asked, NotRecognised, Recogniser, signed
from tau2_enhanced.models.stand_in.wires import CHARACTERS_PER_TOKEN, Tokens, Turn, tokens_of


class GoldPlayer:
    """Plays tasks by their gold actions."""

    def __init__(
        self, plays: Mapping[tuple[str, str], Play], recogniser: Recogniser | None = None, *, no_calls: bool = False
    ) -> None:
        """`plays` by domain and task. With a `recogniser` requests without our header are answered too."""
        self._plays = plays
        self._recogniser = recogniser
        self._no_calls = no_calls

    def answer(self, question: Question) -> tuple[Turn, Tokens]:
        """As `Player.answer`."""
        asked = self._asked(question)
        play = self._plays[asked.domain, asked.task]
        turn = next_turn(replace(play, actions=()) if self._no_calls else play, asked.role, question.conversation)
        if question.header is None and asked.role == "user" and turn.text not in (None, STOP):
            turn = replace(turn, text=signed(turn.text or "", asked.domain, asked.task))
        return turn, _tokens(play, asked.role, question.conversation, turn, question.size)

    def _asked(self, question: Question) -> Asked:
        """Whose request it is. Raises NotRecognised."""
        if question.header is None and self._recogniser is not None:
            return self._recogniser.recognise(question.conversation)
        named = question.named()
        try:
            asked = Asked(named["domain"], named["task"], named["role"])
            if (asked.domain, asked.task) in self._plays:
                return asked
        except (LookupError, TypeError):
            pass
        raise NotRecognised(
            f"can't tell the task of this request: {HEADER} must name a known domain and task, and the role"
        )


def _tokens(play: Play, role: str, conversation: Sequence[ChatMessage], turn: Turn, request_size: int) -> Tokens:
    """Four characters are a token. What an earlier request of the conversation held comes from the cache."""
    prompt = request_size // CHARACTERS_PER_TOKEN
    cached = 0
    if role != "judge" and max(played(play, role, conversation)) > 0:
        last_answer = max(index for index, message in enumerate(conversation) if message["role"] == "assistant")
        new = len(json.dumps(conversation[last_answer:])) // CHARACTERS_PER_TOKEN + 1
        cached = max(0, prompt - new)
    return Tokens(prompt, cached, tokens_of(turn))
