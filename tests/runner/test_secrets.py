"""A key is found in no file and on no line, wherever it stood."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import MOCK_TASKS, Run, RunLocal, StandIn

ENVIRONMENT_KEY = "envkey-0123456789-never-seen"
URL_PASSWORD = "pass+word-0123456789"
ARGUMENT_KEY = "argkey-0123456789-never-seen"


class TalkativeHandler(BaseHTTPRequestHandler):
    """Refuses everything and repeats the caller's credentials."""

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = f"bad request with key {self.headers.get('Authorization')} of {ENVIRONMENT_KEY}"
        self._send(400, {"error": {"message": said, "param": None, "code": None}})

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def talkative() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), TalkativeHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def everything_said(run: Run) -> str:
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert len(files) >= 6
    return run.out + run.err + "".join(path.read_text() for path in files)


@pytest.mark.parametrize("level", ["PROFILE", "DEBUG"])
def test_keys_are_nowhere(run_local: RunLocal, talkative: str, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", ENVIRONMENT_KEY)
    run = run_local(
        *("--domains", "mock", "--num-tasks", "2", "--log-level", level, "--user-model", "vllm/m"),
        *("--agent-model", "openai/m", "--agent-base-url", f"http://{talkative}"),
        *("--user-base-url", f"http://me:{URL_PASSWORD}@{talkative}?api_key={ARGUMENT_KEY}x"),
        *("--user-args", json.dumps({"api_key": ARGUMENT_KEY})),
    )
    assert run.code == 1
    said = everything_said(run)
    assert "[redacted]" in said
    for secret in (ENVIRONMENT_KEY, URL_PASSWORD, ARGUMENT_KEY):
        assert secret not in said
    assert run.record[0]["error_type"] == "bad_request"


def test_a_run_with_a_key_can_be_resumed_with_another(
    run_local: RunLocal, talkative: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", ENVIRONMENT_KEY)
    url = ["--agent-base-url", f"http://{talkative}", "--user-base-url", f"http://{talkative}"]
    run_local("--domains", "mock", "--num-tasks", "1", "--agent-model", "openai/m", "--user-model", "openai/m", *url)
    monkeypatch.setenv("OPENAI_API_KEY", ENVIRONMENT_KEY + "2")
    again = run_local("--resume", "R")
    assert again.code == 1
    assert len(again.record) == 2


def test_config_holds_no_credentials_of_an_address(run_local: RunLocal, talkative: str) -> None:
    run = run_local(
        *("--domains", "mock", "--num-tasks", "1", "--agent-model", "gold", "--user-model", "vllm/m"),
        *("--user-base-url", f"http://me:{URL_PASSWORD}@{talkative}"),
    )
    config = json.loads(Path(run.folder / "outputs/R/run/config.json").read_text())
    assert config["options"]["user_base_url"] == [f"http://{talkative}"]


@pytest.mark.parametrize("key", ["0000", "user", "message", "assistant", "12345678"])
def test_a_key_that_is_a_common_word_destroys_no_record(
    run_local: RunLocal, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    from tau2.data_model.simulation import Results

    monkeypatch.setenv("VLLM_API_KEY", key)
    agent = ["--agent-model", "vllm/gold", "--agent-base-url", stand_in()]
    run = run_local("--domains", "mock", "--user-model", "gold", *agent)
    assert run.summary["finished"] == MOCK_TASKS
    assert len(Results.load(run.results("mock")).simulations) == MOCK_TASKS
    assert run_local("--resume", "R").code == run.code


def test_a_key_on_the_command_line_is_not_repeated(run_local: RunLocal) -> None:
    run = run_local("--agent-api-key", "abcdefghijk123", "--agent-key=abcdefghijk123")
    assert run.code == 2
    assert "--agent-api-key --agent-key (see" in run.err
    assert "abcdefghijk123" not in run.err
