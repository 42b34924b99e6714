"""Servers that take only so many calls at once: nothing fails, and they are soon left alone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from support import MOCK_TASKS, RunLocal, StandIn

from tau2_enhanced.logging.events import LLMCallEvent, UserSimEvent


class BusyServer:
    """Passes up to `most` calls at once on to the stand-in, and answers others with HTTP 429, after which it wants
    to be left alone for `pause_s`."""

    def __init__(self, behind: str, most: int, pause_s: int = 0) -> None:
        self.refused: list[int] = []
        """For each refusal, how many calls had been answered before."""
        self.answered = 0
        self._behind = urlsplit(behind).netloc
        self._free = threading.Semaphore(most)
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._pass_on(b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if not outer._free.acquire(blocking=False):
                    with outer._lock:
                        outer.refused.append(outer.answered)
                    self._reply(429, b'{"error": {"message": "too many requests"}}')
                    return
                try:
                    self._pass_on(body)
                finally:
                    outer._free.release()

            def _pass_on(self, body: bytes) -> None:
                connection = http.client.HTTPConnection(outer._behind)
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                with outer._lock:
                    outer.answered += 1
                self._reply(answer.status, content)

            def _reply(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if pause_s and status == 429:
                    self.send_header("Retry-After", str(pause_s))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def busy(stand_in: StandIn) -> Iterator[Any]:
    with ExitStack() as closing:

        def start(most: int, *flags: str, pause_s: int = 0) -> BusyServer:
            made = BusyServer(stand_in(*flags), most, pause_s)
            closing.callback(made.close)
            return made

        yield start


def test_a_run_ends_well_at_a_server_that_takes_few_calls_at_once(run_local: RunLocal, busy: Any) -> None:
    server = busy(3, "--latency", "0.02")
    models = [word for role in ("agent", "user") for word in (f"--{role}-model", "vllm/gold")]
    addresses = [word for role in ("agent", "user") for word in (f"--{role}-base-url", server.url)]
    flags = ("--domains", "mock", "retail", "--num-tasks", "9", "--max-concurrency", "12", "--llm-retries", "0")
    run = run_local(*flags, *models, *addresses)
    assert run.code == 0
    assert run.summary["finished"] == 2 * MOCK_TASKS
    assert run.summary["passed"] == 17
    calls = [e for name in ("mock", "retail") for e in run.events(name) if isinstance(e, LLMCallEvent | UserSimEvent)]
    assert sum((call.attempts or 0) - 1 for call in calls) == len(server.refused)
    assert "refuses calls under load: from here on" in run.err
    # in the beginning all twelve come at once; later a height is tried now and then
    late = [before for before in server.refused if before > server.answered / 3]
    assert len(late) < server.answered / 10, (len(server.refused), len(late), server.answered)


def test_a_run_does_not_wait_for_a_server_that_wants_to_be_left_alone_until_tomorrow(
    run_local: RunLocal, busy: Any
) -> None:
    server = busy(0, pause_s=86_400)
    flags = ("--domains", "retail", "--num-tasks", "60", "--max-concurrency", "4", "--user-model", "gold")
    run = run_local(*flags, "--agent-model", "vllm/gold", "--agent-base-url", server.url)
    assert run.code == 1
    assert "a server keeps refusing calls under load: " in " ".join(run.out.split())
    assert "refuses all calls, for 86400 s more, longer than this call may wait" in run.err
    assert (run.summary["finished"], run.summary["passed"]) == (0, 0)
    assert len(server.refused) <= 4
    calls = [event for event in run.events("retail") if isinstance(event, LLMCallEvent)]
    assert {call.error_type for call in calls} == {"rate_limit", "busy"}
    assert len(calls) < 60
    assert all((call.retry_wait_ms or 0) < 10_000 for call in calls)
