"""Any conversation that OpenAI's API takes becomes one that Anthropic's takes, and nothing of it is lost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from anthropic_rules import broken_rules
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.models.anthropic_messages import (
    DEFAULT_MAX_TOKENS,
    EMPTY,
    OPENING,
    read_reply,
    read_usage,
    request_body,
    to_turns,
    tool_choice,
)
from tau2_enhanced.models.client import Request, RequestedCall, Usage

SYSTEM = {"role": "system", "content": "Be kind. τ²"}
GREETING = {"role": "assistant", "content": "Hi! How can I help you today?"}
HELP = {"role": "user", "content": "Help me"}
LOOK = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}},
}
CACHED = {"cache_control": {"type": "ephemeral"}}


def text(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **more}


def call(id: str, name: str = "look", /, **arguments: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def calling(*calls: dict[str, Any], content: str | None = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls), **more}


def result(id: str, content: str = "seen") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def uncached(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: uncached(inner) for key, inner in value.items() if key != "cache_control"}
    return [uncached(inner) for inner in value] if isinstance(value, list) else value


def test_a_request_of_tau2s_agent() -> None:
    request = Request("m", [SYSTEM, GREETING, HELP], [LOOK], None, {"temperature": 0.0, "seed": 7})
    assert request_body(request) == {
        "max_tokens": DEFAULT_MAX_TOKENS,
        "tools": [
            {"name": "look", "description": "Looks.", "input_schema": LOOK["function"]["parameters"], **CACHED},
        ],
        "tool_choice": {"type": "auto"},
        "system": [text("Be kind. τ²", **CACHED)],
        "messages": [
            {"role": "user", "content": [text(OPENING, **CACHED)]},
            {"role": "assistant", "content": [text("Hi! How can I help you today?")]},
            {"role": "user", "content": [text("Help me", **CACHED)]},
        ],
        "temperature": 0.0,
    }


def test_parallel_calls_are_answered_in_one_turn_results_first() -> None:
    said = [HELP, calling(call("a", at=1), call("b"), content="Let me see"), result("a"), result("b", ""), HELP]
    assert to_turns(said)[1:] == [
        {
            "role": "assistant",
            "content": [
                text("Let me see"),
                {"type": "tool_use", "id": "a", "name": "look", "input": {"at": 1}},
                {"type": "tool_use", "id": "b", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "seen"},
                {"type": "tool_result", "tool_use_id": "b"},
                text("Help me"),
            ],
        },
    ]


def test_neighbours_of_one_role_become_one_turn() -> None:
    turns = to_turns([HELP, HELP, GREETING, GREETING])
    assert [(turn["role"], len(turn["content"])) for turn in turns] == [("user", 2), ("assistant", 2)]


@pytest.mark.parametrize("nothing", ["", " \n", None])
def test_nothing_is_empty(nothing: str | None) -> None:
    said = [{"role": "user", "content": nothing}, {"role": "assistant", "content": nothing}, HELP]
    assert to_turns(said) == [{"role": "user", "content": [text(EMPTY), text("Help me")]}]


def test_a_system_prompt_alone_is_asked_about() -> None:
    assert request_body(Request("m", [SYSTEM]))["messages"] == [{"role": "user", "content": [text(OPENING, **CACHED)]}]


def test_a_last_turn_of_the_assistant_ends_without_white_space() -> None:
    assert to_turns([HELP, {"role": "assistant", "content": "The answer is \n"}])[-1]["content"] == [
        text("The answer is")
    ]


@pytest.mark.parametrize("given_id", ["", "call:1", "τ²", "call 1", "hex_61", "half \ud83d"])
def test_an_id_that_the_api_refuses_is_written_in_hexadecimal(given_id: str) -> None:
    _, called, answered = to_turns([HELP, calling(call(given_id)), result(given_id)])
    made = called["content"][0]["id"]
    assert answered["content"][0]["tool_use_id"] == made
    assert re.fullmatch("[a-zA-Z0-9_-]+", made)
    assert bytes.fromhex(made.removeprefix("hex_")).decode("utf-8", "surrogatepass") == given_id


def test_an_id_that_comes_again_gets_a_number() -> None:
    turns = to_turns([HELP, calling(call("c0")), result("c0"), calling(call("c0"), call("c0_2")), result("c0")])
    ids = [block.get("id") or block.get("tool_use_id") for turn in turns[1:] for block in turn["content"]]
    assert ids == ["c0", "c0", "c0_2", "c0_2_2", "c0_2"]


def test_tools_that_are_no_longer_given_are_named_and_forbidden() -> None:
    body = request_body(Request("m", [HELP, calling(call("a")), result("a")]))
    assert uncached(body["tools"]) == [{"name": "look", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        (None, {"type": "auto"}),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "tool", "name": "look"}),
    ],
)
def test_tool_choices(choice: Any, made: dict[str, str]) -> None:
    assert tool_choice(choice) == made


def test_thinking_goes_back_as_it_came() -> None:
    blocks = [
        {"type": "thinking", "thinking": "", "signature": "sig-1=="},
        {"type": "redacted_thinking", "data": "opaque=="},
        text("Let me see"),
        text(""),
        {"type": "thinking", "thinking": "And then", "signature": "sig-2=="},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}, "caller": {"type": "direct"}},
    ]
    said = [HELP, calling(call("toolu_1", at=1), content="Let me see", content_blocks=blocks), result("toolu_1")]
    body = request_body(Request("m", said, [LOOK], arguments={"thinking": {"type": "enabled", "budget_tokens": 2048}}))
    assert body["messages"][1]["content"] == [block for block in blocks if block.get("text") != ""]
    assert body["max_tokens"] == DEFAULT_MAX_TOKENS + 2048
    assert blocks[5]["id"] == "toolu_1"
    assert "cache_control" not in json.dumps(blocks)


@pytest.mark.parametrize(
    ("arguments", "marks"),
    [
        ({}, [{"type": "ephemeral"}] * 4),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, [{"type": "ephemeral", "ttl": "1h"}] * 4),
        ({"cache_control": False}, []),
    ],
)
def test_how_to_cache_can_be_said(arguments: dict[str, Any], marks: list[Any]) -> None:
    said = [SYSTEM, HELP, GREETING, HELP, GREETING, HELP]
    body = request_body(Request("m", said, [LOOK], arguments=arguments))
    blocks = [*body["tools"], *body["system"], *(block for turn in body["messages"] for block in turn["content"])]
    assert [block["cache_control"] for block in blocks if "cache_control" in block] == marks
    assert "cache_control" not in body


def test_the_users_own_limit_of_tokens_is_kept() -> None:
    assert request_body(Request("m", [HELP], arguments={"max_tokens": 99}))["max_tokens"] == 99


def message(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 5, "output_tokens": 7}
    return {"type": "message", "role": "assistant", "content": list(blocks), "usage": usage, **more}


def test_an_answer_is_read() -> None:
    thinking = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "ä"}}
    reply = read_reply(message(thinking, text("Let me "), text("see"), use, id="msg_1", stop_reason="tool_use"))
    assert reply.content == "Let me see"
    assert list(reply.tool_calls) == [RequestedCall("toolu_1", "look", '{"at": "ä"}')]
    assert reply.raw["message"]["content_blocks"] == [thinking, text("Let me "), text("see"), use]
    assert reply.raw["id"] == "msg_1"


def test_an_answer_without_text_has_none() -> None:
    assert read_reply(message()).content is None


def test_a_call_that_was_cut_off_can_not_be_made() -> None:
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    first, cut = read_reply(message(use, use, stop_reason="max_tokens")).tool_calls
    assert json.loads(first.arguments) == {}
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.arguments)


def test_a_text_that_was_cut_off_is_the_answer() -> None:
    assert read_reply(message(text("so far"), stop_reason="max_tokens")).content == "so far"


def test_a_refusal_is_no_answer() -> None:
    reply = read_reply(message(text("I could"), stop_reason="refusal"))
    assert (reply.content, list(reply.tool_calls)) == (None, [])


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 4,
                "cache_read_input_tokens": 900,
                "cache_creation_input_tokens": 96,
                "output_tokens": 20,
            },
            Usage(1000, 20, 900, 96),
        ),
        ({"input_tokens": 1000, "output_tokens": 20}, Usage(1000, 20, None, None)),
        ({"input_tokens": 9, "cache_read_input_tokens": None, "output_tokens": 2}, Usage(9, 2, None, None)),
        ({}, Usage(None, None, None, None)),
    ],
)
def test_tokens_of_the_cache_are_part_of_the_input(usage: dict[str, Any], expected: Usage) -> None:
    assert read_usage(usage) == expected


contents = st.text(max_size=12) | st.sampled_from(["", " ", "ends here \n", "a\ud83db"])
ids = st.sampled_from(["a", "b", "a_2", "call:1", "", "hex_3a"]) | st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | contents, lambda v: st.lists(v, max_size=2), max_leaves=4
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What OpenAI's API takes: every tool call is answered before anything else is said."""
    said: list[dict[str, Any]] = [{"role": "system", "content": draw(contents)} for _ in range(draw(st.integers(0, 2)))]
    for kind in draw(st.lists(st.sampled_from(["user", "assistant", "calls"]), max_size=8)):
        if kind != "calls":
            said.append({"role": kind, "content": draw(contents)})
            continue
        chosen = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
        arguments = st.dictionaries(st.text(max_size=4), values, max_size=2)
        said.append(calling(*(call(id, **draw(arguments)) for id in chosen), content=draw(contents | st.none())))
        said += [result(id, draw(contents)) for id in chosen]
    return said


