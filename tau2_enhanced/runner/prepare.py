"""What a run is to be: found out and checked before anything of it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.experts import parse_expert
from tau2_enhanced.models.prices import parse_price, priced_as
from tau2_enhanced.models.replay import Recording, read_recording
from tau2_enhanced.models.resolve import GOLD, REPLAY, ModelSpec, parse_model
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.plan import Plan
from tau2_enhanced.runner.serving import Serving

if TYPE_CHECKING:
    from tau2.registry import Registry

    from tau2_enhanced.tau2_versions.prompts import DomainPrompts


@dataclass(frozen=True)
class RunModels:
    """Which models take part in a run."""

    specs: Mapping[str, ModelSpec]
    """By role: agent, user and, where one is wanted, judge."""
    experts: Mapping[str, ModelSpec]
    """By name: those that the agent is offered."""
    recordings: Mapping[str, Recording]
    """Those that are replayed, by their file's name."""

    @property
    def everyone(self) -> dict[str, ModelSpec]:
        """By role, the experts as `expert NAME`."""
        return {**self.specs, **{f"expert {name}": spec for name, spec in self.experts.items()}}

    @property
    def played_by_gold(self) -> list[str]:
        """Those of them whose part the stand-in plays."""
        return [name for name, spec in self.everyone.items() if spec.provider == GOLD]


@dataclass(frozen=True)
class PreparedRun:
    """A run of which all is known, and nothing is written."""

    options: RunOptions
    models: RunModels
    registry: Registry
    plan: Plan
    prompts: Mapping[str, DomainPrompts]
    """By domain."""
    agent: str
    user: str
    """As tau2's registry names them."""

    @property
    def at_once(self) -> int:
        """How many simulations may be running at the same time."""
        return min(self.options.max_concurrency, len(self.plan.jobs))


def prepare(
    options: RunOptions,
    models: RunModels,
    registry: Registry,
    plan: Plan,
    *,
    prices: Sequence[str],
    agent: str = tau2_versions.AGENT,
    user: str = tau2_versions.USER,
) -> PreparedRun:
    """The run of this plan, its judge and its prompts found.

    `prices` are those that must be of its models. Raises UserMistake for one that is not, and for a judge without key.
    """
    models = replace(models, specs=_with_needed_judge(models.specs, plan.judged_by_reward))
    _check_prices(prices, options, models.specs)
    prompts = {domain: tau2_versions.domain_prompts(registry, domain) for domain in plan.domains}
    return PreparedRun(options, models, registry, plan, prompts, agent, user)


def resolve_models(options: RunOptions, serving: Serving | None = None) -> RunModels:
    """The models that the options name, what is to be replayed read. Raises UserMistake."""
    assert options.user_model is not None
    named = {"agent": options.agent_model, "user": options.user_model, "judge": options.judge_model}
    specs = {role: _model_of(role, model, options, serving) for role, model in named.items() if model is not None}
    experts = _all_experts(options)
    replayed = dict.fromkeys(spec.name for spec in specs.values() if spec.provider == REPLAY)
    recordings = {name: read_recording(Path(name)) for name in replayed}
    return RunModels(specs, experts if options.use_model_tool else {}, recordings)


def _model_of(role: str, model: str, options: RunOptions, serving: Serving | None) -> ModelSpec:
    urls: Sequence[str] = getattr(options, f"{role}_base_url") or ()
    arguments = getattr(options, f"{role}_args")
    if not urls and serving is not None and model == serving.given:
        spec = parse_model(
            f"vllm/{serving.model}",
            role=role,
            base_url=serving.urls[0],
            other_urls=serving.urls[1:],
            arguments=arguments,
        )
        return replace(spec, given=model)
    if not urls and options.skip_server_start and model == options.agent_model:
        urls = options.agent_base_url or ()
    urls = list(dict.fromkeys(urls))
    return parse_model(model, role=role, base_url=urls[0] if urls else None, other_urls=urls[1:], arguments=arguments)


def _all_experts(options: RunOptions) -> dict[str, ModelSpec]:
    specs: dict[str, ModelSpec] = {}
    for name, model, base_url in map(parse_expert, options.experts):
        if name in specs:
            raise UserMistake(f"--experts: there are two of the name {name}")
        specs[name] = parse_model(model, role="expert", base_url=base_url)
        if specs[name].provider == REPLAY:
            raise UserMistake("--experts: a recording can't be an expert")
    return specs


def _check_prices(prices: Sequence[str], options: RunOptions, specs: Mapping[str, ModelSpec]) -> None:
    """Raise UserMistake for a price that is of none of the run's models, experts that are not offered included."""
    everyone = (*specs.values(), *_all_experts(options).values())
    models = list(dict.fromkeys((spec.provider, spec.name) for spec in everyone))
    names = {name for model in models for name in priced_as(*model)}
    for unused in (name for name, _ in map(parse_price, prices) if name not in names):
        raise UserMistake(f"--price {unused}: the run has no such model, but {', '.join(name for _, name in models)}")


def _with_needed_judge(specs: Mapping[str, ModelSpec], tasks: list[tuple[str, str]]) -> dict[str, ModelSpec]:
    """The models, with a judge where a task's reward rests on one. Raises UserMistake without a key.

    It is tau2's own, or gold where gold plays agent and user.
    """
    if "judge" in specs or not tasks:
        return dict(specs)
    played = all(spec.provider == GOLD for spec in specs.values())
    try:
        return {**specs, "judge": parse_model(GOLD if played else tau2_versions.default_judge(), role="judge")}
    except UserMistake:
        domain, task = tasks[0]
        raise UserMistake(
            f"the reward of {domain} {task} rests on natural-language assertions: name a judge with --judge-model"
        ) from None
