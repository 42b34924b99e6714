"""Which path is meant where a run is given by its id, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tau2_enhanced.errors import UserMistake


def run_paths(given: Sequence[str], outputs: Path) -> list[str]:
    """The paths, ids of runs as their folders in `outputs`; without any, the folder of the run that began last.

    Raises UserMistake where there is none.
    """
    if given:
        return [placed(path, outputs) for path in given]
    from tau2_enhanced.runner.folder import newest_run_id

    run_id = newest_run_id(outputs)
    if run_id is None:
        raise UserMistake(f"no run in {outputs}: name a run's folder, or files")
    return [str(outputs / run_id)]


def placed(path: str, outputs: Path) -> str:
    """The path, or where a run is called so its folder in `outputs`; what exists is a path."""
    folder = outputs / path
    return path if Path(path).exists() or not folder.is_dir() else str(folder)
