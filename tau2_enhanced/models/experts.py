"""Experts: other models that the agent may let take its turn, through one more tool, `call_expert`.

The expert sees the conversation and the domain's tools, but not this one, and its answer is the agent's
turn: neither tau2's conversation nor the domain's environment ever holds a `call_expert`.

The agent calls one expert, and nothing beside it. Whatever else it asks for (an expert that is not there,
two at once, one beside other tools) is answered with an error, as a tool's mistakes are, in an exchange
that nobody else sees; none of the calls beside it is made. So is an expert that fails by itself, or that
asks for an expert in turn. After `TRIES` of them the agent has failed. What the infrastructure did not let
an expert answer breaks the simulation off, as it does with an agent.
"""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import current_context, get_logger
from tau2_enhanced.models.client import ChatMessage, ToolSchema, call_of
from tau2_enhanced.models.conversation import CALL_EXPERT, EXPERT, kept_of, seen_by, with_signatures
from tau2_enhanced.models.failures import BrokenArguments, ContextOverflow, EmptyAnswer, ExpertFailed
from tau2_enhanced.models.participant import TRIES, Answer, Participant, ToolRequest, total
from tau2_enhanced.models.prices import Price

_LATENCY_FROM = 3
"""How many answers of an expert it takes to tell how long it takes."""

Ask = Callable[[Participant | None, Sequence[ChatMessage], Sequence[ToolSchema]], Answer]
"""Asks an expert, or the agent where none is given."""

_logger = get_logger(__name__)


class _NotDone(Exception):
    """What the agent asked for gave no answer; the text is what it is told."""


class Experts:
    """The experts of a run, and how long their answers took. Safe to use from many threads."""

    def __init__(self, participants: Sequence[Participant], prices: Mapping[str, Price | None]) -> None:
        self.participants = {expert.expert or "": expert for expert in participants}
        self._prices = prices
        self._lock = threading.Lock()
        self._took_s: dict[str, list[float]] = {name: [] for name in self.participants}

    def took(self, name: str, seconds: float) -> None:
        """Remember how long an answer took."""
        with self._lock:
            self._took_s[name].append(seconds)

    def tool(self) -> ToolSchema:
        """`call_expert` as the agent is told of it now: each expert with its price and median latency."""
        listed = "\n".join(f"- {name}: {self._describe(name)}" for name in self.participants)
        return {
            "type": "function",
            "function": {
                "name": CALL_EXPERT,
                "description": (
                    "Let an expert, another model, take this turn in your place. It sees the conversation and has "
                    "your other tools; what it answers, a message to the user or tool calls, becomes your turn. "
                    f"Call one expert at a time, and no other tool beside it. The experts:\n{listed}"
                ),
                "parameters": {
                    "type": "object",
                    "properties": {
                        "expert": {"type": "string", "enum": list(self.participants), "description": "Which expert."},
                        "reason": {"type": "string", "description": "Why this turn needs an expert."},
                    },
                    "required": ["expert", "reason"],
                },
            },
        }

    def _describe(self, name: str) -> str:
        with self._lock:
            took_s = list(self._took_s[name])
        latency = f"; answers in about {_rounded(statistics.median(took_s))} s" if len(took_s) >= _LATENCY_FROM else ""
        return f"{self.participants[name].spec.name}; {_price(self._prices.get(name))}{latency}"


class ExpertTool:
    """`call_expert` in one simulation.

    Its description is made when the simulation begins and stays: the tools are the head of every prompt, and
    another head would be another prompt to the provider's cache. Latencies are told to one digit, so that
    simulations too share a head as long as nothing much changes.
    """

    def __init__(self, experts: Experts) -> None:
        self._experts = experts
        self._schema = experts.tool()

    def turn(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSchema], ask: Ask) -> Answer:
        """The agent's turn: its own answer, or that of the expert it let take it. The cost is of both.

        Raises what `ask` does for the agent, a CallFailed of an expert's, and ExpertFailed.
        """
        own, private = seen_by(None, messages), list[ChatMessage]()
        cost: float | None = 0.0
        for _ in range(TRIES):
            asked = ask(None, [*own, *private], [*tools, self._schema])
            cost = total(cost, asked.cost_usd)
            if not any(call.name == CALL_EXPERT for call in asked.tool_calls):
                return replace(asked, cost_usd=cost)
            try:
                answer, expert = self._answer(asked.tool_calls, messages, tools, ask)
                return replace(answer, cost_usd=total(cost, answer.cost_usd), raw={**answer.raw, EXPERT: expert})
            except _NotDone as problem:
                _logger.warning("%s: %s", CALL_EXPERT, problem)
                private += _refusal(asked, str(problem))
        raise ExpertFailed(f"no expert took the agent's turn, {TRIES} times over: {private[-1]['content']}")

    def _answer(
        self, calls: Sequence[ToolRequest], messages: Sequence[ChatMessage], tools: Sequence[ToolSchema], ask: Ask
    ) -> tuple[Answer, str]:
        """The answer of the expert that is called, and its name."""
        expert = self._chosen(calls)
        name, clock = expert.expert or "", current_context().clock
        began_ms = clock.ms()
        try:
            answer = ask(expert, seen_by(name, messages), tools)
        except (BrokenArguments, EmptyAnswer, ContextOverflow) as failure:
            raise _NotDone(f"{name} gave no usable answer: {failure}") from None
        self._experts.took(name, (clock.ms() - began_ms) / 1000)
        if any(call.name == CALL_EXPERT for call in answer.tool_calls):
            raise _NotDone(f"{name} gave no usable answer: it asked for an expert itself")
        return answer, name

    def _chosen(self, calls: Sequence[ToolRequest]) -> Participant:
        if len(calls) > 1:
            raise _NotDone(f"{CALL_EXPERT} must be called once and by itself; none of these calls was made")
        name = calls[0].arguments.get("expert")
        expert = self._experts.participants.get(name) if isinstance(name, str) else None
        if expert is None:
            known = ", ".join(self._experts.participants)
            raise _NotDone(f"there is no expert {json.dumps(name)}; the experts are {known}")
        return expert


def parse_expert(text: str) -> tuple[str, str, str | None]:
    """`NAME=MODEL[@BASE_URL]` as its parts. Raises UserMistake."""
    name, _, rest = text.partition("=")
    model, at, address = rest.partition("@http")
    if not (name and model and all(letter.isalnum() or letter in "_-" for letter in name)):
        # an address may hold a password, so it is not repeated
        raise UserMistake(
            f"--experts {text.partition('@http')[0]}: expected NAME=MODEL or NAME=MODEL@BASE_URL, like wise=gpt-5"
        )
    return name, model, f"http{address}" if at else None


def _refusal(asked: Answer, problem: str) -> list[ChatMessage]:
    """The agent's calls and their results, which it alone sees."""
    calls = [call_of(call.id, call.name, json.dumps(call.arguments)) for call in asked.tool_calls]
    results = [{"role": "tool", "content": f"Error: {problem}", "tool_call_id": call.id} for call in asked.tool_calls]
    signed = with_signatures(calls, asked.raw)
    return [{"role": "assistant", "content": asked.content, "tool_calls": signed, **kept_of(asked.raw)}, *results]


def _price(price: Price | None) -> str:
    if price is None:
        return "its price is not known"
    if not any(price):
        return "free"
    return f"{price.input_usd:g} USD per million tokens in, {price.output_usd:g} out"


def _rounded(seconds: float) -> str:
    """To one digit: 0.2, 3, 40."""
    return f"{float(f'{seconds:.1g}'):g}"
