"""The models of a run: which server answers each role, checked before the first task begins."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.client import Client, Usage
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import FREE, PriceBook, parse_price
from tau2_enhanced.models.replay import Recording, ReplayClient, read_recording
from tau2_enhanced.models.resolve import GOLD, REPLAY, ModelSpec, parse_model
from tau2_enhanced.runner.options import RunOptions


def resolve_models(options: RunOptions) -> dict[str, ModelSpec]:
    """The model of each role; the judge only where one is asked for. Raises UserMistake."""
    assert options.user_model is not None
    specs = {
        "agent": parse_model(
            options.agent_model, role="agent", base_url=options.agent_base_url, arguments=options.agent_args
        ),
        "user": parse_model(
            options.user_model, role="user", base_url=options.user_base_url, arguments=options.user_args
        ),
    }
    if options.judge_model is not None:
        specs["judge"] = parse_model(
            options.judge_model, role="judge", base_url=options.judge_base_url, arguments=options.judge_args
        )
    return specs


def read_recordings(specs: Mapping[str, ModelSpec]) -> dict[str, Recording]:
    """The recordings that are to be replayed, by their file's name. Raises UserMistake."""
    names = dict.fromkeys(spec.name for spec in specs.values() if spec.provider == REPLAY)
    return {name: read_recording(Path(name)) for name in names}


def with_needed_judge(specs: Mapping[str, ModelSpec], tasks: list[tuple[str, str]]) -> dict[str, ModelSpec]:
    """The models, with tau2's own judge where a task's reward rests on one. Raises UserMistake without a key."""
    if "judge" in specs or not tasks:
        return dict(specs)
    try:
        return {**specs, "judge": parse_model(tau2_versions.DEFAULT_JUDGE, role="judge")}
    except UserMistake:
        domain, task = tasks[0]
        raise UserMistake(
            f"the reward of {domain} {task} rests on natural-language assertions: name a judge with --judge-model"
        ) from None


def connect(
    specs: Mapping[str, ModelSpec],
    options: RunOptions,
    gold_url: str | None,
    recordings: Mapping[str, Recording],
    closing: ExitStack,
) -> dict[str, Participant]:
    """Participants for all roles, one connection pool for each server, each server and model checked.

    Raises UserMistake for a server that can't be reached, a key that is refused or a model that is not there.
    """
    free = {f"{spec.provider}/{spec.name}": FREE for spec in specs.values() if spec.provider in (GOLD, REPLAY)}
    prices = PriceBook({**free, **dict(parse_price(text) for text in options.prices)})
    clients: dict[tuple[str, str | None, str | None], Client] = {}
    participants = {}
    for role, spec in (_with_streams(specs) if options.stream else specs).items():
        url, key = (gold_url, "gold") if spec.provider == GOLD else (spec.base_url, spec.api_key)
        if options.max_cost is not None and prices.cost_usd(spec.provider, spec.name, Usage(1, 1)) is None:
            raise UserMistake(f"--max-cost needs the price of {spec.given}: give it with --price {spec.given}=IN/OUT")
        server = (spec.provider, url, key)
        if spec.provider == REPLAY:
            participants[role] = Participant(role, spec, ReplayClient(recordings[spec.name]), prices, retries=0)
            continue
        if server not in clients:
            clients[server] = _client(spec.provider, url, key, options.max_concurrency)
            closing.callback(clients[server].close)
        if spec.provider != GOLD:
            clients[server].check(spec.name)
        participants[role] = Participant(
            role, spec, clients[server], prices, retries=options.llm_retries, timeout_s=options.llm_timeout
        )
    return participants


def _with_streams(specs: Mapping[str, ModelSpec]) -> dict[str, ModelSpec]:
    """The models, asked for streams; those whose client knows none are left as they are, and named."""
    streams = {role for role, spec in specs.items() if spec.provider in (GOLD, "openai", "vllm", "anthropic")}
    others = sorted({spec.given for role, spec in specs.items() if role not in streams and spec.provider != REPLAY})
    if others:
        print(f"--stream: litellm's providers are not streamed ({', '.join(others)})", file=sys.stderr)
    return {
        role: replace(spec, arguments={"stream": True, **spec.arguments}) if role in streams else spec
        for role, spec in specs.items()
    }


def _client(provider: str, url: str | None, key: str | None, max_connections: int) -> Client:
    """The provider's client; what it is made with is imported only here. Raises UserMistake."""
    if provider in (GOLD, "openai", "vllm"):
        from tau2_enhanced.models.openai_client import OpenAIClient

        return OpenAIClient(provider, url, key or "", max_connections)
    if provider == "anthropic":
        from tau2_enhanced.models.anthropic_client import AnthropicClient

        return AnthropicClient(url, key or "", max_connections)
    from tau2_enhanced.models.litellm_client import LiteLLMClient

    return LiteLLMClient(provider, url, key, max_connections)
