"""What a run is, kept in its folder: its options, its versions, and all that can change a result.

A resumed run takes its options from here and must agree in everything that can change a result.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import tau2_enhanced
from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.secret_arguments import NOT_KEPT, without_secrets
from tau2_enhanced.runner.folder import RunFolder, read_json, write_json
from tau2_enhanced.runner.options import RunOptions
from tau2_enhanced.runner.prepare import PreparedRun

_NAMED_VERSIONS = ("litellm", "openai", "anthropic", "pydantic", "genai-prices")


@dataclass
class Configuration:
    """The content of `run/config.json`."""

    run_id: str
    created: float
    """When the run's clock began, in seconds since 1970."""
    options: dict[str, Any]
    deciding: dict[str, Any]
    """Must be the same when the run is resumed: models, arguments, limits, seed, tau2's version."""
    prompts: dict[str, str]
    """A digest of each domain's prompts, policy and tools; must be the same where both have the domain."""
    versions: dict[str, str]

    def write(self, folder: RunFolder) -> None:
        write_json(folder.config, self.__dict__)


def make_configuration(run_id: str, prepared: PreparedRun, earlier: Configuration | None) -> Configuration:
    """The configuration of a run that begins now, or goes on from an earlier part.

    Raises UserMistake, naming each difference, where results of both parts would not belong together.
    """
    options = prepared.options
    now = Configuration(
        run_id=run_id,
        created=time.time(),
        options=options.to_json(),
        deciding={**options.deciding(), "tau2": tau2_versions.version()},
        prompts={domain: prompts.digest for domain, prompts in prepared.prompts.items()},
        versions={
            "tau2-enhanced": tau2_enhanced.__version__,
            "tau2": tau2_versions.version(),
            "python": platform.python_version(),
            **{name: _version(name) for name in _NAMED_VERSIONS},
        },
    )
    return now if earlier is None else _continued(earlier, now)


def read_configuration(folder: RunFolder) -> Configuration:
    """What an earlier part of the run wrote. Raises UserMistake where it can't be read."""
    try:
        return Configuration(**read_json(folder.config))
    except TypeError:
        raise UserMistake(f"{folder.config} is no configuration of a run") from None


def _continued(earlier: Configuration, now: Configuration) -> Configuration:
    # an option that was not there yet had its default, and secrets may have been kept
    then = without_secrets({**RunOptions().deciding(), **earlier.deciding}, in_their_place=NOT_KEPT)
    differences = [
        f"{name}: {then.get(name)!r} then, {now.deciding.get(name)!r} now"
        for name in sorted(then.keys() | now.deciding.keys())
        if then.get(name) != now.deciding.get(name)
    ]
    differences += [
        f"{domain}: other prompts, policy or tools"
        for domain in sorted(earlier.prompts.keys() & now.prompts.keys())
        if earlier.prompts[domain] != now.prompts[domain]
    ]
    if differences:
        raise UserMistake(f"run {earlier.run_id} can't be resumed with another configuration: {'; '.join(differences)}")
    return Configuration(
        run_id=earlier.run_id,
        created=earlier.created,
        options=now.options,
        deciding=now.deciding,
        prompts={**earlier.prompts, **now.prompts},
        versions=now.versions,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
