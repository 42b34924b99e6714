"""The models of one simulation: who answers which role, what each has used, and how much they may."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tau2_enhanced.logging import get_logger
from tau2_enhanced.models.client import ChatMessage, ToolSchema, Usage
from tau2_enhanced.models.context_window import ContextWindow
from tau2_enhanced.models.cutoff import Cutoff
from tau2_enhanced.models.experts import ExpertTool
from tau2_enhanced.models.failures import LimitReached
from tau2_enhanced.models.participant import Answer, Participant, Used, total
from tau2_enhanced.models.task_time import task_time

_logger = get_logger(__name__)


@dataclass
class SimulationModels:
    """The participants of one simulation and what each has used."""

    participants: Mapping[str, Participant]
    """By role: agent, user, judge."""
    headers: Callable[[Participant], Mapping[str, str]] = field(repr=False)
    """The request headers for a participant."""
    context: ContextWindow | None = None
    """Where the agent's conversation is cut to fit."""
    expert_tool: ExpertTool | None = None
    """Where the agent may let experts take its turn."""
    assertions: int | None = None
    """How many natural-language assertions the task has, for the judge."""
    token_limit: int | None = None
    """Tokens, in and out, of agent, experts and user together, above which the simulation has failed."""
    cost_limit_usd: float | None = None
    cutoff: Cutoff = field(default_factory=Cutoff, repr=False)
    """From when on nothing is asked, and `used` stays as it is."""
    used: dict[str, Used] = field(default_factory=dict)
    _shown: dict[str, int] = field(default_factory=dict, repr=False)

    def answer(
        self,
        role: str,
        messages: Sequence[ChatMessage],
        tools: Sequence[ToolSchema],
        tool_choice: str | None,
        arguments: Mapping[str, Any],
    ) -> Answer:
        """A usable answer for a role, as `Participant.answer` gives and fails to give it.

        Raises ExpertFailed too, LimitReached where the simulation has used up what it may, and GivenUp.
        """
        participant = self.participants[role]
        if role != "agent" or self.expert_tool is None:
            return self._ask(participant, messages, tools, tool_choice, arguments)

        def ask(expert: Participant | None, seen: Sequence[ChatMessage], offered: Sequence[ToolSchema]) -> Answer:
            return self._ask(expert or participant, seen, offered, tool_choice, arguments)

        answer = self.expert_tool.turn(messages, tools, ask)
        # what was said in private is no part of the next prompt
        self._shown[role] = len(messages)
        return answer

    def _ask(
        self,
        participant: Participant,
        messages: Sequence[ChatMessage],
        tools: Sequence[ToolSchema],
        tool_choice: str | None,
        arguments: Mapping[str, Any],
    ) -> Answer:
        """One participant's answer, with the simulation's headers and account."""
        role = participant.role
        if role != "judge":
            self._check_limits()
        self._show(role, messages, tools)
        window = self.context if role == "agent" else None
        if window is not None:
            messages = window.fit(messages, tools)
        with self.cutoff:
            used = self.used.setdefault(role, Used())

        def charge(usage: Usage, cost_usd: float | None, seconds: float) -> None:
            with self.cutoff:
                used.add(usage, cost_usd, seconds)

        answer = participant.answer(
            messages, tools, tool_choice, arguments, self.headers(participant), charge, judgements=self.assertions
        )
        if window is not None:
            window.learn(messages, tools, answer.usage.input_tokens)
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug("answer of the %s: %s", role, json.dumps(answer.raw, ensure_ascii=False))
        return answer

    def cost_usd(self, *roles: str) -> float | None:
        """What the calls of these roles have cost; None where a price is unknown."""
        cost: float | None = 0.0
        for role in roles:
            cost = total(cost, self.used[role].cost_usd if role in self.used else 0.0)
        return cost

    def _check_limits(self) -> None:
        task_time().check()
        tokens = sum((used.input_tokens or 0) + (used.output_tokens or 0) for used in self.used.values())
        if self.token_limit is not None and tokens > self.token_limit:
            raise LimitReached(f"{tokens} tokens are more than the {self.token_limit} of a task")
        cost = sum(used.cost_usd or 0.0 for used in self.used.values())
        if self.cost_limit_usd is not None and cost > self.cost_limit_usd:
            raise LimitReached(f"{cost:.4f} USD are more than the {self.cost_limit_usd:g} of a task")

    def _show(self, role: str, messages: Sequence[ChatMessage], tools: Sequence[ToolSchema]) -> None:
        """The prompt at DEBUG, each message once."""
        if not _logger.isEnabledFor(logging.DEBUG):
            return
        shown = self._shown.get(role, 0) if role != "judge" else 0
        if not shown and tools:
            _logger.debug("tools of the %s: %s", role, json.dumps(list(tools), ensure_ascii=False))
        for index, message in enumerate(messages[shown:], shown):
            _logger.debug("prompt of the %s, message %d: %s", role, index, json.dumps(message, ensure_ascii=False))
        self._shown[role] = len(messages)