@given(conversations(), st.booleans())
def test_every_conversation_keeps_the_rules(said: list[dict[str, Any]], with_tools: bool) -> None:
    body = request_body(Request("m", said, [LOOK] if with_tools else []))
    assert broken_rules({"model": "m", **body}) == []


@given(conversations())
def test_nothing_of_a_conversation_is_lost(said: list[dict[str, Any]]) -> None:
    turns = uncached(request_body(Request("m", said, [LOOK]))["messages"])
    blocks = [(turn["role"], block) for turn in turns for block in turn["content"]]

    def meant(role: str) -> list[str]:
        return [m["content"] for m in said if m["role"] == role and (m["content"] or "").strip()]

    texts = {
        role: [b["text"] for r, b in blocks if r == role and b["type"] == "text"] for role in ("user", "assistant")
    }
    assert [t for t in texts["user"] if t not in (OPENING, EMPTY)] == [
        t for t in meant("user") if t not in (OPENING, EMPTY)
    ]
    assert [t.rstrip() for t in texts["assistant"]] == [t.rstrip() for t in meant("assistant")]

    uses = [block for _, block in blocks if block["type"] == "tool_use"]
    calls = [c["function"] for m in said for c in m.get("tool_calls", ())]
    assert [(u["name"], u["input"]) for u in uses] == [(c["name"], json.loads(c["arguments"])) for c in calls]
    results = {block["tool_use_id"]: block.get("content", "") for _, block in blocks if block["type"] == "tool_result"}
    assert [results[use["id"]] for use in uses] == [m["content"] for m in said if m["role"] == "tool"]
