"""The stand-in spoken to in Anthropic's wire format: the same runs as in OpenAI's."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import Run, RunLocal, StandIn

from tau2_enhanced.logging.events import LLMCallEvent, UserSimEvent

KEY = "claude-key-0123456789"
FORMATS = {"openai": "vllm/gold", "anthropic": "anthropic/gold"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def gold_as(model: str, url: str) -> list[str]:
    return [f"--{role}-{flag}" for role in ("agent", "user") for flag in (f"model={model}", f"base-url={url}")]


def said(line: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What was said and done in a simulation, ids of tool calls apart."""
    return [
        (m["role"], m["content"], [(c["name"], c["arguments"], c["requestor"]) for c in m.get("tool_calls") or ()])
        for m in line["simulation"]["messages"]
    ]


def counted(run: Run) -> dict[str, int]:
    calls = [e for d in ("mock", "retail") for e in run.events(d) if isinstance(e, LLMCallEvent | UserSimEvent)]
    return {
        "prompt": sum(call.input_tokens or 0 for call in calls),
        "cached": sum(call.cached_tokens or 0 for call in calls),
        "completion": sum(call.output_tokens or 0 for call in calls),
    }


def test_both_wire_formats_come_to_the_same(run_local: RunLocal, stand_in: StandIn, registry: Any) -> None:
    tasks = [f"mock:{t.id}" for t in registry.get_tasks_loader("mock")()[:8]]
    tasks += [f"retail:{t.id}" for t in registry.get_tasks_loader("retail")()[:12]]
    records = {}
    for name, model in FORMATS.items():
        url = stand_in()
        run = run_local(
            *("--domains", "mock", "retail", "--task-ids", *tasks, "--run-id", "R", "--output-dir", f"{name}/outputs"),
            *("--log-dir", f"{name}/logs", "--price", f"{model}=1/1", *gold_as(model, url)),
        )
        assert run.code == 0
        at = Run(run.code, run.out, run.err, Path(run.folder / name))
        stats = json.load(urllib.request.urlopen(url.removesuffix("/v1") + "/stats"))
        assert counted(at) == stats["tokens"]
        assert 0 < stats["tokens"]["cached"] < stats["tokens"]["prompt"]
        records[name] = {(line["domain"], line["task"]): line for line in at.record}
        called = {e.call_type for e in at.events("retail") if isinstance(e, LLMCallEvent | UserSimEvent)}
        assert called == {"claude" if name == "anthropic" else "vllm"}
    assert len(records["openai"]) == 20
    assert records["anthropic"].keys() == records["openai"].keys()
    for key, line in records["openai"].items():
        other = records["anthropic"][key]
        assert (said(other), other["reward"]) == (said(line), line["reward"])


def test_calls_cut_off_by_the_limit_of_tokens_are_the_models_failure(run_local: RunLocal, stand_in: StandIn) -> None:
    flags = gold_as("anthropic/gold", stand_in("--break-every", "1"))
    run = run_local("--domains", "mock", "--task-ids", "create_task_1", *flags)
    (line,) = run.record
    assert (line["status"], line["reward"], line["error_type"]) == ("verdict", 0.0, "broken_arguments")


def test_a_judge_may_speak_anthropics_format(run_local: RunLocal, stand_in: StandIn) -> None:
    flags = ["--judge-model", "anthropic/gold", "--judge-base-url", stand_in()]
    run = run_local("--domains", "airline", "--task-ids", "1", *flags)
    assert (run.code, run.record[0]["reward"]) == (0, 1.0)


def test_what_is_wrong_is_found_before_the_first_task(
    run_local: RunLocal, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_local("--domains", "mock", *gold_as("anthropic/other", stand_in()))
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert "has no model 'other'" in run.err
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    run = run_local("--domains", "mock", *gold_as("anthropic/gold", stand_in()))
    assert run.code == 2
    assert "set ANTHROPIC_API_KEY" in run.err
    run = run_local("--domains", "mock", "--agent-model", "nonsense/m", "--user-model", "gold")
    assert run.code == 2
    assert "neither this runner nor litellm knows a provider 'nonsense'" in run.err
    assert list(run.folder.iterdir()) == []


def test_the_key_is_nowhere(run_local: RunLocal, stand_in: StandIn) -> None:
    run = run_local(
        *("--domains", "mock", "--num-tasks", "1", "--log-level", "DEBUG"), *gold_as("anthropic/gold", stand_in())
    )
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert KEY not in run.out + run.err + "".join(path.read_text() for path in files)


def test_a_provider_of_litellms_plays_too(run_local: RunLocal, stand_in: StandIn) -> None:
    """The header goes to a server on this machine, whoever speaks to it."""
    flags = gold_as("hosted_vllm/gold", stand_in())
    run = run_local("--domains", "mock", "--num-tasks", "4", *flags)
    assert (run.code, run.summary["passed"]) == (0, 4)
    assert {event.call_type for event in run.events("mock") if isinstance(event, LLMCallEvent)} == {"hosted_vllm"}
