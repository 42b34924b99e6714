"""What the runs of a comparison are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tau2_enhanced.errors import UserMistake


class Given(NamedTuple):
    """A RUN of the command line: PATH or NAME=PATH."""

    name: str | None
    path: str


def parse_run(text: str) -> Given:
    """The name and the path of NAME=PATH; a path that exists is a path, whatever it holds."""
    name, found, path = text.partition("=")
    if not found or "/" in name or Path(text).exists():
        return Given(None, text)
    if not name or not path:
        raise UserMistake(f"{text}: a run is PATH or NAME=PATH")
    return Given(name, path)


def name_runs(given: Sequence[Given], ids: Sequence[Sequence[str | None]]) -> list[str]:
    """A name for each run: the one given, else its run's id, else what tells its path from the other paths.

    `ids` are the ids of the runs that each RUN holds. Raises UserMistake where two have the same name.
    """
    own = [held[0] if len(held) == 1 else None for held in ids]
    alike = None in own or len(set(own)) < len(own)
    paths = _apart([path for _, path in given])
    names = [name or (paths[place] if alike else own[place]) or path for place, (name, path) in enumerate(given)]
    for name in names:
        if names.count(name) > 1:
            raise UserMistake(f"two runs are called {name}: name them with NAME=PATH")
    return names


def _apart(paths: Sequence[str]) -> list[str]:
    """What is left of each path without the folders that all begin with and the names that all end in."""
    parts = [list(Path(path).parts) for path in paths]
    while all(parts) and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    while all(parts) and len({part[-1] for part in parts}) == 1:
        parts = [part[:-1] for part in parts]
    return ["/".join(part) or path for part, path in zip(parts, paths, strict=True)]
