"""A scripted loopback server that speaks chat completions, and what the tests of the models share."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tau2_enhanced.logging import Clock
from tau2_enhanced.models.openai_client import OpenAIClient
from tests.models.raw_server import RawServer, Serve

Body = Mapping[str, Any] | list[Any] | str | bytes | None
Response = tuple[int, Mapping[str, str], Body]

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


@dataclass(frozen=True)
class Recorded:
    """A request as the server got it; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which would hold each body back for 40 ms
    script: ScriptedServer

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Recorded(self.command, self.path, headers, json.loads(raw) if raw else None)
        response = self.script.next_response(request)
        if callable(response):
            made = response(self, request)
            if made is None:
                self.close_connection = True
                return
            response = made
        self.reply(*response)

    do_GET = do_POST = _serve

    def reply(self, status: int, headers: Mapping[str, str], body: Body) -> None:
        raw = body.encode() if isinstance(body, str) else body
        raw = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


Scripted = Response | Callable[[Handler, Recorded], Response | None]
"""A response, or a function that makes one or, by returning None, has dealt with the connection itself."""


class HTTPServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class ScriptedServer:
    """Answers with what it was told, in that order."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.released = threading.Event()
        """Set when the test is over; a response that hangs waits for it."""
        self._script: list[Scripted] = []
        self._lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"script": self})
        self._http = HTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.requests]

    def answers(self, *responses: Scripted) -> None:
        """Add to what will be answered."""
        with self._lock:
            self._script.extend(responses)

    def next_response(self, request: Recorded) -> Scripted:
        with self._lock:
            self.requests.append(request)
            return self._script.pop(0) if self._script else self.error(418, "the test scripted no answer for this")

    def forget(self) -> None:
        """Let go of the last test, its hanging responses included."""
        self.released.set()
        with self._lock:
            self.requests, self._script, self.released = [], [], threading.Event()

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @staticmethod
    def message(usage: Any = USAGE, **message: Any) -> Response:
        """A chat completion with this message."""
        body: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}],
        }
        return 200, {}, body if usage is None else {**body, "usage": usage}

    @staticmethod
    def stream(*writes: bytes, whole: bool = True) -> Scripted:
        """A body of server-sent events, written in these pieces; broken off at its end unless it is whole."""

        def write(handler: Handler, _: Recorded) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Transfer-Encoding", "chunked")
            handler.send_header("Connection", "close")
            handler.end_headers()
            for piece in writes:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if whole:
                handler.wfile.write(b"0\r\n\r\n")

        return write

    @classmethod
    def text(cls, content: str | None = "Hello", usage: Any = USAGE) -> Response:
        return cls.message(usage, content=content)

    @classmethod
    def calls(cls, *calls: tuple[str, Any]) -> Response:
        """A completion with tool calls, each a name and the text of its arguments."""
        made = [
            {"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(calls)
        ]
        return cls.message(content=None, tool_calls=made)

    @staticmethod
    def error(status: int, message: str, headers: Mapping[str, str] | None = None, **fields: Any) -> Response:
        """An error as OpenAI words it."""
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}
        return status, headers or {}, {"error": error}

    @classmethod
    def refusal(cls, parameter: str) -> Response:
        return cls.error(
            400,
            f"Unsupported parameter: '{parameter}' is not supported with this model.",
            param=parameter,
            code="unsupported_parameter",
        )


class StillClock(Clock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0.0

    def ms(self) -> float:
        return self.now_ms


@pytest.fixture(scope="session")
def running_server() -> Iterator[ScriptedServer]:
    made = ScriptedServer()
    yield made
    made.close()


@pytest.fixture
def server(running_server: ScriptedServer) -> Iterator[ScriptedServer]:
    running_server.forget()
    yield running_server
    running_server.forget()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(scope="session")
def connect() -> Iterator[Callable[..., OpenAIClient]]:
    """Gives clients; equal ones are the same, because one takes long to make."""
    made: dict[tuple[str, str, str], OpenAIClient] = {}

    def connect(url: str, *, call_type: str = "vllm", key: str = "EMPTY") -> OpenAIClient:
        wanted = (url, call_type, key)
        if wanted not in made:
            made[wanted] = OpenAIClient(call_type, url, key)
        return made[wanted]

    yield connect
    for client in made.values():
        client.close()


@pytest.fixture
def start() -> Iterator[Callable[..., RawServer]]:
    """Starts servers of the given functions, which get the server and a connection; they end with the test."""
    servers: list[RawServer] = []

    def start(*serve: Serve) -> RawServer:
        servers.append(RawServer(*serve))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
