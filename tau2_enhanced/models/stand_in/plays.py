"""From a tau2 task to what the stand-in needs to play it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tau2_enhanced.models.stand_in.gold import GoldAction, Play

if TYPE_CHECKING:
    from tau2.data_model.tasks import Task


def plays_of(tasks: Mapping[tuple[str, str], Task], experts: Iterable[str] = ()) -> dict[tuple[str, str], Play]:
    """The tasks by domain and id as the stand-in plays them, with the experts that the agent may ask."""
    return {key: replace(play_of(task), experts=tuple(experts)) for key, task in tasks.items()}


def play_of(task: Task) -> Play:
    """The task's gold actions, what must be told, and what of its own message history is not ours to play."""
    criteria = task.evaluation_criteria
    history = (task.initial_state.message_history if task.initial_state else None) or []
    spoken = [message for message in history if message.role in ("assistant", "user")]
    calls, texts = {"agent": 0, "user": 0}, {"agent": 0, "user": 0}
    for message in spoken:
        role = "agent" if message.role == "assistant" else "user"
        calls[role] += len(message.tool_calls or ())
        texts[role] += not message.tool_calls
    ends_with_agent = not history or (history[-1].role == "assistant" and not history[-1].tool_calls)
    ends_with_user_tool = bool(history) and getattr(history[-1], "requestor", None) == "user"
    return Play(
        actions=[
            GoldAction(action.requestor, action.name, action.arguments)
            for action in (criteria.actions if criteria else None) or []
        ],
        opening=_opening(task),
        information=(criteria.communicate_info if criteria else None) or [],
        assertions=(criteria.nl_assertions if criteria else None) or [],
        first_speaker="user" if ends_with_agent or ends_with_user_tool else "agent",
        history_calls=calls,
        history_texts=texts if history else {"agent": 1, "user": 0},
    )


def _opening(task: Task) -> str:
    instructions = task.user_scenario.instructions
    return str(getattr(instructions, "reason_for_call", instructions))
