"""A key is found in no file and on no line, wherever it stood."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support import MOCK_TASKS, Run, RunLocal, StandIn

ENVIRONMENT_KEY = "envkey-0123456789-never-seen"
URL_PASSWORD = "pass+word-0123456789"
ARGUMENT_KEY = "argkey-0123456789-never-seen"
HEADER_KEY = "header+key-0123456789-never-seen"
BODY_KEY = "bodykey-0123456789-never-seen"
CLOUD_KEY = "cloudkey/0123456789-never-seen"


class TalkativeHandler(BaseHTTPRequestHandler):
    """Refuses everything and repeats the caller's credentials."""

    received: ClassVar[list[tuple[Mapping[str, str], Any]]] = []

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((self.headers, body))
        keys = [self.headers.get(name) for name in ("Authorization", "x-api-key")]
        said = f"bad request with keys {keys}, {body.get('gateway_token')} of {ENVIRONMENT_KEY}"
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


@pytest.mark.parametrize("level", ["PROFILE", "DEBUG"])
def test_secrets_among_the_arguments_are_sent_and_nowhere_else(run_local: RunLocal, talkative: str, level: str) -> None:
    arguments = {
        "api_key": ARGUMENT_KEY,
        "aws_secret_access_key": CLOUD_KEY,
        "extra_body": {"gateway_token": BODY_KEY},
        "extra_headers": {"x-api-key": HEADER_KEY},
        "temperature": 0.5,
    }
    TalkativeHandler.received.clear()
    run = run_local(
        *("--domains", "mock", "--num-tasks", "1", "--log-level", level, "--user-model", "gold", "--enhanced"),
        *("--agent-model", "deepseek/m", "--agent-base-url", f"http://{talkative}"),
        *("--agent-args", json.dumps(arguments)),
    )
    assert run.code == 1, run.err
    headers, body = TalkativeHandler.received[0]
    assert (headers["x-api-key"], body["gateway_token"]) == (HEADER_KEY, BODY_KEY)
    said = everything_said(run)
    assert "keys ['Bearer [redacted]', '[redacted]'], [redacted] of" in said
    for secret in (ARGUMENT_KEY, CLOUD_KEY, HEADER_KEY, BODY_KEY):
        assert secret not in said
    config = json.loads((run.folder / "outputs/R/run/config.json").read_text())
    results = json.loads(run.results("mock").read_text())
    kept = {"extra_body": {}, "temperature": 0.5}
    assert config["options"]["agent_args"] == results["info"]["agent_info"]["llm_args"] == kept


def test_a_run_with_secrets_among_its_arguments_is_resumed_with_them_or_others(
    run_local: RunLocal, talkative: str
) -> None:
    def given(key: str) -> list[str]:
        return ["--agent-args", json.dumps({"extra_headers": {"x-api-key": key}, "temperature": 0.5})]

    flags = ["--agent-model", "vllm/m", "--agent-base-url", f"http://{talkative}", "--user-model", "gold"]
    run = run_local("--domains", "mock", "--num-tasks", "1", *flags, *given(HEADER_KEY))
    without = run_local("--resume", "R")
    assert without.code == 2
    assert "agent_args: {'extra_headers': '[not kept, give it again]', 'temperature': 0.5} then" in without.err
    assert len(run.record) == 1
    assert run_local("--resume", "R", *given(CLOUD_KEY)).code == 1
    assert len(run.record) == 2


def test_a_run_says_which_flags_with_secrets_it_needs_to_go_on(run_local: RunLocal, talkative: str) -> None:
    flags = ["--agent-model", "vllm/m", "--agent-base-url", f"http://me:{URL_PASSWORD}@{talkative}"]
    arguments = ["--agent-args", json.dumps({"api_key": ARGUMENT_KEY}), "--user-model", "gold"]
    run = run_local("--domains", "mock", "--num-tasks", "1", *flags, *arguments)
    assert "to go on, with --agent-base-url as before and --agent-args as before: " in run.out
    kept = run_local("--resume", "R", "--agent-base-url", f"http://{talkative}", "--agent-args", "{}")
    assert "to go on: " in kept.out


def test_secrets_that_a_configuration_holds_are_neither_compared_nor_shown_nor_kept(
    run_local: RunLocal, talkative: str
) -> None:
    flags = ["--agent-model", "vllm/m", "--agent-base-url", f"http://{talkative}", "--user-model", "gold"]
    run = run_local("--domains", "mock", "--num-tasks", "1", *flags, "--agent-args", '{"token": "another-one-0123"}')
    path = run.folder / "outputs/R/run/config.json"
    config = json.loads(path.read_text())
    for part in ("options", "deciding"):
        config[part]["agent_args"]["token"] = CLOUD_KEY
    path.write_text(json.dumps(config))
    other = run_local("--resume", "R", "--agent-args", "{}")
    assert other.code == 2
    assert CLOUD_KEY not in other.err
    assert run_local("--resume", "R").code == 1
    assert CLOUD_KEY not in path.read_text()


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
