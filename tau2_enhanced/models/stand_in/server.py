"""The stand-in's server: OpenAI's chat completions and Anthropic's messages over HTTP, answered by a player.

Run as a process of its own by the runner (`tau2_enhanced.models.stand_in.process`). It reads the plays
from standard input as one line of JSON, prints its port, and ends when standard input does, so that it
never outlives the runner.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from typing import Any

from aiohttp import web

from tau2_enhanced.models.stand_in.chat_completions import ChatCompletions
from tau2_enhanced.models.stand_in.gold import HEADER, read_plays
from tau2_enhanced.models.stand_in.gold_player import GoldPlayer
from tau2_enhanced.models.stand_in.messages_api import MessagesAPI
from tau2_enhanced.models.stand_in.player import NoAnswer, Player, Question
from tau2_enhanced.models.stand_in.wires import Tokens, Wire

_MODEL = {"id": "gold", "object": "model", "type": "model", "display_name": "gold"}
_LARGEST_REQUEST = 64 * 2**20


@dataclass(frozen=True)
class Pace:
    """How long answers take."""

    latency_s: tuple[float, float] = (0.0, 0.0)
    """Until the first token: the least and the most, drawn evenly between."""
    tokens_per_second: float | None = None
    """After the first token; None is all at once."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong on purpose; 0 is never."""

    fail_every: int = 0
    """Each Nth request is answered with HTTP 500."""
    hang_every: int = 0
    """Each Nth request is never answered."""
    break_every: int = 0
    """Each Nth answer with tool calls has arguments that are no JSON."""


class StandIn:
    """A player behind a server, and the counters of what was asked."""

    def __init__(self, player: Player, pace: Pace | None = None, faults: Faults | None = None) -> None:
        self._player = player
        self._pace = pace or Pace()
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

    async def complete(self, wire: Wire, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(random.uniform(*self._pace.latency_s))
            number = next(self._requests)
            if self._faults.hang_every and number % self._faults.hang_every == 0:
                await asyncio.get_running_loop().create_future()
            if self._faults.fail_every and number % self._faults.fail_every == 0:
                raise _Failed(500, "this request fails on purpose")
            raw = await request.read()
            answer, body = self._answer(wire, number, request.headers.get(HEADER), raw)
            if body.get("stream"):
                return await self._stream(wire, request, answer, body)
            await asyncio.sleep(self._decode_s(sum(event.is_token for event in wire.events(answer, body)) - 1))
            return web.json_response(answer)
        except _Failed as failed:
            return web.json_response(wire.error(failed.status, str(failed)), status=failed.status)
        finally:
            self.in_flight -= 1

    async def _stream(
        self, wire: Wire, request: web.Request, answer: Mapping[str, Any], body: Mapping[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        now = asyncio.get_running_loop().time
        began, tokens = now(), 0
        for event in wire.events(answer, body):
            if event.is_token:
                await asyncio.sleep(began + self._decode_s(tokens) - now())
                tokens += 1
            await response.write(event.data)
        await response.write_eof()
        return response

    def _decode_s(self, tokens: int) -> float:
        """Seconds in which so many tokens follow the first."""
        return tokens / self._pace.tokens_per_second if self._pace.tokens_per_second else 0.0

    def _answer(
        self, wire: Wire, number: int, header: str | None, raw: bytes
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """The answer to a request, and the request's body."""
        try:
            body = json.loads(raw)
            seed = body.get("seed")
            turn, tokens = self._player.answer(Question(header, wire.conversation(body), seed, len(raw)))
        except NoAnswer as error:
            raise _Failed(404, str(error)) from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _Failed(400, f"not a request to {wire.path}: {error!r}") from None
        if turn.calls and self._faults.break_every:
            turn = replace(turn, broken=next(self._calls) % self._faults.break_every == 0)
        self.tokens = Tokens(*map(sum, zip(astuple(self.tokens), astuple(tokens), strict=True)))
        return wire.answer(number, turn, tokens, body), body


class _Failed(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def serve(stand_in: StandIn, port: int, until: Awaitable[object], announce: Callable[[int], None]) -> None:
    """Answer on this machine's loopback for so long; `announce` is told the port once it does."""
    # a request whose client has gone is forgotten
    runner = web.AppRunner(stand_in.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    announce(runner.addresses[0][1])
    try:
        await until
    finally:
        await runner.cleanup()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that `pace_of` and `faults_of` read, and `--no-calls`, which a player is told."""
    parser.add_argument(
        "--latency",
        type=_range,
        default=(0.0, 0.0),
        metavar="A[:B]",
        help="seconds until an answer's first token, or a range",
    )
    parser.add_argument(
        "--tokens-per-second", type=_rate, metavar="N", help="speed after the first token (default: no limit)"
    )
    parser.add_argument(
        "--fail-every", type=_every, default=0, metavar="N", help="answer every Nth request with HTTP 500"
    )
    parser.add_argument("--hang-every", type=_every, default=0, metavar="N", help="leave every Nth request unanswered")
    parser.add_argument(
        "--break-every",
        type=_every,
        default=0,
        metavar="N",
        help="garble the tool call in every Nth answer that has one",
    )
    parser.add_argument("--no-calls", action="store_true", help="only talk, like a model that fails every task")


def pace_of(options: argparse.Namespace) -> Pace:
    return Pace(options.latency, options.tokens_per_second)


def faults_of(options: argparse.Namespace) -> Faults:
    return Faults(options.fail_every, options.hang_every, options.break_every)


def _range(text: str) -> tuple[float, float]:
    """`A:B`, or `A` for both."""
    first, _, last = text.partition(":")
    try:
        least, most = float(first), float(last or first)
        if not 0 <= least <= most < math.inf:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither seconds nor A:B, like 0.2:0.8") from None
    return least, most


def _rate(text: str) -> float:
    try:
        if not 0 < (rate := float(text)) < math.inf:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0") from None
    return rate


def _every(text: str) -> int:
    try:
        if (every := int(text)) < 0:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on") from None
    return every


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    add_flags(parser)
    options = parser.parse_args()
    line = sys.stdin.readline()
    if not line:
        return
    player = GoldPlayer(read_plays(line), no_calls=options.no_calls)
    stand_in = StandIn(player, pace_of(options), faults_of(options))
    # the runner handles ^C; it ends this process by closing its standard input
    asyncio.run(serve(stand_in, options.port, asyncio.to_thread(sys.stdin.read), lambda port: print(port, flush=True)))


if __name__ == "__main__":
    main()
