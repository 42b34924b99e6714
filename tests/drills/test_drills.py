"""Faults, made on purpose, with real processes: nothing finished is lost, nothing is doubled.

The quick drills are part of the suite. `python -m pytest tests/drills -m drill` runs those with faults of a minute and
prints the table of docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from drills import disk, machine, network
from drills.scene import Plays, Row, Scene

from tau2_enhanced.models.stand_in.plays import play_of

Drill = Callable[[Scene], Row]

DRILLS: dict[Drill, set[int]] = {
    disk.output_disk_full: {1},
    disk.output_folder_removed: {0},
    disk.record_unwritable: {1},
    disk.file_size_limit: {1},
    disk.output_disk_read_only: {2},
    disk.log_disk_full_for_a_while: {0},
    disk.log_folder_removed: {0},
    network.server_killed_and_back: {0},
    network.server_killed: {1},
    network.server_silent: {0},
    network.network_gone: {0},
    network.one_call_in_twenty_hangs: {1},
    machine.runner_paused: {0},
    machine.killed_at_random_moments: {-9},
    machine.interrupted_twice: {130},
    # at the very end nobody catches the signal any more
    machine.terminated_while_finishing: {0, -15},
    machine.few_files: {2},
    machine.few_threads: {0},
    machine.clock_set_back: {130},
    machine.two_runners: {0},
    machine.two_runners_begin_at_once: {0},
}
"""Each with the exit codes that the run which meets the fault may have."""
_RUNS_AGAIN = {disk.record_unwritable, disk.file_size_limit}
"""Those in which nothing can be written, so that what ends then is run again."""


@pytest.fixture(scope="module")
def plays(registry: Any) -> Plays:
    return {("mock", task.id): play_of(task) for task in registry.get_tasks_loader("mock")()}


def lengths() -> list[Any]:
    return [pytest.param(False, id="quick"), pytest.param(True, id="long", marks=pytest.mark.drill)]


@pytest.mark.parametrize("long", lengths())
@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.__name__)
def test_nothing_is_lost_and_nothing_doubled(
    drill: Drill, long: bool, tmp_path: Path, plays: Plays, record_property: Callable[[str, object], None]
) -> None:
    scene = Scene(tmp_path, plays, tasks=len(plays), long=long)
    try:
        row = drill(scene)
    finally:
        scene.close()
    record_property("drill", asdict(row))
    assert (row.lost, row.doubled) == (0, 0)
    assert row.code in DRILLS[drill]
    assert row.again == 0 or drill in _RUNS_AGAIN or row.code < 0 or row.code == 130
