"""tau2's own results files, made from the record: `OUTPUT_DIR/RUN_ID/DOMAIN.json`.

They are written whole and put in place at once, when a run ends or is resumed. Simulations are copied
one at a time, so that a large run needs no memory for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tau2_enhanced
from tau2_enhanced import tau2_versions
from tau2_enhanced.logging.redaction import scrub_values
from tau2_enhanced.runner.folder import write_atomically
from tau2_enhanced.runner.jobs import Outcome
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.record import Record
from tau2_enhanced.runner.verdicts import for_tau2

if TYPE_CHECKING:
    from tau2.data_model.simulation import Info
    from tau2.data_model.tasks import Task


def write_results(
    path: Path,
    record: Record,
    domain: str,
    tasks: Sequence[Task],
    policy: str,
    options: RunOptions,
    *,
    agent: str = tau2_versions.AGENT,
    user: str = tau2_versions.USER,
) -> None:
    """Write a domain's results: every simulation of the record that ended, in the order of `tasks` and trials.

    `agent` and `user` are tau2's names. Raises OSError where the file can't be written; an earlier one is then
    still there.
    """
    order = {task.id: place for place, task in enumerate(tasks)}
    ended = [outcome for outcome in record.outcomes() if not outcome.given_up]
    outcomes = [outcome for outcome in ended if outcome.domain == domain and outcome.task in order]
    outcomes.sort(key=lambda outcome: (outcome.trial, order[outcome.task]))
    trials = max([options.num_trials, *(outcome.trial + 1 for outcome in outcomes)])
    head = {
        "timestamp": tau2_versions.now(),
        "info": scrub_values(_info(domain, policy, options, trials, agent, user).model_dump(mode="json")),
        "tasks": [task.model_dump(mode="json") for task in tasks],
    }
    write_atomically(path, _parts(head, outcomes, record))


def _parts(head: Mapping[str, Any], outcomes: Sequence[Outcome], record: Record) -> Iterator[str]:
    yield json.dumps(head, indent=2)[:-2] + ',\n  "simulations": ['
    for number, outcome in enumerate(outcomes):
        simulation = for_tau2(outcome, record.load(outcome.key))
        yield (",\n" if number else "\n") + json.dumps(simulation)
    yield "\n  ]\n}\n"


def _info(domain: str, policy: str, options: RunOptions, num_trials: int, agent: str, user: str) -> Info:
    from tau2.data_model.simulation import AgentInfo, Info, UserInfo
    from tau2.environment.environment import EnvironmentInfo

    kept = options.to_json()
    experts = {"experts": kept["experts"]} if options.offered_experts else {}
    context = {name: kept[name] for name in ("context_strategy", "context_limit")} if options.context_limit else {}
    return Info(
        git_commit=f"tau2-enhanced {tau2_enhanced.__version__}, {tau2_versions.version()}",
        num_trials=num_trials,
        max_steps=options.max_steps,
        max_errors=options.max_errors,
        seed=options.seed,
        agent_info=AgentInfo(
            # a custom scaffold is another agent, which stands in no registry
            implementation="+".join([agent, *options.scaffold]),
            llm=options.agent_model,
            llm_args={
                **tau2_versions.DEFAULT_ARGUMENTS,
                **kept["agent_args"],
                **experts,
                **context,
            },
        ),
        user_info=UserInfo(
            implementation=user,
            llm=options.user_model,
            llm_args={**tau2_versions.DEFAULT_ARGUMENTS, **kept["user_args"]},
            global_simulation_guidelines=tau2_versions.user_guidelines(use_tools=False),
        ),
        environment_info=EnvironmentInfo(domain_name=domain, policy=policy),
    )
