#!/usr/bin/env python3
"""How many simulations a second, beside `tau2 run` and a bare HTTP client: `python benchmarks/simulations.py`.

All three are answered by the same stand-in, in a process of its own, at once. Ours and `tau2 run` do the same
tasks, one for each distinct scenario; the floor sends the requests that ours sent, recorded once, over as many
threads, each with a connection that stays open. Times run from the first simulation's start until the results file
is complete, so starting up counts for nobody. The ways take turns; medians of all rounds, and the smallest and the
largest. CPU is the runner's, user and system; the stand-in's is not part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from processes import RUN_LOCAL, StandIn, Watched, against, show, stand_in
from rich.table import Table

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging.bridge import silence_loguru
from tau2_enhanced.models.stand_in.gold import HEADER
from tau2_enhanced.runner.plan import load_tasks, needs_judge

TAU2 = str(Path(sys.executable).with_name("tau2"))
PATH = "/v1/chat/completions"


class Case(NamedTuple):
    """What is measured at one concurrency."""

    concurrency: int
    rounds: int
    ours_s: float
    """Roughly how many seconds a run of ours is to take."""
    theirs: dict[str, int]
    """Simulations of a run of tau2's, by domain; it runs as many of ours' tasks, or all of them several times."""


CASES = (
    Case(1, 2, 4.0, {"mock": 18, "retail": 5, "airline": 4, "telecom": 15}),
    Case(10, 3, 6.0, {"mock": 60, "retail": 20, "airline": 16, "telecom": 45}),
    Case(100, 1, 8.0, {"mock": 120, "retail": 100, "airline": 100, "telecom": 105}),
)
ROUGHLY_PER_SECOND = {"mock": 100, "retail": 35, "airline": 40, "telecom": 40}


class Rate(NamedTuple):
    """One run of one way."""

    simulations: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def per_second(self) -> float:
        return self.simulations / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s / self.simulations * 1000


Requests = Mapping[str, list[bytes]]
"""By task the requests of its simulation, in their order: our header's value, a line end, the body."""


def chosen_tasks(domain: str) -> list[str]:
    """The first task of each distinct scenario."""
    silence_loguru()
    registry = tau2_versions.load()
    first = {
        " ".join(str(task.user_scenario).split()): task.id
        for task in reversed(load_tasks(registry, domain, "base"))
        if not needs_judge(task)
    }
    return list(reversed(first.values()))


def ours(server: StandIn, domain: str, tasks: Sequence[str], trials: int, concurrency: int, folder: Path) -> Rate:
    folder.mkdir()
    flags = ["--domains", domain, "--task-ids", *tasks, "--num-trials", str(trials), "--run-id", "R"]
    flags += ["--max-concurrency", str(concurrency), "--log-level", "PROFILE", "--display", "none"]
    run = Watched([*RUN_LOCAL, *flags, *against(server.url)], folder)
    return rate_of(run, folder / "outputs" / "R" / f"{domain}.json", len(tasks) * trials)


def theirs(server: StandIn, domain: str, tasks: Sequence[str], trials: int, concurrency: int, folder: Path) -> Rate:
    folder.mkdir()
    flags = ["--domain", domain, "--task-ids", *tasks, "--num-trials", str(trials)]
    flags += ["--max-concurrency", str(concurrency), "--agent-llm", "openai/gold", "--user-llm", "openai/gold"]
    # an absolute path leads out of the folder in which tau2 keeps results
    run = Watched([TAU2, "run", *flags, "--save-to", str(folder / "R")], folder, answered_by(server.url))
    return rate_of(run, folder / "R.json", len(tasks) * trials)


def answered_by(url: str) -> dict[str, str]:
    """The environment in which litellm's OpenAI models are answered by a stand-in."""
    return {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": url, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def rate_of(run: Watched, results: Path, expected: int) -> Rate:
    simulations = json.loads(results.read_text())["simulations"]
    right = sum(simulation["reward_info"]["reward"] == 1.0 for simulation in simulations)
    if right != expected:
        raise RuntimeError(f"{right} of {expected} simulations were rewarded: {run.said[-1000:]}")
    begin = min(datetime.fromisoformat(simulation["start_time"]) for simulation in simulations).timestamp()
    end = results.stat().st_mtime
    return Rate(expected, end - begin, run.cpu_s(begin, end), run.peak_mb())


@contextmanager
def recording(server: StandIn) -> Iterator[tuple[StandIn, Requests]]:
    """A server that passes requests on, and keeps their bodies by the simulation that their header names."""
    kept: dict[str, list[bytes]] = defaultdict(list)

    class PassingOn(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            named = json.loads(self.headers[HEADER])
            kept[named["task"]].append(self.headers[HEADER].encode() + b"\n" + body)
            self._pass_on(body)

        def _pass_on(self, body: bytes | None) -> None:
            upstream = HTTPConnection(urlsplit(server.url).netloc)
            headers = {HEADER: self.headers[HEADER]} if body else {}
            upstream.request(self.command, self.path, body, {"Content-Type": "application/json", **headers})
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), PassingOn)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield StandIn(f"http://127.0.0.1:{proxy.server_address[1]}/v1", 0), kept
    finally:
        proxy.shutdown()
        proxy.server_close()


