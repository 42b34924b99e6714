#!/usr/bin/env python3
"""What a streamed chunk costs: `python benchmarks/stream_chunks.py`.

A server in a process of its own streams answers of 300 chunks, one every two milliseconds, so that each is a read of
its own. Microseconds of this process's CPU a chunk: received alone by the HTTP client, with our client, and with the
SDKs' objects. The ways take turns, and the cheapest of several rounds counts.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

import anthropic
import httpx2
import openai
from rich.console import Console
from rich.table import Table

from tau2_enhanced.models.anthropic_client import AnthropicClient
from tau2_enhanced.models.client import Request
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.stand_in.chat_completions import ChatCompletions
from tau2_enhanced.models.stand_in.messages_api import MessagesAPI
from tau2_enhanced.models.stand_in.wires import Tokens, Turn

CHUNKS = 300
BETWEEN_S = 0.002
ROUNDS = 5
ASKED = {"stream_options": {"include_usage": True}, "messages": [{"role": "user", "content": "Hi"}]}
MESSAGES: Any = ASKED["messages"]


class Streaming(asyncio.Protocol):
    """Answers each request with a stream in the format of its path."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            wire = MessagesAPI() if b"/messages" in head else ChatCompletions()
            self._received.clear()
            self._task = asyncio.create_task(self._answer(wire))

    async def _answer(self, wire: ChatCompletions | MessagesAPI) -> None:
        answer = wire.answer(1, Turn(text="Four" * CHUNKS), Tokens(9, 0, CHUNKS), ASKED)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for event in wire.events(answer, ASKED):
            await asyncio.sleep(BETWEEN_S)
            self._transport.write(b"%x\r\n%s\r\n" % (len(event.data), event.data))
        self._transport.write(b"0\r\n\r\n")


def serve(port: Connection) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Streaming, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def ways(port: int, closing: ExitStack) -> dict[str, Callable[[], object]]:
    """What reads one stream, by its name."""
    root = f"http://127.0.0.1:{port}"
    bare = closing.enter_context(httpx2.Client())
    openai_sdk = closing.enter_context(openai.OpenAI(api_key="none", base_url=f"{root}/v1", max_retries=0))
    anthropic_sdk = closing.enter_context(anthropic.Anthropic(api_key="none", base_url=root, max_retries=0))
    ours = OpenAIClient("vllm", f"{root}/v1", "EMPTY")
    ours_for_claude = AnthropicClient(root, "none")
    closing.callback(ours.close)
    closing.callback(ours_for_claude.close)
    request = Request("m", MESSAGES, arguments={"stream": True})

    def received() -> object:
        with bare.stream("POST", f"{root}/v1/chat/completions", content=json.dumps(ASKED)) as answer:
            return sum(map(len, answer.iter_bytes()))

    def openais_objects() -> object:
        return list(openai_sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True))

    def anthropics_objects() -> object:
        return list(anthropic_sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True))

    return {
        "httpx2, received alone": received,
        "our client, chat completions": lambda: ours.complete(request),
        "our client, Anthropic's messages": lambda: ours_for_claude.complete(request),
        "openai SDK's chunks": openais_objects,
        "anthropic SDK's events": anthropics_objects,
    }


def main() -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(sender,), daemon=True)
    server.start()
    best: dict[str, float] = {}
    with ExitStack() as closing:
        calls = ways(receiver.recv(), closing)
        for _ in range(ROUNDS):
            for name, call in calls.items():
                cpu = time.process_time()
                call()
                best[name] = min(best.get(name, float("inf")), (time.process_time() - cpu) / CHUNKS * 1e6)
    server.terminate()
    table = Table(title=f"µs of CPU a chunk, best of {ROUNDS} streams of {CHUNKS}", title_justify="left")
    table.add_column("way")
    table.add_column("CPU", justify="right")
    table.add_column("above receiving", justify="right")
    floor = next(iter(best.values()))
    for name, each in best.items():
        table.add_row(name, f"{each:.0f}", f"{each - floor:.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
