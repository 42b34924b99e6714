"""`--stream`: the same run, with the time of each first token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from support import RunLocal, StandIn

from tau2_enhanced.logging.events import LLMCallEvent, UserSimEvent

MODELS = {"openai": "vllm/gold", "anthropic": "anthropic/gold"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "claude-key-0123456789")


def gold_as(model: str, url: str) -> list[str]:
    return [f"--{role}-{flag}" for role in ("agent", "user") for flag in (f"model={model}", f"base-url={url}")]


def outcome(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """The reward, what was said and done, and the tokens of the answers; ids of tool calls apart."""
    messages = [
        (m["role"], m["content"], [(c["name"], c["arguments"], c["requestor"]) for c in m.get("tool_calls") or ()])
        for m in line["simulation"]["messages"]
    ]
    return line["reward"], messages, {role: used["output_tokens"] for role, used in line["used"].items()}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_streamed_run_says_and_does_the_same(run_local: RunLocal, stand_in: StandIn, model: str) -> None:
    url = stand_in("--latency", "0.02", "--tokens-per-second", "1000")
    flags = ["--domains", "mock", "retail", "--num-tasks", "5", *gold_as(model, url)]
    plain = run_local(*flags, "--output-dir", "unstreamed", "--log-dir", "unstreamed/logs")
    streamed = run_local(*flags, "--stream")
    assert (plain.code, streamed.code) == (0, 0)
    records = [
        [json.loads(line) for line in (streamed.folder / name / "R" / "run" / "record.jsonl").read_text().splitlines()]
        for name in ("unstreamed", "outputs")
    ]
    one, other = ({(line["domain"], line["task"]): outcome(line) for line in record} for record in records)
    assert len(one) == 10
    assert one == other
    calls = [event for domain in ("mock", "retail") for event in streamed.events(domain)]
    calls = [event for event in calls if isinstance(event, LLMCallEvent | UserSimEvent)]
    assert calls
    for call in calls:
        assert call.ttft_ms is not None
        assert call.decode_ms is not None
        assert call.duration_ms is not None
        assert call.ttft_ms >= 20
        assert call.ttft_ms + call.decode_ms <= call.duration_ms + 0.002  # each is rounded


def test_streaming_decides_what_a_run_is(run_local: RunLocal) -> None:
    run_local("--domains", "mock", "--num-tasks", "1")
    resumed = run_local("--resume", "R", "--stream")
    assert resumed.code == 2
    assert "stream: False then, True now" in resumed.err


def test_a_provider_of_litellms_is_not_streamed_and_said_once(
    run_local: RunLocal, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "key-of-deepseek-1234")
    flags = ["--domains", "mock", "--num-tasks", "1", *gold_as("deepseek/gold", stand_in()), "--stream"]
    run = run_local(*flags)
    assert run.code == 0
    assert run.err.count("litellm's providers are not streamed (deepseek/gold)") == 1