def floor(server: StandIn, requests: Sequence[list[bytes]], simulations: int, concurrency: int) -> Rate:
    """The same requests from as many threads, the answers read and left alone."""
    left = iter(requests[number % len(requests)] for number in range(simulations))
    taking = threading.Lock()

    def work() -> None:
        connection = HTTPConnection(urlsplit(server.url).netloc)
        while True:
            with taking:
                simulation = next(left, None)
            if simulation is None:
                return
            for request in simulation:
                header, _, body = request.partition(b"\n")
                connection.request("POST", PATH, body, {"Content-Type": "application/json", HEADER: header.decode()})
                connection.getresponse().read()

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    begin, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Rate(simulations, time.perf_counter() - begin, time.process_time() - cpu, 0.0)


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and the range where there is one."""
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def measured(
    case: Case, domain: str, tasks: list[str], requests: Requests, server: StandIn, folder: Path
) -> dict[str, list[Rate]]:
    """The rates of all ways, one for each round."""
    count = case.theirs[domain]
    trials = -(-count // len(tasks))
    # evenly from all: the first tasks of a domain are longer than most
    few = tasks[:: max(1, len(tasks) * trials // count)]
    ours_trials = max(1, round(case.ours_s * ROUGHLY_PER_SECOND[domain] / len(few)))
    rates: dict[str, list[Rate]] = defaultdict(list)
    for number in range(case.rounds):
        place = folder / f"{domain}-{case.concurrency}-{number}"
        place.mkdir()
        rates["ours"].append(ours(server, domain, few, ours_trials, case.concurrency, place / "ours"))
        rates["theirs"].append(theirs(server, domain, few, trials, case.concurrency, place / "theirs"))
        sent = [requests[task] for task in few]
        rates["floor"].append(floor(server, sent, len(few) * ours_trials, case.concurrency))
        say = {name: f"{found[-1].per_second:.2f}" for name, found in rates.items()}
        print(f"{domain} at {case.concurrency}, round {number + 1}: {say}", file=sys.stderr, flush=True)
    return rates


def row(domain: str, concurrency: int, rates: dict[str, list[Rate]]) -> list[str]:
    per_second = {name: [rate.per_second for rate in found] for name, found in rates.items()}
    middle = {name: statistics.median(values) for name, values in per_second.items()}
    cpu = {name: [rate.cpu_ms for rate in found] for name, found in rates.items()}
    return [
        domain,
        str(concurrency),
        f"{rates['ours'][0].simulations} / {rates['theirs'][0].simulations}",
        spread(per_second["ours"]),
        spread(per_second["theirs"], 2),
        f"{middle['ours'] / middle['theirs']:.0f}",
        spread(per_second["floor"]),
        f"{middle['floor'] / middle['ours']:.1f}",
        spread(cpu["ours"]),
        f"{statistics.median(cpu['theirs']):.0f}",
        f"{statistics.median(cpu['floor']):.1f}",
        f"{max(rate.peak_mb for rate in rates['ours']):.0f}",
        f"{max(rate.peak_mb for rate in rates['theirs']):.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", nargs="+", default=list(ROUGHLY_PER_SECOND))
    parser.add_argument("--concurrency", nargs="+", type=int, default=[case.concurrency for case in CASES])
    options = parser.parse_args()
    table = Table(title="simulations a second against a model that answers at once")
    for heading in (
        "domain", "at once", "n: ours / tau2", "ours /s", "tau2 run /s", "ours × tau2", "floor /s", "floor × ours",
        "CPU ms: ours", "tau2", "floor", "peak MB: ours", "tau2",
    ):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "domain" else "right")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for domain in options.domains:
            tasks = chosen_tasks(domain)
            with stand_in("--domains", domain, "--task-ids", *tasks) as server:
                with recording(server) as (proxy, kept):
                    ours(proxy, domain, tasks, 1, 1, folder / domain)
                for case in CASES:
                    if case.concurrency in options.concurrency:
                        table.add_row(
                            *row(domain, case.concurrency, measured(case, domain, tasks, kept, server, folder))
                        )
    show(table)


if __name__ == "__main__":
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    main()
