"""The stand-in in Anthropic's wire format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import anthropic
import pytest
from anthropic.types import Message

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.anthropic_client import AnthropicClient
from tau2_enhanced.models.client import ChatMessage, Reply, Request
from tau2_enhanced.models.stand_in.gold import HEADER, STOP, GoldAction, Play
from tau2_enhanced.models.stand_in.process import StandInProcess

PLAY = Play(
    [GoldAction("assistant", "look", {"at": "ä"}), GoldAction("assistant", "look", {})], "Please help me", ["42 USD"]
)
SYSTEM = {"role": "system", "content": "Be kind. " * 100}
GREETING = {"role": "assistant", "content": "Hi! How can I help you today?"}
HELP = {"role": "user", "content": "Please help me"}


def simulation(role: str = "agent", task: str = "t1") -> dict[str, str]:
    return {HEADER: json.dumps({"domain": "mock", "task": task, "trial": 0, "role": role})}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with StandInProcess() as process:
        yield process.serve({("mock", "t1"): PLAY})


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[AnthropicClient]:
    client = AnthropicClient(url, "gold")
    yield client
    client.close()


def ask(client: AnthropicClient, messages: Sequence[ChatMessage], role: str = "agent", **arguments: Any) -> Reply:
    return client.complete(Request("gold", messages, arguments=arguments, headers=simulation(role)))


def test_its_answer_is_a_message_of_the_sdk(url: str) -> None:
    with anthropic.Anthropic(api_key="gold", base_url=url.removesuffix("/v1"), max_retries=0) as sdk:
        raw = sdk.messages.with_raw_response.create(
            model="gold",
            max_tokens=10,
            messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi!"}, HELP],
            extra_headers=simulation(),
        )
    answer = Message.model_validate(raw.json(), strict=True)
    assert answer.stop_reason == "tool_use"
    assert [(block.type, block.name, block.input) for block in answer.content if block.type == "tool_use"] == [
        ("tool_use", "look", {"at": "ä"})
    ]


def test_it_plays_a_task_through(client: AnthropicClient) -> None:
    said: list[ChatMessage] = [SYSTEM, GREETING, HELP]
    names = []
    for _ in range(2):
        [call] = ask(client, said).tool_calls
        names.append((call.name, json.loads(call.arguments)))
        function = {"name": call.name, "arguments": call.arguments}
        said.append({"role": "assistant", "content": None, "tool_calls": [{"id": call.id, "function": function}]})
        said.append({"role": "tool", "tool_call_id": call.id, "content": "seen"})
    assert names == [("look", {"at": "ä"}), ("look", {})]
    assert ask(client, said).content == "That is done. 42 USD"


def test_it_speaks_for_the_user_too(client: AnthropicClient) -> None:
    greeted = {"role": "user", "content": "Hi! How can I help you today?"}
    assert ask(client, [SYSTEM, greeted], "user").content == "Please help me"
    done = [greeted, {"role": "assistant", "content": "Please help me"}, {"role": "user", "content": "Done."}]
    assert ask(client, [SYSTEM, *done], "user").content == STOP


def test_an_earlier_requests_tokens_come_from_the_cache(client: AnthropicClient) -> None:
    first = ask(client, [SYSTEM, GREETING, HELP])
    [call] = first.tool_calls
    calls = [{"id": call.id, "function": {"name": call.name, "arguments": call.arguments}}]
    later = [
        SYSTEM,
        GREETING,
        HELP,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call.id, "content": "seen"},
    ]
    second = ask(client, later)
    before, now = first.usage, second.usage
    assert before.input_tokens
    assert now.input_tokens
    assert before.cached_tokens == 0
    assert now.cached_tokens
    assert now.cache_write_tokens
    assert before.input_tokens * 0.8 < now.cached_tokens < now.input_tokens
    assert now.cached_tokens + now.cache_write_tokens == now.input_tokens - 4
    uncached = ask(client, later, cache_control=False).usage
    assert (uncached.cached_tokens, uncached.cache_write_tokens) == (0, 0)


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind"),
    [
        ({}, {}, 404, "not_found_error"),
        (simulation(task="unknown"), {}, 404, "not_found_error"),
        (simulation(), {"max_tokens": 0}, 400, "invalid_request_error"),
        (simulation(), {"messages": 5}, 400, "invalid_request_error"),
        (simulation(role="nobody"), {}, 400, "invalid_request_error"),
    ],
)
def test_errors_are_worded_as_anthropics(
    url: str, headers: dict[str, str], body: dict[str, Any], status: int, kind: str
) -> None:
    with anthropic.Anthropic(api_key="gold", base_url=url.removesuffix("/v1"), max_retries=0) as sdk:
        with pytest.raises(anthropic.APIStatusError) as caught:
            sdk.messages.create(
                model="gold",
                max_tokens=10,
                messages=[{"role": "user", "content": "Hi"}],
                extra_headers=headers,
                extra_body=body,
            )
        assert (caught.value.status_code, caught.value.type) == (status, kind)


def test_it_passes_the_check_of_our_client_with_its_own_model_alone(client: AnthropicClient) -> None:
    client.check("gold")
    with pytest.raises(UserMistake, match="has no model 'silver'"):
        client.check("silver")


@pytest.mark.parametrize("role", ["agent", "user"])
def test_the_sdk_reads_its_stream_as_the_plain_message(url: str, role: str) -> None:
    said = [HELP] if role == "agent" else [{"role": "user", "content": "Hi! How can I help you today?"}]
    asked: Any = {"model": "gold", "max_tokens": 100, "messages": said, "extra_headers": simulation(role)}
    with anthropic.Anthropic(api_key="gold", base_url=url.removesuffix("/v1"), max_retries=0) as sdk:
        plain = sdk.messages.create(**asked)
        with sdk.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
    assert without_ids(streamed.content) == without_ids(plain.content)
    assert streamed.stop_reason == plain.stop_reason
    assert streamed.usage.output_tokens == plain.usage.output_tokens


def without_ids(blocks: Sequence[Any]) -> list[dict[str, Any]]:
    kept = ("type", "text", "name", "input")
    return [{name: getattr(block, name) for name in kept if hasattr(block, name)} for block in blocks]
