"""OpenAI-shaped conversations as Anthropic's Messages API wants them, and its answers read.

The API's rules, and how they are met:

* System prompts stand apart from the turns.
* The first turn is the user's. tau2's agent begins with a greeting, so `OPENING` is put before it.
* Turns alternate: neighbours of one role become one turn, so that all results of an assistant's tool
  calls, which follow it at once, stand in one turn and before any text.
* No text is empty. Empty texts are left out, an empty message of the user becomes `EMPTY`.
* A conversation that ends with the assistant ends without white space.
* Tool ids are unique and made of letters, digits, `_` and `-`.
* Tool calls in the conversation need tools beside it, also where none may be called any more.
* Thinking goes back unchanged, signature included, in the turn it belongs to: `content_blocks` of an
  assistant's message is the answer as it came, and is sent in place of text and calls.

Whether a tool failed is said by its result's text alone, as for every other provider.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tau2_enhanced.models.client import ChatMessage, Reply, Request, RequestedCall, ToolSchema, Usage

Block = dict[str, Any]
Turn = dict[str, Any]

OPENING = "."
"""What the user says before a conversation that the assistant begins."""
EMPTY = "(empty message)"
DEFAULT_MAX_TOKENS = 16_384
"""Tokens of an answer where the user asks for no other limit, thinking of a fixed budget apart. The API
requires a limit; each model in service allows at least twice as many."""

_NOT_SENT = ("seed", "cache_control")
"""There is no seed in the API; `cache_control` says how all breakpoints are made."""
_CACHED: Block = {"type": "ephemeral"}
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
_ESCAPED = "hex_"
_TOOL_CHOICES = {None: "auto", "auto": "auto", "required": "any", "none": "none"}


def request_body(request: Request) -> dict[str, Any]:
    """The body of a request to the API, `model` left out.

    Everything that does not change is marked to be cached: the tools, the system prompt and the
    conversation up to the last and the last but one of the user's turns. The argument `cache_control`
    says how (`{"type": "ephemeral", "ttl": "1h"}`), or `false` not to.
    """
    turns = to_turns(message for message in request.messages if message["role"] != "system")
    system = [_text(message["content"]) for message in request.messages if message["role"] == "system"]
    system = [block for block in system if block["text"].strip()]
    arguments = {name: value for name, value in request.arguments.items() if name not in _NOT_SENT}
    thinking = arguments.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    body: dict[str, Any] = {"max_tokens": DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)}
    if request.tools:
        body["tools"] = [_tool(schema) for schema in request.tools]
        body["tool_choice"] = tool_choice(request.tool_choice)
    elif called := _called_tools(turns):
        body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in called]
        body["tool_choice"] = {"type": "none"}
    if system:
        body["system"] = system
    body["messages"] = turns
    cache_control = request.arguments.get("cache_control", _CACHED)
    if cache_control:
        _mark_cached(body, cache_control)
    return {**body, **arguments}


def to_turns(messages: Iterable[ChatMessage]) -> list[Turn]:
    """The conversation without its system prompts as turns that alternate, the user's first."""
    ids = _ToolIds()
    turns: list[Turn] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message, ids)
        if not blocks:
            continue
        if not turns and role == "assistant":
            turns.append({"role": "user", "content": [_text(OPENING)]})
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    last = turns[-1]["content"] if turns else []
    if last and turns[-1]["role"] == "assistant" and last[-1]["type"] == "text":
        last[-1] = _text(last[-1]["text"].rstrip())
    return turns or [{"role": "user", "content": [_text(OPENING)]}]


def _blocks(message: ChatMessage, ids: _ToolIds) -> list[Block]:
    content = message.get("content") or ""
    if message["role"] == "tool":
        result = {"type": "tool_result", "tool_use_id": ids.of_result(message["tool_call_id"])}
        return [{**result, "content": content} if content else result]
    if message["role"] == "user":
        return [_text(content if content.strip() else EMPTY)]
    if message.get("content_blocks"):
        return [
            {**block, "id": ids.of_call(block["id"])} if block["type"] == "tool_use" else dict(block)
            for block in message["content_blocks"]
            if block["type"] != "text" or block["text"].strip()
        ]
    blocks = [_text(content)] if content.strip() else []
    for call in message.get("tool_calls") or ():
        function = call["function"]
        blocks.append(
            {
                "type": "tool_use",
                "id": ids.of_call(call["id"]),
                "name": function["name"],
                "input": json.loads(function["arguments"] or "{}"),
            }
        )
    return blocks


