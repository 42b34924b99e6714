"""Who answers tau2's agent, user and judge: inside a simulation of ours its models, otherwise tau2's own `generate`.

`generate` is bound by name in the three modules, so it is assigned there, at run time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tau2_enhanced.models.client import ChatMessage, ToolSchema, call_of
from tau2_enhanced.models.conversation import kept_of, with_signatures
from tau2_enhanced.models.simulation_models import SimulationModels

if TYPE_CHECKING:
    from tau2.data_model.message import AssistantMessage, Message

_models: ContextVar[SimulationModels | None] = ContextVar("tau2_enhanced_models", default=None)
_FOR_TAU2 = {"call_name"}
"""What tau2 1.0 tells its own `generate` beside the model's arguments."""


@contextmanager
def answered_by(models: SimulationModels) -> Iterator[None]:
    """Inside the block, tau2's agent, user and judge are answered by `models`."""
    token = _models.set(models)
    try:
        yield
    finally:
        _models.reset(token)


def route_generate(role: str, module: Any) -> None:
    """Let a module's `generate` ask our models inside a simulation of ours, and tau2's otherwise."""
    original = module.generate
    if getattr(original, "routed", False):
        return

    def generate(
        model: str,
        messages: list[Message],
        tools: list[Any] | None = None,
        tool_choice: str | None = None,
        **arguments: Any,
    ) -> AssistantMessage:
        models = _models.get()
        if models is None:
            return original(model, messages, tools, tool_choice, **arguments)
        schemas = [tool.openai_schema for tool in tools or ()]
        for_model = {name: value for name, value in arguments.items() if name not in _FOR_TAU2}
        return _generate(models, role, messages, schemas, tool_choice, for_model)

    generate.routed = True  # type: ignore[attr-defined]  # so that a second load does not route twice
    module.generate = generate


def _generate(
    models: SimulationModels,
    role: str,
    messages: Sequence[Message],
    tools: Sequence[ToolSchema],
    tool_choice: str | None,
    arguments: Mapping[str, Any],
) -> AssistantMessage:
    from tau2.data_model.message import AssistantMessage, ToolCall

    answer = models.answer(role, to_chat(messages), tools, tool_choice, arguments)
    calls = [ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in answer.tool_calls]
    usage = answer.usage
    return AssistantMessage(
        role="assistant",
        content=answer.content,
        tool_calls=calls or None,
        cost=answer.cost_usd,
        usage=None
        if usage.input_tokens is None
        else {"completion_tokens": usage.output_tokens or 0, "prompt_tokens": usage.input_tokens},
        raw_data=answer.raw,
    )


def keep_users_answers(module: Any) -> None:
    """Let the user simulator, too, send its own answers with their raw data, which tau2 drops as it turns the roles."""
    state_class = module.UserState
    original = state_class.flip_roles
    if getattr(original, "keeps_answers", False):
        return

    def flip_roles(state: Any) -> list[Message]:
        flipped: list[Message] = original(state)
        answers = [message for message in flipped if message.role == "assistant"]
        said = [message for message in state.messages if message.role == "user"]
        for answer, message in zip(answers, said, strict=True):
            answer.raw_data = message.raw_data
        return flipped

    flip_roles.keeps_answers = True  # type: ignore[attr-defined]  # so that a second load does not do it twice
    state_class.flip_roles = flip_roles


def to_chat(messages: Iterable[Message]) -> list[ChatMessage]:
    """tau2's messages in the shape of chat completions; reasoning goes back with the turn it belongs to."""
    chat: list[ChatMessage] = []
    for message in messages:
        if message.role == "tool":
            chat.append({"role": "tool", "content": message.content, "tool_call_id": message.id})
            continue
        made: ChatMessage = {"role": message.role, "content": message.content}
        if message.role == "assistant":
            raw = message.raw_data or {}
            if message.tool_calls:
                calls = [call_of(call.id, call.name, json.dumps(call.arguments)) for call in message.tool_calls]
                made["tool_calls"] = with_signatures(calls, raw)
            made |= kept_of(raw)
        chat.append(made)
    return chat
