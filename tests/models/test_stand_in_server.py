from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from tau2_enhanced.errors import Tau2EnhancedError
from tau2_enhanced.models.client import Request
from tau2_enhanced.models.failures import DeadlinePassed
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.stand_in.gold import HEADER, STOP, GoldAction, Play
from tau2_enhanced.models.stand_in.process import StandInProcess

PLAY = Play([GoldAction("assistant", "look", {"at": "ä"}), GoldAction("user", "see", {})], "Please help me", ["42 USD"])
PLAYS = {("mock", "t1"): PLAY, ("telecom", "[mms]a|b"): Play([], "Nothing to do")}
GREETED = [{"role": "user", "content": "Hi! How can I help you today?"}]
TURN_OF_THE_AGENT = [{"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Please help me"}]


def simulation(domain: str = "mock", task: str = "t1", role: str = "agent") -> dict[str, str]:
    return {HEADER: json.dumps({"domain": domain, "task": task, "trial": 0, "role": role})}


def ask(
    url: str, headers: Mapping[str, str], body: Any = None, method: str = "POST", path: str = "/chat/completions"
) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, parts.path + path, raw, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def message_of(answer: tuple[int, Any]) -> dict[str, Any]:
    status, body = answer
    assert status == 200
    message: dict[str, Any] = body["choices"][0]["message"]
    return message


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with StandInProcess() as process:
        yield process.serve(PLAYS)


def test_it_answers_as_openai_does(url: str) -> None:
    status, body = ask(url, simulation(), {"model": "gold", "messages": TURN_OF_THE_AGENT})
    assert status == 200
    assert body["object"] == "chat.completion"
    [choice] = body["choices"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["id"]
    assert call["function"]["name"] == "look"
    assert json.loads(call["function"]["arguments"]) == {"at": "ä"}
    usage = body["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_it_speaks_for_the_user_too(url: str) -> None:
    message = message_of(ask(url, simulation(role="user"), {"messages": GREETED}))
    assert message == {"role": "assistant", "content": "Please help me"}


def test_it_keeps_tasks_apart(url: str) -> None:
    headers = simulation("telecom", "[mms]a|b", "user")
    assert message_of(ask(url, headers, {"messages": GREETED}))["content"] == "Nothing to do"


def test_the_user_stops_when_all_is_done(url: str) -> None:
    said = [*GREETED, {"role": "assistant", "content": "Nothing to do"}, {"role": "user", "content": "That is done."}]
    headers = simulation("telecom", "[mms]a|b", "user")
    assert message_of(ask(url, headers, {"messages": said}))["content"] == STOP


def test_calls_have_ids_of_their_own(url: str) -> None:
    asked = [message_of(ask(url, simulation(), {"messages": TURN_OF_THE_AGENT})) for _ in range(3)]
    assert len({message["tool_calls"][0]["id"] for message in asked}) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {HEADER: "nonsense"},
        {HEADER: "[]"},
        {HEADER: '{"domain": "mock"}'},
        {HEADER: '{"domain": ["mock"], "task": {}, "role": "agent"}'},
        simulation(task="unknown"),
        simulation(domain="retail"),
    ],
)
def test_an_unknown_simulation_is_not_found(url: str, headers: dict[str, str]) -> None:
    status, body = ask(url, headers, {"messages": GREETED})
    assert status == 404
    assert HEADER in body["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b'{"messages": [{}]}', b'{"messages": 5}'])
def test_what_is_no_request_is_a_bad_one(url: str, body: bytes) -> None:
    assert ask(url, simulation(), body)[0] == 400


def test_an_unknown_role_is_a_bad_request(url: str) -> None:
    assert ask(url, simulation(role="nobody"), {"messages": GREETED})[0] == 400


def test_it_passes_the_check_of_our_client_and_answers_it(url: str) -> None:
    client = OpenAIClient("gold", url, "gold")
    client.check("gold")
    reply = client.complete(Request("gold", TURN_OF_THE_AGENT, headers=simulation()))
    client.close()
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("look", json.dumps({"at": "ä"}))]
    assert reply.usage.input_tokens