class _ToolIds:
    """Ids of a conversation's tool calls as the API takes them.

    A sound id that is new stays as it is. Another is written in hexadecimal digits after `hex_`, one that
    came before gets a number: servers that count each answer's calls from zero repeat theirs.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._latest: dict[str, str] = {}

    def of_call(self, given: str) -> str:
        sound = _TOOL_ID.match(given) and not given.startswith(_ESCAPED)
        name = given if sound else _ESCAPED + given.encode("utf-8", "surrogatepass").hex()
        made, times = name, 1
        while made in self._used:
            times += 1
            made = f"{name}_{times}"
        self._used.add(made)
        self._latest[given] = made
        return made

    def of_result(self, given: str) -> str:
        """The id of the latest call with this id: results follow their calls."""
        return self._latest.get(given) or self.of_call(given)


def _text(content: str | None) -> Block:
    return {"type": "text", "text": content or ""}


def _tool(schema: ToolSchema) -> Block:
    function = schema["function"]
    made = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    return {**made, **{key: function[key] for key in ("description", "strict") if function.get(key)}}


def tool_choice(choice: str | Mapping[str, Any] | None) -> Block:
    """OpenAI's `tool_choice`: a word, or a mapping that names a function."""
    if isinstance(choice, Mapping):
        return {"type": "tool", "name": choice["function"]["name"]}
    return {"type": _TOOL_CHOICES[choice]}


def _called_tools(turns: Sequence[Turn]) -> list[str]:
    called = (block["name"] for turn in turns for block in turn["content"] if block["type"] == "tool_use")
    return list(dict.fromkeys(called))


def _mark_cached(body: dict[str, Any], cache_control: Block) -> None:
    """Set the breakpoints: at most four, and none on thinking, which can't carry one."""
    users_turns = [turn["content"] for turn in body["messages"] if turn["role"] == "user"]
    for blocks in (body.get("tools"), body.get("system"), *users_turns[-2:]):
        if blocks:
            blocks[-1]["cache_control"] = cache_control


def read_reply(body: Mapping[str, Any]) -> Reply:
    """A message of the API as a reply. Raises LookupError, TypeError or ValueError where it is none.

    An answer that the API's safety rules cut off (`refusal`) is none: what there is of it is dropped, as
    the documentation wants it. A tool call that the limit of tokens cut off is given as the broken JSON
    that it is, so that nobody makes half of a call.
    """
    blocks = body["content"]
    if body["type"] != "message" or not isinstance(blocks, list):
        raise TypeError("no message")
    said = [] if body.get("stop_reason") == "refusal" else blocks
    texts = [block["text"] for block in said if block["type"] == "text"]
    calls = [
        RequestedCall(id=block["id"], name=block["name"], arguments=json.dumps(block["input"], ensure_ascii=False))
        for block in said
        if block["type"] == "tool_use"
    ]
    if body.get("stop_reason") == "max_tokens" and calls and blocks[-1]["type"] == "tool_use":
        cut = calls[-1]
        calls[-1] = RequestedCall(cut.id, cut.name, cut.arguments[:-1])
    rest = {name: value for name, value in body.items() if name != "content"}
    return Reply(
        content="".join(texts) if texts else None,
        tool_calls=calls,
        usage=read_usage(body.get("usage") or {}),
        raw={**rest, "message": {"role": "assistant", "content_blocks": blocks}},
    )


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Tokens as every provider's are counted here: Anthropic's `input_tokens` leave out what was read from
    the cache and what was written to it; ours hold both."""
    uncached = usage.get("input_tokens")
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    speed = usage.get("speed")
    return Usage(
        input_tokens=None if uncached is None else uncached + (read or 0) + (written or 0),
        output_tokens=usage.get("output_tokens"),
        cached_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=(usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens"),
        service={"speed": speed} if isinstance(speed, str) else {},
    )
