#!/usr/bin/env python3
"""What each layer of a model call costs: `python benchmarks/request_layers.py`.

The same conversation (retail's policy and tools, 21 messages) is sent to a server in a process of its own that
answers at once. Milliseconds of this process's CPU and of wall time a call, and the ratio of the CPU to the floor,
a bare HTTP client on a connection that stays open. The ways take turns, and the fastest of several rounds counts.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import httpx2
import openai
from rich.console import Console
from rich.table import Table

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import configure_logging, task_context
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.models.client import Request
from tau2_enhanced.models.connections import Connections
from tau2_enhanced.models.http import encoded
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import FREE, PriceBook
from tau2_enhanced.models.resolve import parse_model
from tau2_enhanced.models.simulation_models import SimulationModels

CALLS = 100
ROUNDS = 5
ORDER = "#W2378156"
FUNCTION = {"name": "get_order_details", "arguments": json.dumps({"order_id": ORDER})}
CHOICE = {
    "index": 0,
    "message": {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": FUNCTION}],
    },
    "finish_reason": "tool_calls",
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [CHOICE],
    "usage": {"prompt_tokens": 7800, "completion_tokens": 20, "total_tokens": 7820},
}
HEADERS = {"Content-Type": "application/json", "X-Tau2-Simulation": '{"domain": "retail", "task": "0"}'}
PATH = "/v1/chat/completions"


class Cost(NamedTuple):
    """Milliseconds a call."""

    cpu: float
    wall: float


class Answering(asyncio.Protocol):
    """Reads requests as far as it must, and answers each with the same completion."""

    _body = json.dumps(COMPLETION).encode()
    _answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_body) + _body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            self._received.clear()
            self._transport.write(self._answer)


def serve(port: Connection) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def conversation(environment: Any) -> list[Any]:
    """Five orders asked for, looked up and talked about."""
    from tau2.agent.llm_agent import AGENT_INSTRUCTION, SYSTEM_PROMPT
    from tau2.data_model.message import AssistantMessage, SystemMessage, ToolCall, UserMessage

    prompt = SYSTEM_PROMPT.format(domain_policy=environment.get_policy(), agent_instruction=AGENT_INSTRUCTION)
    messages = [
        SystemMessage(role="system", content=prompt),
        AssistantMessage(role="assistant", content="Hi! How can I help you today?"),
    ]
    for number in range(5):
        call = ToolCall(id=f"call_{number}", name="get_order_details", arguments={"order_id": ORDER})
        messages += [
            UserMessage(role="user", content="I would like to exchange the keyboard of my order, please. " * 3),
            AssistantMessage(role="assistant", tool_calls=[call], raw_data=CHOICE),
            environment.get_response(call),
            AssistantMessage(role="assistant", content="I found your order. It was delivered already. " * 3),
        ]
    return messages[:-1]


def ways(port: int, closing: ExitStack) -> dict[str, Callable[[], object]]:
    """What makes one call, by its name."""
    url = f"http://127.0.0.1:{port}/v1"
    environment = tau2_versions.load().get_env_constructor("retail")()
    messages, tools = conversation(environment), environment.get_tools()
    described = tau2_versions.agent_tools(environment)
    schemas = [tool.openai_schema for tool in described]
    chat = tau2_versions.to_chat(messages)
    arguments = {"temperature": 0.0, "seed": 7}
    body = {"model": "m", "messages": chat, "tools": schemas, "tool_choice": "auto", **arguments}
    ready = encoded(body)

    bare = http.client.HTTPConnection("127.0.0.1", port)
    httpx_client = closing.enter_context(httpx2.Client())
    on_our_connections = closing.enter_context(httpx2.Client(transport=Connections(use_proxies=False)))
    sdk = closing.enter_context(openai.OpenAI(api_key="none", base_url=url, max_retries=0))
    client = OpenAIClient("vllm", url, "EMPTY")
    closing.callback(client.close)
    participant = Participant(
        "agent", parse_model("vllm/m", role="agent", base_url=url), client, PriceBook({"m": FREE})
    )
    models = SimulationModels({"agent": participant}, headers=lambda _: HEADERS)
    request = Request("m", chat, schemas, None, arguments, HEADERS)

    from tau2.agent import llm_agent
    from tau2.utils.llm_utils import generate

    def with_http_client() -> object:
        bare.request("POST", PATH, ready, HEADERS)
        return bare.getresponse().read()

    def with_httpx2(through: httpx2.Client) -> object:
        return through.post(url + "/chat/completions", content=ready, headers=HEADERS).content

    def with_the_sdk() -> object:
        options: Any = {"headers": HEADERS}
        return sdk.post("/chat/completions", content=ready, cast_to=httpx2.Response, options=options).content

    def as_tau2s_agent_calls_it() -> object:
        with tau2_versions.answered_by(models):
            return llm_agent.generate("m", messages, described, **arguments)

    def with_json() -> object:
        bare.request("POST", PATH, json.dumps(body).encode(), HEADERS)
        return json.loads(bare.getresponse().read())

    return {
        "http.client, body ready": with_http_client,
        "http.client and json": with_json,
        "httpx2, body ready": lambda: with_httpx2(httpx_client),
        "httpx2 on our connections, body ready": lambda: with_httpx2(on_our_connections),
        "openai SDK, body ready": with_the_sdk,
        "our client": lambda: client.complete(request),
        "ours from tau2's agent, with its event": as_tau2s_agent_calls_it,
        "openai SDK as documented": lambda: sdk.chat.completions.create(**body),
        "tau2's own generate (litellm)": lambda: generate(
            "openai/m", messages, tools, api_base=url, api_key="none", **arguments
        ),
    }


def cost(call: Callable[[], object]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(CALLS):
        call()
    return Cost((time.process_time() - cpu) / CALLS * 1e3, (time.perf_counter() - wall) / CALLS * 1e3)


def main() -> None:
    silence_loguru()
    table = Table(title=f"ms a call, best of {ROUNDS} rounds of {CALLS} calls", title_justify="left")
    for name in ("way", "CPU", "wall", "CPU, × floor"):
        table.add_column(name, justify="left" if name == "way" else "right")
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(sender,), daemon=True)
    server.start()
    best: dict[str, Cost] = {}
    with ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory())
        closing.enter_context(configure_logging(["retail"], run_id="r", log_dir=folder))
        closing.enter_context(task_context(run="r", sim="s", domain="retail", task="0", trial=0, step=0))
        calls = ways(receiver.recv(), closing)
        for call in calls.values():
            call()
        for _ in range(ROUNDS):
            for name, call in calls.items():
                measured = cost(call)
                known = best.get(name, measured)
                best[name] = Cost(min(known.cpu, measured.cpu), min(known.wall, measured.wall))
    server.terminate()
    floor = next(iter(best.values())).cpu
    for name, (cpu, wall) in best.items():
        table.add_row(name, f"{cpu:.3f}", f"{wall:.3f}", f"{cpu / floor:.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    main()