@pytest.mark.parametrize("role", ["agent", "user"])
def test_the_sdk_reads_its_stream_as_the_plain_completion(url: str, role: str) -> None:
    said: Any = TURN_OF_THE_AGENT if role == "agent" else GREETED
    headers = simulation(role=role)
    with openai.OpenAI(api_key="gold", base_url=url, max_retries=0) as sdk:
        plain = sdk.chat.completions.create(model="gold", messages=said, extra_headers=headers)
        with sdk.chat.completions.stream(
            model="gold", messages=said, extra_headers=headers, stream_options={"include_usage": True}
        ) as stream:
            streamed = stream.get_final_completion()
    assert streamed.usage is not None
    assert plain.usage is not None
    assert streamed.usage.completion_tokens == plain.usage.completion_tokens
    (one,), (other,) = streamed.choices, plain.choices
    assert (one.finish_reason, one.message.content) == (other.finish_reason, other.message.content)
    calls = [
        [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
        for choice in (one, other)
    ]
    assert calls[0] == calls[1]


def test_answers_take_their_time_streamed_or_not() -> None:
    """Ten tokens: the first after the latency, nine more at fifty a second."""
    play = Play([], "Four" * 10)
    said = Request("gold", GREETED, headers=simulation("mock", "t", "user"))
    with StandInProcess("--latency", "0.1:0.12", "--tokens-per-second", "50") as process:
        client = OpenAIClient("gold", process.serve({("mock", "t"): play}), "gold")
        began = time.perf_counter()
        client.complete(said)
        plain_ms = (time.perf_counter() - began) * 1000
        streamed = client.complete(replace(said, arguments={"stream": True}))
        client.close()
    assert plain_ms >= 100 + 180
    assert streamed.content == "Four" * 10
    assert streamed.ttft_ms is not None
    assert streamed.ttft_ms >= 100
    assert streamed.decode_ms is not None
    # the first token's read may have come late, the last one's never early
    assert streamed.ttft_ms + streamed.decode_ms >= 100 + 180


def test_each_nth_request_hangs_on_purpose() -> None:
    with StandInProcess("--hang-every", "2") as process:
        client = OpenAIClient("gold", process.serve(PLAYS), "gold")
        asked = Request("gold", TURN_OF_THE_AGENT, headers=simulation(), timeout_s=2.0)
        for _ in range(2):
            assert client.complete(asked).tool_calls
            with pytest.raises(DeadlinePassed):
                client.complete(replace(asked, timeout_s=0.1))
        client.close()


def test_each_nth_request_fails_on_purpose() -> None:
    with StandInProcess("--fail-every", "3") as process:
        url = process.serve(PLAYS)
        statuses = [ask(url, simulation(), {"messages": TURN_OF_THE_AGENT})[0] for _ in range(7)]
    assert statuses == [200, 200, 500, 200, 200, 500, 200]


def test_each_nth_tool_call_is_broken_on_purpose() -> None:
    with StandInProcess("--break-every", "2") as process:
        url = process.serve(PLAYS)
        texts = []
        for _ in range(4):
            message_of(ask(url, simulation(role="user"), {"messages": GREETED}))  # words are not counted
            message = message_of(ask(url, simulation(), {"messages": TURN_OF_THE_AGENT}))
            texts.append(message["tool_calls"][0]["function"]["arguments"])
    assert [json.loads(text) for text in texts[::2]] == [{"at": "ä"}] * 2
    for text in texts[1::2]:
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


def test_nobody_answers_after_close() -> None:
    with StandInProcess() as process:
        url = process.serve(PLAYS)
        assert ask(url, simulation(), {"messages": TURN_OF_THE_AGENT})[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(url, simulation(), {"messages": TURN_OF_THE_AGENT})


def test_one_that_was_never_used_ends_too() -> None:
    with StandInProcess():
        pass


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_one_that_does_not_start_says_so(size: int) -> None:
    plays = {("mock", "t"): Play([], "x" * size)}
    with pytest.raises(Tau2EnhancedError, match="did not start"), StandInProcess("--no-such-flag") as process:
        process.serve(plays)


def test_it_ends_when_its_parent_is_killed() -> None:
    code = """
import sys
from tau2_enhanced.models.stand_in.gold import Play
from tau2_enhanced.models.stand_in.process import StandInProcess
process = StandInProcess()
print(process.serve({("mock", "t1"): Play([], "Hi")}), flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    assert ask(url, simulation(role="user"), {"messages": GREETED})[0] == 200
    parent.kill()
    # the stand-in inherited the parent's standard error: its end is read only when both have ended
    parent.communicate(timeout=15)
    with pytest.raises(ConnectionRefusedError):
        ask(url, simulation(role="user"), {"messages": GREETED})
