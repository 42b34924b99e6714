"""A stub of `vllm serve`: the stand-in's answers on vLLM's addresses, with vLLM's flags and pages.

It takes the flags that the runner gives vLLM, and some of its own. Plays come from the file that STUB_PLAYS names;
beside that file each server keeps notes: `PORT.pid`, and `PORT.asked` with the simulation of each request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from aiohttp import web

from tau2_enhanced.models.stand_in.gold import HEADER, read_plays
from tau2_enhanced.models.stand_in.gold_player import GoldPlayer
from tau2_enhanced.models.stand_in.server import Pace, StandIn
from tau2_enhanced.models.stand_in.wires import Wire

_CHILD = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
_METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="{model}"}} {running}
vllm:num_requests_waiting{{engine="0",model_name="{model}"}} 0.0
vllm:kv_cache_usage_perc{{engine="0",model_name="{model}"}} 0.25
vllm:prefix_cache_queries_total{{engine="0",model_name="{model}"}} {prompt}
vllm:prefix_cache_hits_total{{engine="0",model_name="{model}"}} {cached}
vllm:num_preemptions_total{{engine="0",model_name="{model}"}} 0.0
vllm:prompt_tokens_total{{engine="0",model_name="{model}"}} {prompt}
vllm:generation_tokens_total{{engine="0",model_name="{model}"}} {completion}
"""


class Stub(StandIn):
    def __init__(self, options: argparse.Namespace, notes: Path) -> None:
        plays = read_plays(Path(os.environ["STUB_PLAYS"]).read_text())
        super().__init__(GoldPlayer(plays), Pace((options.latency,) * 2))
        self._model = options.model
        self._asked_file = notes.with_suffix(".asked")

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_get("/health", self.health)
        app.router.add_get("/metrics", self.metrics)
        return app

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self._model, "object": "model"}]})

    async def health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def metrics(self, _: web.Request) -> web.Response:
        told = {"prompt": self.tokens.prompt, "cached": self.tokens.cached, "completion": self.tokens.completion}
        return web.Response(text=_METRICS.format(model=self._model, running=self.in_flight, **told))

    async def complete(self, wire: Wire, request: web.Request) -> web.StreamResponse:
        with self._asked_file.open("a") as file:
            file.write(request.headers.get(HEADER, "null") + "\n")
        return await super().complete(wire, request)


async def _serve(stub: Stub, port: int) -> None:
    runner = web.AppRunner(stub.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"serving on {port}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--children", action="store_true", help="in the same group, and in a session of its own")
    parser.add_argument("--deaf", action="store_true", help="ignore SIGTERM")
    parser.add_argument("--fail-on", type=int, help="end with an error on this port")
    parser.add_argument("--load", type=float, default=0.0, help="seconds until it answers")
    options, rest = parser.parse_known_args()
    notes = Path(os.environ["STUB_PLAYS"]).parent / str(options.port)
    pids = [os.getpid()]
    if options.children:
        for apart in (False, True):
            pids.append(subprocess.Popen([sys.executable, "-c", _CHILD], start_new_session=apart).pid)
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    whole = notes.with_suffix(".tmp")
    whole.write_text(json.dumps(pids))
    whole.rename(notes.with_suffix(".pid"))
    print(json.dumps({"rest": rest, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "at": time.time()}), flush=True)
    time.sleep(options.load)
    if options.fail_on == options.port:
        print("ValueError: no memory for the KV cache", file=sys.stderr)
        raise SystemExit(3)
    asyncio.run(_serve(Stub(options, notes), options.port))


if __name__ == "__main__":
    main()
