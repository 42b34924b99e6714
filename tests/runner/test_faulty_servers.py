"""Servers that fail: rewards as without, time accounted for, a verdict wherever one can be had."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest
from support import MOCK_TASKS, TAU2_1, RunLocal, StandIn

from tau2_enhanced import cli
from tau2_enhanced.analysis import LogAnalyzer
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.logging.events import LLMCallEvent, UserSimEvent


def gold_at(url: str) -> list[str]:
    flags = []
    for role in ("agent", "user"):
        flags += [f"--{role}-model", "vllm/gold", f"--{role}-base-url", url]
    return flags


def test_every_seventh_call_failing_changes_no_reward(run_local: RunLocal, stand_in: StandIn) -> None:
    run = run_local("--domains", "mock", *gold_at(stand_in("--fail-every", "7")))
    assert run.code == 0
    assert run.summary["passed"] == 8
    calls = [e for e in run.events("mock") if isinstance(e, LLMCallEvent | UserSimEvent)]
    retried = [call for call in calls if call.attempts == 2]
    assert retried
    for call in retried:
        assert call.retry_wait_ms is not None
        assert call.duration_ms is not None
        assert call.retry_wait_ms >= 250
        assert call.duration_ms < call.retry_wait_ms
    assert all(call.retry_wait_ms == 0 for call in calls if call.attempts == 1)


def test_every_eleventh_calls_broken_arguments_leave_no_task_without_verdict(
    run_local: RunLocal, stand_in: StandIn
) -> None:
    run = run_local("--domains", "mock", "retail", "--num-tasks", "9", *gold_at(stand_in("--break-every", "11")))
    assert run.code == 0
    assert run.summary["finished"] == 2 * MOCK_TASKS
    assert "asking again" in (run.folder / "logs" / "tau2_retail.log").read_text()


def test_arguments_always_broken_are_the_models_failure(run_local: RunLocal, stand_in: StandIn) -> None:
    run = run_local("--domains", "mock", "--task-ids", "create_task_1", *gold_at(stand_in("--break-every", "1")))
    assert run.code == 0
    (line,) = run.record
    assert (line["status"], line["reward"], line["termination_reason"]) == ("verdict", 0.0, "agent_error")
    assert line["error_type"] == "broken_arguments"
    assert len(run.events("mock", "llm_call")) == 3
    assert [message["role"] for message in line["simulation"]["messages"]] == ["assistant", "user"]


def test_a_server_that_always_fails_gives_no_verdict_and_a_resumable_run(
    run_local: RunLocal, stand_in: StandIn
) -> None:
    from tau2.data_model.simulation import Results
    from tau2.metrics.agent_metrics import compute_metrics

    flags = ("--domains", "mock", "--num-tasks", "2", "--llm-retries", "0")
    broken = run_local(*flags, *gold_at(stand_in("--fail-every", "1")))
    assert broken.code == 1
    assert "without verdict" in broken.out
    assert broken.summary["pass_hat_k"] == {}
    assert broken.summary["pass_hat_k_lower_bound"] == {"1": 0.0}
    results = Results.load(broken.results("mock"))
    marks = [(getattr(s, "skipped", None), s.termination_reason.value) for s in results.simulations]
    assert marks == [(None, "infrastructure_error") if TAU2_1 else (True, "agent_error")] * 2
    assert results.simulations[0].reward_info.info["no_verdict"] == "http_500"
    assert compute_metrics(results).pass_hat_ks == {1: 0.0}

    mended = run_local("--resume", "R", *gold_at(stand_in()))
    assert mended.code == 0
    assert mended.summary["passed"] == 2
    assert len(Results.load(mended.results("mock")).simulations) == 2


def test_so_many_running_tasks_can_mean_so_many_calls_in_flight(run_local: RunLocal, stand_in: StandIn) -> None:
    url = stand_in("--latency", "1")
    run = run_local("--domains", "mock", "--num-trials", "7", "--max-concurrency", "60", *gold_at(url))
    assert run.code == 0
    stats = json.load(urllib.request.urlopen(url.removesuffix("/v1") + "/stats"))
    assert stats["most_in_flight"] == 60


def test_a_judges_failure_repeats_the_judge_and_never_the_conversation(run_local: RunLocal, stand_in: StandIn) -> None:
    flags = ["--domains", "airline", "--task-ids", "1", "--judge-model", "vllm/gold", "--llm-retries", "0"]
    failed = run_local(*flags, "--judge-base-url", stand_in("--fail-every", "1"))
    assert failed.code == 1
    (unjudged,) = failed.record
    assert (unjudged["status"], unjudged["error_type"]) == ("unjudged", "http_500")
    talk = len(failed.events("airline", "llm_call"))

    judged = run_local("--resume", "R", "--judge-base-url", stand_in())
    assert judged.code == 0
    verdict = judged.record[1]
    assert (verdict["status"], verdict["reward"]) == ("verdict", 1.0)
    assert verdict["simulation"]["messages"] == unjudged["simulation"]["messages"]
    assert verdict["used"]["agent"] == unjudged["used"]["agent"]
    assert len(judged.events("airline", "llm_call")) == talk
    assert [event.error_type for event in judged.events("airline", "evaluator")] == ["http_500", None]


def test_a_conversation_whose_judge_failed_is_one_simulation_with_its_later_verdict(
    run_local: RunLocal, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--domains", "mock", "--task-ids", "create_task_1", "--enhanced", "--llm-retries", "0"]
    judge = ["--judge-model", "vllm/gold", "--price", "vllm/gold=1/1", "--judge-base-url"]
    assert run_local(*flags, *judge, stand_in("--fail-every", "1")).code == 1
    judged = run_local("--resume", "R", "--judge-base-url", stand_in())
    assert judged.code == 0

    recorded = judged.folder / "outputs" / "R" / "run" / "events" / "mock.jsonl"
    for path in (judged.folder / "outputs" / "R", recorded, judged.folder / "logs" / "eval_mock.log"):
        (simulation,) = LogAnalyzer(path).get_simulation_analysis()["simulations"]
        assert (simulation["calls"], simulation["reward"]) == (1, 1.0)
    attempts = simulations(read_table([judged.folder / "logs" / "eval_mock.log"]))
    (conversation,), (evaluation,) = (
        attempts.filter(pl.col("counts") == wanted).to_dicts() for wanted in (True, False)
    )
    assert (conversation["verdict"], conversation["error_type"], conversation["llm_calls"]) == ("passed", None, 2)
    assert evaluation["continues"] == conversation["simulation"]
    assert conversation["judge_cost_usd"] == evaluation["judge_cost_usd"] > 0
    assert conversation["cost_usd"] == evaluation["cost_usd"]  # gold costs nothing

    assert cli.main(["show", "create_task_1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["agent_model"], shown["user_model"]) == ("gold", "gold")
    assert [tool["duration_ms"] is not None for turn in shown["turns"] for tool in turn["tools"]] == [True]
    assert len(shown["judge_calls"]) == 2
    assert shown["cost_by_role_usd"]["judge"] > 0


def test_a_server_that_is_not_there_is_found_before_the_first_task(run_local: RunLocal) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        run = run_local("--domains", "mock", "--agent-model", "vllm/m", "--agent-base-url", url, "--user-model", "gold")
    assert run.code == 2
    assert "can't be reached" in run.err
    assert run.err.count("\n") == 1
    assert list(run.folder.iterdir()) == []


def test_a_model_that_the_server_does_not_have_is_found_before_the_first_task(
    run_local: RunLocal, stand_in: StandIn
) -> None:
    flags = ["--agent-model", "vllm/other", "--agent-base-url", stand_in(), "--user-model", "gold"]
    run = run_local("--domains", "mock", *flags)
    assert run.code == 2
    assert "has no model 'other'; it has gold" in run.err


def test_an_address_that_the_server_does_not_know_ends_the_run_soon(run_local: RunLocal, stand_in: StandIn) -> None:
    flags = ("--domains", "retail", "--num-tasks", "60", "--max-concurrency", "2")
    run = run_local(*flags, *gold_at(stand_in().removesuffix("/v1")))
    assert run.code == 1
    assert "a server does not know the model or the address asked for: HTTP 404" in " ".join(run.out.split())
    assert "should the server's address end in /v1?" in " ".join(run.out.split())
    assert len(run.record) < 10


def test_max_cost_counts_what_was_spent_before(run_local: RunLocal, stand_in: StandIn) -> None:
    flags = [*gold_at(stand_in()), "--price", "vllm/gold=100/100", "--max-cost", "0.2"]
    first = run_local("--domains", "mock", "--max-concurrency", "1", *flags)
    assert first.code == 1
    assert "--max-cost 0.2 USD is reached" in first.out
    assert "to go on, with a higher --max-cost: " in first.out
    done = first.summary["finished"]
    assert 0 < done < 9
    again = run_local("--resume", "R")
    assert (again.code, again.summary["finished"]) == (1, done)
    assert again.summary["spent_usd"] == pytest.approx(first.summary["cost_usd"])
    assert again.summary["spent_usd"] >= 0.2


def test_max_cost_needs_a_price(run_local: RunLocal, stand_in: StandIn) -> None:
    run = run_local("--domains", "mock", *gold_at(stand_in()), "--max-cost", "1")
    assert run.code == 2
    assert "--price vllm/gold=IN/OUT" in run.err


def test_a_task_that_takes_too_many_tokens_is_the_models_failure(run_local: RunLocal) -> None:
    run = run_local("--domains", "mock", "--task-ids", "create_task_1", "--task-token-limit", "500")
    (line,) = run.record
    assert (line["status"], line["reward"], line["error_type"]) == ("verdict", 0.0, "limit_reached")


def test_an_end_state_that_cannot_be_evaluated_is_a_verdict(run_local: RunLocal, stand_in: StandIn) -> None:
    # with every call broken nothing is created; the agent gives up in words, and the assertion looks for a task
    url = stand_in("--no-calls")
    run = run_local("--domains", "mock", "--task-ids", "create_task_1_with_env_assertions", *gold_at(url))
    (line,) = run.record
    assert (line["status"], line["reward"], line["error_type"]) == ("verdict", 0.0, "evaluation_error")
    assert run.code == 0


def test_half_characters_in_an_error_text_break_nothing(run_local: RunLocal) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, b'{"data": [{"id": "m"}]}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(400, b'{"error": {"message": "bad \\ud800 half"}}')

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    flags = ("--agent-model", "vllm/m", "--agent-base-url", url, "--user-model", "gold")
    run = run_local("--domains", "mock", "--num-tasks", "2", *flags)
    assert run.code == 1
    assert run.summary["finished"] == 0
    assert run_local("--resume", "R").code == 1
    server.shutdown()
    server.server_close()
