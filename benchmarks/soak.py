#!/usr/bin/env python3
"""Whether a long run leaves anything behind: `python benchmarks/soak.py [TRIALS]`.

All tasks of mock and retail, 17 trials unless told otherwise, which is 2,091 simulations, a hundred at once, against a
stand-in in a process of its own that answers at once. The run's memory, threads, files and connections are looked at
from outside (Linux: /proc) as simulations end; when it has returned, the process itself lists what is still there.
Exit code 1 where the memory grew by a tenth after the first 500 simulations, or anything was left.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from processes import CHECKOUT, against, show, stand_in
from rich.table import Table

TRIALS = 17
CONCURRENCY = 100
WARM_AFTER = 500
"""Simulations after which the memory is to be what it stays."""
MOST_GROWTH = 0.1
_EVERY_S = 0.1
_ROWS = (100, 250, 500, 750, 1000, 1250, 1500, 1750, 2000)
_AS_CHILD = "--as-child"


class Look(NamedTuple):
    """The run's process at a moment."""

    ended: int
    """Simulations on record."""
    rss_mb: float
    threads: int
    files: int
    connections: int


def soak(trials: int, folder: Path) -> tuple[list[Look], dict[str, list[str]], float]:
    """The looks at a run, what it left behind, and how many seconds it took."""
    with stand_in("--domains", "mock", "retail") as server:
        flags = ["--domains", "mock", "retail", "--num-trials", str(trials), "--max-concurrency", str(CONCURRENCY)]
        flags += ["--run-id", "R", "--display", "none", "--json", *against(server.url)]
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, __file__, _AS_CHILD, *flags],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )
        looks: list[Look] = []
        watching = threading.Thread(target=lambda: looks.extend(_looks(process, folder / "outputs/R/run/record.jsonl")))
        watching.start()
        said = process.communicate()[0]
        watching.join()
        took_s = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"the run ended with {process.returncode}: {said[-2000:]}")
    return looks, json.loads(said.splitlines()[-1]), took_s


def _looks(process: subprocess.Popen[str], record: Path) -> Iterator[Look]:
    ended = offset = 0
    while process.poll() is None:
        if record.exists():
            with record.open("rb") as file:
                file.seek(offset)
                new = file.read()
            offset += len(new)
            ended += new.count(b"\n")
        look = _look_at(process.pid, ended)
        if look is not None:
            yield look
        time.sleep(_EVERY_S)


def _look_at(pid: int, ended: int) -> Look | None:
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        rss_mb = int(status["VmRSS"].split()[0]) / 1024
    except (OSError, KeyError):  # it has ended, or a file was closed while it was looked at
        return None
    return Look(ended, rss_mb, int(status["Threads"]), len(links), sum(link.startswith("socket:") for link in links))


def growth(looks: list[Look]) -> float:
    """How much more memory the last simulations found in use than there was after the first 500."""
    most = looks[-1].ended
    warm = [look.rss_mb for look in looks if WARM_AFTER <= look.ended < WARM_AFTER + 150]
    last = [look.rss_mb for look in looks if look.ended >= most - 150]
    return statistics.median(last) / statistics.median(warm) - 1


def main() -> int:
    if _AS_CHILD in sys.argv:
        return _run(sys.argv[sys.argv.index(_AS_CHILD) + 1 :])
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS
    with tempfile.TemporaryDirectory() as folder:
        looks, left, took_s = soak(trials, Path(folder))
    table = Table(title=f"mock and retail, {CONCURRENCY} at once, {looks[-1].ended:,} simulations in {took_s:.0f} s")
    for heading in ("simulations ended", "resident MB", "threads", "files", "of them connections"):
        table.add_column(heading, justify="right")
    for row in (*_ROWS, looks[-1].ended):
        look = next((look for look in looks if look.ended >= row), None)
        if look is not None:
            table.add_row(
                str(look.ended), f"{look.rss_mb:.0f}", str(look.threads), str(look.files), str(look.connections)
            )
    show(table)
    more = growth(looks)
    print(f"growth after the first {WARM_AFTER}: {100 * more:.1f} %; peak {max(look.rss_mb for look in looks):.0f} MB")
    print("left when the run had returned: " + ", ".join(f"{name} {found or 'none'}" for name, found in left.items()))
    return int(more >= MOST_GROWTH or any(left.values()))


def _run(flags: list[str]) -> int:
    """Run in this process, and list what is there then and was not there before."""
    from tau2_enhanced.runner.main import main as run_local

    files_before = _open_files()
    code = run_local(flags)
    gc.collect()
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    files = sorted(set(_open_files()) - set(files_before))
    connections = [name for name in files if name.startswith("socket:")]
    others = [name for name in files if name not in connections]
    print(json.dumps({"threads": threads, "files": others, "connections": connections}))
    return code


def _open_files() -> list[str]:
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            name = os.readlink(path)
        except OSError:  # the folder's own, which is closed by now
            continue
        if not name.endswith(f"/proc/{os.getpid()}/fd"):
            found.append(name)
    return found


if __name__ == "__main__":
    sys.exit(main())
