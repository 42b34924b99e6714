"""Which simulation a request belongs to, where no header says so: for harnesses that are not ours.

The user simulator's prompt holds the task's scenario. What the stand-in then says as the user ends with the
task's name in brackets, and by that it knows the agent's requests.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.stand_in.player import NoAnswer

_SCENARIO = re.compile(r"<scenario>(.*)</scenario>", re.DOTALL)
_SIGNATURE = re.compile(r"\[gold plays (\S+) (.+)\]\s*\Z", re.DOTALL)


class NotRecognised(NoAnswer):
    """The request's simulation can't be told; the text says why."""


class Asked(NamedTuple):
    """A request's task, and who asks."""

    domain: str
    task: str
    role: str


class Recogniser:
    """Knows tasks by their scenarios."""

    def __init__(self, scenarios: Mapping[tuple[str, str], str]) -> None:
        """`scenarios` are the texts of the tasks' scenarios, by domain and task, as tau2 puts them into the prompt."""
        self._tasks: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for task, scenario in scenarios.items():
            self._tasks[_words(scenario)].append(task)

    def recognise(self, conversation: Sequence[ChatMessage]) -> Asked:
        """The simulation of a request. Raises NotRecognised."""
        if task := self.users_task(conversation):
            return Asked(*task, "user")
        for message in reversed(conversation):
            if message["role"] == "user" and (signed := _SIGNATURE.search(text_of(message))):
                return Asked(signed[1], signed[2], "agent")
        raise NotRecognised(
            "which task this is can't be told: without the header X-Tau2-Simulation an agent's request needs a user"
            " simulator that is played here too"
        )

    def users_task(self, conversation: Sequence[ChatMessage]) -> tuple[str, str] | None:
        """The task of a user simulator's request; None for another's. Raises NotRecognised."""
        prompt = "\n".join(text_of(message) for message in conversation if message["role"] == "system")
        scenario = _SCENARIO.search(prompt)
        return self._task(_words(scenario[1])) if scenario else None

    def _task(self, scenario: str) -> tuple[str, str]:
        tasks = self._tasks.get(scenario, [])
        if len(tasks) == 1:
            return tasks[0]
        if not tasks:
            raise NotRecognised("no task that is played here has this scenario")
        shown = ", ".join(task for _, task in tasks[:3])
        raise NotRecognised(
            f"{len(tasks)} tasks of {tasks[0][0]} have this scenario ({shown}, …): without the header X-Tau2-Simulation"
            " they can't be told apart"
        )


def signed(text: str, domain: str, task: str) -> str:
    """What the user says, with the name of the task by which the agent's requests are recognised."""
    return f"{text} [gold plays {domain} {task}]"


def _words(text: str) -> str:
    return " ".join(text.split())


def text_of(message: ChatMessage) -> str:
    """A message's text, or the texts of its parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text") or "") for part in content)
