"""Who answers in a run: its models connected, each server and model checked before the first task begins."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.adaptive import AdaptiveLimit, Limit
from tau2_enhanced.models.client import Client
from tau2_enhanced.models.experts import Experts
from tau2_enhanced.models.participant import Participant
from tau2_enhanced.models.prices import FREE, PriceBook, parse_price
from tau2_enhanced.models.replay import ReplayClient
from tau2_enhanced.models.resolve import GOLD, REPLAY, ModelSpec
from tau2_enhanced.models.spread import Server, Spread
from tau2_enhanced.models.vllm.probe import Probe
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.prepare import PreparedRun


@dataclass(frozen=True)
class Backends:
    """Who answers in a run."""

    participants: Mapping[str, Participant]
    """By role."""
    experts: Experts | None
    """Where the agent is offered any."""
    unpriced: Sequence[ModelSpec]
    """The models whose price is not known."""
    prices: PriceBook
    limits: Sequence[AdaptiveLimit]
    """Of each server."""
    spreads: Sequence[Spread]
    """Of each model on servers that the user runs."""


def connect(prepared: PreparedRun, gold_url: str | None, closing: ExitStack) -> Backends:
    """Participants for all roles and experts, one connection pool for each server, each server and model checked.

    Raises UserMistake for a server that can't be reached, a key that is refused or a model that is not there.
    """
    options, specs, experts = prepared.options, prepared.models.specs, prepared.models.experts
    everyone = prepared.models.everyone.values()
    own = dict(map(parse_price, options.prices))
    unpaid = [spec for spec in everyone if spec.provider in (GOLD, REPLAY) and spec.name not in own]
    prices = PriceBook({**{f"{spec.provider}/{spec.name}": FREE for spec in unpaid}, **own})
    unpriced = [spec for spec in everyone if prices.price(spec.provider, spec.name) is None]
    if options.max_cost is not None and unpriced:
        given = unpriced[0].given
        raise UserMistake(f"--max-cost needs the price of {given}: give it with --price {given}=IN/OUT")
    if options.stream:
        specs, experts = _with_streams(specs), _with_streams(experts)
    servers = _Servers(options, gold_url, closing)

    def join(role: str, spec: ModelSpec, expert: str | None = None) -> Participant:
        if spec.provider == REPLAY:
            return Participant(role, spec, ReplayClient(prepared.models.recordings[spec.name]), prices, retries=0)
        client, limit = servers.reach(spec)
        if spec.provider != GOLD:
            client.check(spec.name)
        return Participant(
            role,
            spec,
            client,
            prices,
            retries=options.llm_retries,
            timeout_s=options.llm_timeout,
            limit=limit,
            expert=expert,
        )

    participants = {role: join(role, spec) for role, spec in specs.items()}
    asked = [join("expert", spec, name) for name, spec in experts.items()]
    known = {name: prices.price(spec.provider, spec.name) for name, spec in experts.items()}
    return Backends(
        participants, Experts(asked, known) if asked else None, unpriced, prices, servers.limits, servers.spreads
    )


class _Servers:
    """The clients of a run, and how much each server takes: models on one server share both."""

    def __init__(self, options: RunOptions, gold_url: str | None, closing: ExitStack) -> None:
        self._most = options.max_concurrency
        self._gold_url = gold_url
        self._closing = closing
        self._reached: dict[tuple[object, ...], tuple[Client, Limit]] = {}
        self.limits: list[AdaptiveLimit] = []
        self.spreads: list[Spread] = []

    def reach(self, spec: ModelSpec) -> tuple[Client, Limit]:
        url, key = (self._gold_url, "gold") if spec.provider == GOLD else (spec.base_url, spec.api_key)
        asked = (spec.provider, url, *spec.other_urls, key)
        if asked not in self._reached:
            if spec.provider == "vllm" or spec.other_urls:
                spread = self._spread(spec)
                self._reached[asked] = spread, spread
            else:
                client = _client(spec.provider, url, key, self._most)
                self._closing.callback(client.close)
                self._reached[asked] = client, self._limit(spec.base_url, spec.provider)
        return self._reached[asked]

    def _spread(self, spec: ModelSpec) -> Spread:
        from tau2_enhanced.models.openai_client import OpenAIClient

        servers = []
        for url in filter(None, (spec.base_url, *spec.other_urls)):
            client = OpenAIClient(spec.provider, url, spec.api_key or "")
            probe = Probe(url)
            self._closing.callback(client.close)
            self._closing.callback(probe.close)
            limit = self._limit(url, spec.provider)
            servers.append(Server(limit.name, url, client, limit, probe.is_well))
        self.spreads.append(Spread(servers))
        return self.spreads[-1]

    def _limit(self, url: str | None, provider: str) -> AdaptiveLimit:
        self.limits.append(AdaptiveLimit(urlsplit(url or "").netloc.rpartition("@")[2] or provider, self._most))
        return self.limits[-1]


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
    if provider in (GOLD, "openai"):
        from tau2_enhanced.models.openai_client import OpenAIClient

        return OpenAIClient(provider, url, key or "")
    if provider == "anthropic":
        from tau2_enhanced.models.anthropic_client import AnthropicClient

        return AnthropicClient(url, key or "")
    from tau2_enhanced.models.litellm_client import LiteLLMClient

    return LiteLLMClient(provider, url, key, max_connections)
