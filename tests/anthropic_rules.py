"""The rules of Anthropic's Messages API, as its documentation and its error messages state them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
_BREAKPOINTS = 4


def broken_rules(body: Mapping[str, Any]) -> list[str]:
    """What the API would say of a request's body; empty where it would take it."""
    return [*_parameters(body), *_turns(body), *_tools(body)]


def _parameters(body: Mapping[str, Any]) -> Iterator[str]:
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            yield f"{name}: Field required"
    for name in ("seed", "n", "frequency_penalty", "presence_penalty", "response_format", "stop"):
        if name in body:
            yield f"{name}: Extra inputs are not permitted"
    marked = sum("cache_control" in block for block in _blocks(body))
    if marked > _BREAKPOINTS:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {marked}."
    for block in _blocks(body):
        if block.get("type") == "text" and not block["text"]:
            yield "text content blocks must be non-empty"
        elif block.get("type") == "text" and not block["text"].strip():
            yield "text content blocks must contain non-whitespace text"
        if "cache_control" in block and block.get("type") in ("thinking", "redacted_thinking"):
            yield "thinking: Extra inputs are not permitted"


def _blocks(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for turn in body["messages"]:
        yield from turn["content"]


def _turns(body: Mapping[str, Any]) -> Iterator[str]:
    turns = body["messages"]
    if not turns:
        yield "messages: at least one message is required"
        return
    if turns[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    used: set[str] = set()
    asked: list[str] = []
    for index, turn in enumerate(turns):
        if not turn["content"]:
            yield f"messages.{index}: all messages must have non-empty content"
        if index and turn["role"] == turns[index - 1]["role"]:
            yield 'messages: roles must alternate between "user" and "assistant"'
        kinds = [block["type"] for block in turn["content"]]
        if "tool_use" in kinds and turn["role"] == "user":
            yield f"messages.{index}: `tool_use` blocks can only be in `assistant` messages"
        results = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
        if kinds[: len(results)] != ["tool_result"] * len(results) or sorted(results) != sorted(asked):
            yield (
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after, "
                f"or the other way round: {asked} and {results}"
            )
        asked = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        for id in asked:
            if not _TOOL_ID.match(id):
                yield f"messages.{index}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            if id in used:
                yield f"messages.{index}: `tool_use` ids must be unique"
            used.add(id)
    if asked:
        yield "`tool_use` ids were found without `tool_result` blocks at the end"
    last = turns[-1]["content"][-1]
    if turns[-1]["role"] == "assistant" and last["type"] == "text" and last["text"] != last["text"].rstrip():
        yield "messages: final assistant content cannot end with trailing whitespace"


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    for tool in body.get("tools", ()):
        if not isinstance(tool.get("input_schema"), dict) or tool["input_schema"].get("type") != "object":
            yield "tools.custom.input_schema.type: Field required"
    if body.get("tool_choice") and not body.get("tools"):
        yield "tool_choice may only be specified while providing tools"
    kinds = {block["type"] for turn in body["messages"] for block in turn["content"]}
    if kinds & {"tool_use", "tool_result"} and not body.get("tools"):
        yield "Requests which have `tool_use` or `tool_result` blocks in `messages` must define tools"
