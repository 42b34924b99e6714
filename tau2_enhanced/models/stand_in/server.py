"""The stand-in's server: OpenAI's chat completions over HTTP, played from gold actions.

Run as a process of its own by the runner (`tau2_enhanced.models.stand_in.process`). It reads the plays
from standard input as one line of JSON, prints its port, and ends when standard input does, so that it
never outlives the runner.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from tau2_enhanced.models.stand_in.gold import HEADER, Play, Turn, next_turn, read_plays

_CHARACTERS_PER_TOKEN = 4
_LARGEST_REQUEST = 64 * 2**20


@dataclass(frozen=True)
class Faults:
    """What goes wrong on purpose; 0 is never."""

    latency_s: float = 0.0
    fail_every: int = 0
    """Each Nth request is answered with HTTP 500."""
    break_every: int = 0
    """Each Nth tool call has arguments that are no JSON."""
    no_calls: bool = False
    """Nothing is done, only said: a model that fails every task."""


class StandIn:
    """Plays by (domain, task), and the counters of what was asked."""

    def __init__(self, plays: Mapping[tuple[str, str], Play], faults: Faults | None = None) -> None:
        self._plays = plays
        self._faults = faults or Faults()
        self._requests = itertools.count(1)
        self._calls = itertools.count(1)
        self.in_flight = 0
        self.most_in_flight = 0

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/stats", self.stats)
        return app

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "gold", "object": "model"}]})

    async def stats(self, _: web.Request) -> web.Response:
        return web.json_response({"in_flight": self.in_flight, "most_in_flight": self.most_in_flight})

    async def complete(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self._faults.latency_s:
                await asyncio.sleep(self._faults.latency_s)
            number = next(self._requests)
            if self._faults.fail_every and number % self._faults.fail_every == 0:
                return _error(500, "this request fails on purpose")
            return self._answer(number, request.headers.get(HEADER), await request.read())
        finally:
            self.in_flight -= 1

    def _answer(self, number: int, header: str | None, body: bytes) -> web.Response:
        try:
            asked = json.loads(header or "")
            play, role = self._plays[asked["domain"], asked["task"]], asked["role"]
            play = replace(play, actions=()) if self._faults.no_calls else play
        except (ValueError, LookupError, TypeError):
            return _error(404, f"no play for this request: {HEADER} must name a known domain and task, and the role")
        try:
            turn = next_turn(play, role, json.loads(body)["messages"])
        except (ValueError, LookupError, TypeError) as error:
            return _error(400, f"not a chat completion request: {error!r}")
        return web.json_response(self._completion(number, turn, len(body)))

    def _completion(self, number: int, turn: Turn, request_size: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if turn.call is not None:
            arguments = json.dumps(turn.call.arguments)
            if self._faults.break_every and next(self._calls) % self._faults.break_every == 0:
                arguments = arguments[:-1] + ',"'
            function = {"name": turn.call.name, "arguments": arguments}
            message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
        size = len(turn.text or "") + len(message.get("tool_calls", [{}])[0].get("function", {}).get("arguments", ""))
        prompt, completion = request_size // _CHARACTERS_PER_TOKEN, size // _CHARACTERS_PER_TOKEN + 1
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 0,
            "model": "gold",
            "choices": [
                {"index": 0, "message": message, "finish_reason": "stop" if turn.call is None else "tool_calls"}
            ],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": {"message": text, "type": "stand_in", "code": None}}, status=status)


async def _serve(stand_in: StandIn, port: int) -> None:
    runner = web.AppRunner(stand_in.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds each answer takes")
    parser.add_argument("--fail-every", type=int, default=0)
    parser.add_argument("--break-every", type=int, default=0)
    parser.add_argument("--no-calls", action="store_true")
    options = parser.parse_args()
    line = sys.stdin.readline()
    if not line:
        return
    faults = Faults(options.latency, options.fail_every, options.break_every, options.no_calls)
    # the runner handles ^C; it ends this process by closing its standard input
    asyncio.run(_serve(StandIn(read_plays(line), faults), options.port))


if __name__ == "__main__":
    main()
