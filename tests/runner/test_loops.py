"""A model that makes one call again and again is seen, and stopped where that is wanted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import RunLocal

from tau2_enhanced.logging.events import LoopEvent

Say = Callable[[int], dict[str, object]]


def call(name: str, **arguments: object) -> dict[str, object]:
    made = {"id": "c", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return {"role": "assistant", "tool_calls": [made]}


@pytest.fixture
def agent() -> Iterator[Callable[[Say], list[str]]]:
    """Starts an agent that says what a function of the answer's number says; the flags for it."""
    servers = []

    def start(say: Say) -> list[str]:
        answers = iter(range(10_000))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send({"data": [{"id": "m"}]})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._send({"choices": [{"message": say(next(answers))}]})

            def _send(self, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        url = f"http://127.0.0.1:{server.server_port}/v1"
        return ["--agent-model", "vllm/m", "--agent-base-url", url, "--user-model", "gold"]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


ONE_TASK = ("--domains", "mock", "--task-ids", "create_task_1", "--max-steps", "20")


def repeats(run_events: list[object]) -> list[int | None]:
    return [event.repeats for event in run_events if isinstance(event, LoopEvent)]


def test_the_same_call_three_times_in_a_row_is_a_loop(run_local: RunLocal, agent: Callable[[Say], list[str]]) -> None:
    run = run_local(*ONE_TASK, *agent(lambda _: call("get_users")))
    assert repeats([*run.events("mock")])[:3] == [3, 4, 5]
    assert run.err.count("in a loop: get_users was called 3 times in a row") == 1
    (found,) = run.summary["looped"]
    assert (found["task"], found["function"], found["repeats"]) == ("create_task_1", "get_users", 10)
    assert "mock create_task_1 #0  get_users 10 times in a row with the same answer" in run.out
    assert run.record[0]["termination_reason"] == "max_steps"


def test_a_loop_ends_the_task_where_that_is_asked_for(run_local: RunLocal, agent: Callable[[Say], list[str]]) -> None:
    run = run_local(*ONE_TASK, "--stop-loops", "4", *agent(lambda _: call("get_users")))
    (line,) = run.record
    assert (line["status"], line["reward"], line["termination_reason"]) == ("verdict", 0.0, "agent_error")
    assert line["error_type"] == "loop"
    assert repeats([*run.events("mock")]) == [3, 4]
    assert run.code == 0


def test_other_arguments_or_another_answer_are_no_loop(run_local: RunLocal, agent: Callable[[Say], list[str]]) -> None:
    def say(number: int) -> dict[str, object]:
        # the new task's id, and so the answer, is another each time
        if number < 4:
            return call("create_task", user_id="user_1", title="the same")
        return call("update_task_status", task_id="task_1", status=("pending", "completed")[number % 2])

    run = run_local(*ONE_TASK, "--stop-loops", "3", *agent(say))
    assert repeats([*run.events("mock")]) == []
    assert run.summary["looped"] == []
    assert run.record[0]["termination_reason"] == "max_steps"


def test_fewer_than_three_are_no_loop(run_local: RunLocal) -> None:
    run = run_local("--stop-loops", "2")
    assert run.code == 2
    assert "--stop-loops must be at least 3, not 2" in run.err
