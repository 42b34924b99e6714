"""Servers watched: pages that a test changes, on loopback."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tau2_enhanced.logging.server_samples import SampleFile
from tau2_enhanced.models.adaptive import AdaptiveLimit
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.spread import Server, Spread
from tau2_enhanced.models.vllm.watch import ServerWatch

METRICS = 'vllm:num_requests_running{engine="0"} 2.0\nvllm:generation_tokens_total{engine="0"} 100.0\n'


class Pages:
    """A server's `/health` and `/metrics`."""

    def __init__(self) -> None:
        self.health = 200
        self.alive = ""
        """What `/health/liveliness` answers, where there is that page."""
        self.asked: set[str] = set()
        self.metrics = METRICS
        self.answering = threading.Event()
        self.answering.set()
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pages.answering.wait()
                pages.asked.add(self.path)
                body = {"/metrics": pages.metrics, "/health/liveliness": pages.alive}.get(self.path, "").encode()
                self.send_response(200 if body or self.path == "/metrics" else pages.health)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.answering.set()
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def spread(pages: Pages) -> Iterator[Spread]:
    made = Spread(
        [Server("h:1", pages.url, OpenAIClient("vllm", pages.url, "EMPTY"), AdaptiveLimit("h:1", 1), lambda: True)]
    )
    yield made
    made.close()


def watch(spread: Spread, folder: Path, silent_s: float = 30.0) -> ServerWatch:
    ticks = iter(range(0, 10**9, 1000))
    file = SampleFile(folder / "vllm_metrics.csv")
    return ServerWatch([spread], file, "R", lambda: float(next(ticks)), asks_every_s=0.02, silent_s=silent_s)


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 30
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "vllm_metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_server_that_is_not_well_is_out_until_it_is(pages: Pages, spread: Spread, tmp_path: Path) -> None:
    server = spread.servers[0]
    with watch(spread, tmp_path).watching():
        pages.health = 503
        assert eventually(lambda: server.out == "says that it is not well")
        pages.health = 404
        assert eventually(lambda: not server.out)


def test_a_proxy_whose_health_costs_money_is_not_asked_for_it(pages: Pages, spread: Spread, tmp_path: Path) -> None:
    pages.alive = '"I\'m alive!"'
    server = spread.servers[0]
    with watch(spread, tmp_path).watching():
        assert eventually(lambda: server.sample is not None)
        pages.alive, pages.health = "", 503
        assert eventually(lambda: bool(server.out))
        assert "/health" not in pages.asked


def test_a_silent_server_is_out_after_a_while(
    pages: Pages, spread: Spread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tau2_enhanced.models.vllm.watch._PAGE_WITHIN_S", 0.1)
    server = spread.servers[0]
    with watch(spread, tmp_path, silent_s=0.3).watching():
        assert eventually(lambda: server.sample is not None)
        pages.answering.clear()
        assert eventually(lambda: server.out == "does not answer")
        pages.answering.set()
        assert eventually(lambda: not server.out)


def test_what_it_says_is_kept_and_written_while_it_says_it(pages: Pages, spread: Spread, tmp_path: Path) -> None:
    server = spread.servers[0]
    with watch(spread, tmp_path).watching():
        assert eventually(lambda: server.sample is not None)
        pages.metrics = METRICS.replace("100", "150")
        assert eventually(lambda: server.sample is not None and bool(server.sample.generation_tokens_per_s))
        pages.metrics = ""
        assert eventually(lambda: server.sample is not None and server.sample.running is None)
    found = rows(tmp_path)
    assert (found[0]["server"], found[0]["running"], found[0]["generation_tokens_per_s"]) == ("h:1", "2", "")
    assert next(row["generation_tokens_per_s"] for row in found if row["generation_tokens"] == "150") == "50"
    assert found[-1]["running"] == ""
    assert [float(row["at_ms"]) for row in found] == sorted(float(row["at_ms"]) for row in found)


def test_a_server_without_vllms_metrics_leaves_no_file(pages: Pages, spread: Spread, tmp_path: Path) -> None:
    pages.metrics = "http_requests_total 3\n"
    with watch(spread, tmp_path).watching():
        pages.health = 503
        assert eventually(lambda: bool(spread.servers[0].out))
    assert list(tmp_path.iterdir()) == []
