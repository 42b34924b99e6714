"""The stand-in's server: OpenAI's chat completions and Anthropic's messages over HTTP, played from gold actions.

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
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from typing import Any

from aiohttp import web

from tau2_enhanced.models.client import ChatMessage
from tau2_enhanced.models.stand_in.chat_completions import ChatCompletions
from tau2_enhanced.models.stand_in.gold import HEADER, STOP, Play, Turn, next_turn, played, read_plays
from tau2_enhanced.models.stand_in.messages_api import MessagesAPI
from tau2_enhanced.models.stand_in.recognition import Asked, NotRecognised, Recogniser, signed
from tau2_enhanced.models.stand_in.wires import Tokens, Wire

_MODEL = {"id": "gold", "object": "model", "type": "model", "display_name": "gold"}
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

    def __init__(
        self,
        plays: Mapping[tuple[str, str], Play],
        faults: Faults | None = None,
        recogniser: Recogniser | None = None,
    ) -> None:
        """With a `recogniser` requests without our header are answered too."""
        self._plays = plays
        self._recogniser = recogniser
        self._faults = faults or Faults()
        self._requests = itertools.count(1)
        self._calls = itertools.count(1)
        self.in_flight = 0
        self.most_in_flight = 0
        self.tokens = Tokens(0, 0, 0)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        for wire in (ChatCompletions(), MessagesAPI()):
            app.router.add_post(wire.path, partial(self.complete, wire))
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/v1/models/{id:.+}", self.model)
        app.router.add_get("/stats", self.stats)
        return app

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [_MODEL]})

    async def model(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name != _MODEL["id"]:
            # the two providers' errors differ in what the other one does not look at
            error = {"type": "not_found_error", "message": f"model: {name}", "code": "model_not_found"}
            return web.json_response({"type": "error", "error": error}, status=404)
        return web.json_response(_MODEL)

    async def stats(self, _: web.Request) -> web.Response:
        """What was asked so far; tokens are those of all answers."""
        return web.json_response(
            {"in_flight": self.in_flight, "most_in_flight": self.most_in_flight, "tokens": asdict(self.tokens)}
        )

    async def complete(self, wire: Wire, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self._faults.latency_s:
                await asyncio.sleep(self._faults.latency_s)
            number = next(self._requests)
            if self._faults.fail_every and number % self._faults.fail_every == 0:
                raise _Failed(500, "this request fails on purpose")
            return web.json_response(self._answer(wire, number, request.headers.get(HEADER), await request.read()))
        except _Failed as failed:
            return web.json_response(wire.error(failed.status, str(failed)), status=failed.status)
        finally:
            self.in_flight -= 1

    def _answer(self, wire: Wire, number: int, header: str | None, raw: bytes) -> dict[str, Any]:
        try:
            body = json.loads(raw)
            conversation = wire.conversation(body)
            asked = self._asked(header, conversation)
            play = self._plays[asked.domain, asked.task]
            turn = self._turn(play, asked, conversation, signs=header is None)
        except NotRecognised as error:
            raise _Failed(404, str(error)) from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _Failed(400, f"not a request to {wire.path}: {error!r}") from None
        if turn.call is not None and self._faults.break_every:
            turn = replace(turn, broken=next(self._calls) % self._faults.break_every == 0)
        tokens = _tokens(play, asked.role, conversation, turn, len(raw))
        self.tokens = Tokens(*map(sum, zip(astuple(self.tokens), astuple(tokens), strict=True)))
        return wire.answer(number, turn, tokens, body)

    def _asked(self, header: str | None, conversation: Sequence[ChatMessage]) -> Asked:
        """Whose request it is. Raises NotRecognised."""
        if header is None and self._recogniser is not None:
            return self._recogniser.recognise(conversation)
        try:
            named = json.loads(header or "")
            asked = Asked(named["domain"], named["task"], named["role"])
            if (asked.domain, asked.task) in self._plays:
                return asked
        except (ValueError, LookupError, TypeError):
            pass
        raise NotRecognised(f"no play for this request: {HEADER} must name a known domain and task, and the role")

    def _turn(self, play: Play, asked: Asked, conversation: Sequence[ChatMessage], *, signs: bool) -> Turn:
        played_here = replace(play, actions=()) if self._faults.no_calls else play
        turn = next_turn(played_here, asked.role, conversation)
        if signs and asked.role == "user" and turn.text not in (None, STOP):
            return replace(turn, text=signed(turn.text or "", asked.domain, asked.task))
        return turn


class _Failed(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _tokens(play: Play, role: str, conversation: Sequence[ChatMessage], turn: Turn, request_size: int) -> Tokens:
    """Four characters are a token. What an earlier request of the conversation held comes from the cache."""
    prompt = request_size // _CHARACTERS_PER_TOKEN
    said = turn.text or json.dumps(turn.call.arguments if turn.call else {})
    cached = 0
    if role != "judge" and max(played(play, role, conversation)) > 0:
        last_answer = max(index for index, message in enumerate(conversation) if message["role"] == "assistant")
        new = len(json.dumps(conversation[last_answer:])) // _CHARACTERS_PER_TOKEN + 1
        cached = max(0, prompt - new)
    return Tokens(prompt, cached, len(said) // _CHARACTERS_PER_TOKEN + 1)


async def serve(stand_in: StandIn, port: int, until: Awaitable[object]) -> None:
    """Answer on this machine's loopback for so long; print the port once it does."""
    runner = web.AppRunner(stand_in.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    try:
        await until
    finally:
        await runner.cleanup()


def add_fault_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that `faults_of` reads."""
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="seconds each answer takes")
    parser.add_argument("--fail-every", type=int, default=0, metavar="N", help="answer each Nth request with HTTP 500")
    parser.add_argument("--break-every", type=int, default=0, metavar="N", help="break each Nth tool call's arguments")
    parser.add_argument("--no-calls", action="store_true", help="only talk, as a model that fails every task")


def faults_of(options: argparse.Namespace) -> Faults:
    return Faults(options.latency, options.fail_every, options.break_every, options.no_calls)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    add_fault_flags(parser)
    options = parser.parse_args()
    line = sys.stdin.readline()
    if not line:
        return
    # the runner handles ^C; it ends this process by closing its standard input
    stand_in = StandIn(read_plays(line), faults_of(options))
    asyncio.run(serve(stand_in, options.port, asyncio.to_thread(sys.stdin.read)))


if __name__ == "__main__":
    main()
