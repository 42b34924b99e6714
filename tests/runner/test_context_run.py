"""Runs whose agent's conversation is cut to fit, on real tasks."""

from __future__ import annotations

import pytest
from support import RunLocal

from tau2_enhanced.logging.events import ContextReductionEvent, LLMCallEvent


@pytest.mark.parametrize("strategy", ["middle", "window"])
def test_prompts_stay_within_the_limit_by_the_servers_own_count(run_local: RunLocal, strategy: str) -> None:
    # the policy and the tools alone are 4,500 tokens of the stand-in's, which loses count where messages are missing
    flags = ("--domains", "retail", "--num-tasks", "2", "--max-steps", "40")
    run = run_local(*flags, "--context-limit", "6000", "--context-strategy", strategy)
    assert run.code == 0
    cuts = [event for event in run.events("retail", "context_reduction") if isinstance(event, ContextReductionEvent)]
    assert cuts
    for cut in cuts:
        assert cut.strategy == strategy
        assert (cut.tokens_before or 0) > 6000 >= (cut.tokens_after or 0)
        assert (cut.messages_before or 0) > (cut.messages_after or 0)
    prompts = {(e.sim, e.step): e.input_tokens for e in run.events("retail", "llm_call") if isinstance(e, LLMCallEvent)}
    assert all((prompts[cut.sim, cut.step] or 0) <= 6000 * 1.02 for cut in cuts)
    assert run.summary["custom_scaffold"] == ["context"]
    assert '"implementation": "llm_agent+context"' in run.results("retail").read_text()
    assert "cut to fit" in run.out


def test_what_fits_is_played_as_ever(run_local: RunLocal) -> None:
    run = run_local(
        "--domains", "retail", "--num-tasks", "2", "--context-limit", "100000", "--context-strategy", "middle"
    )
    assert run.summary["passed"] == 2
    assert run.events("retail", "context_reduction") == []


@pytest.mark.parametrize(
    "flags",
    [
        ("--context-limit", "6000"),
        ("--context-strategy", "window"),
        ("--context-limit", "0", "--context-strategy", "middle"),
    ],
)
def test_half_a_limit_is_the_users_mistake(run_local: RunLocal, flags: tuple[str, ...]) -> None:
    run = run_local("--domains", "mock", *flags)
    assert run.code == 2
    assert "--context-limit" in run.err
