"""What was logged of one simulation: its events, picked out of logs and files of events of any size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tau2_enhanced.analysis.inputs import ending, pieces
from tau2_enhanced.analysis.json_events import LISTS, load_json
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.event_statistics import LIVE
from tau2_enhanced.logging.events import BrokenLine, ExecutionEvent, from_json, parse_line


class Logged(NamedTuple):
    """The events of a simulation, and the files that had any."""

    events: list[ExecutionEvent]
    """Those of its live environment, in the order in which they began where that is known, else ended."""
    files: list[Path]


def logged_events(paths: Iterable[Path], sims: Sequence[str]) -> Logged:
    """The events that name a simulation by one of its ids. Files that are missing or broken have none."""
    events: list[ExecutionEvent] = []
    files: dict[Path, None] = {}
    for path, sim in product(paths, sims):
        with suppress(UserMistake):
            found = [event for event in _of_file(path, sim) if event.sim == sim and event.phase in LIVE]
            events += found
            files |= dict.fromkeys([path] if found else ())
    return Logged(_once(events), list(files))


def _once(events: Iterable[ExecutionEvent]) -> list[ExecutionEvent]:
    """In the order of time; what stands in a log and in a file of events is taken from the first of them."""
    kept: dict[tuple[object, ...], ExecutionEvent] = {}
    for event in events:
        begin = event.timestamp if event.start_ms is None else round(event.start_ms, 3)
        kept.setdefault((event.type, event.step, begin, getattr(event, "tool_call_id", None)), event)
    clocked = all(event.start_ms is not None for event in kept.values())
    return sorted(kept.values(), key=_by_clock if clocked else _by_day)


def _by_clock(event: ExecutionEvent) -> float:
    """By the clock of the simulation's process, which is exact and never goes back."""
    return event.start_ms or 0.0


def _by_day(event: ExecutionEvent) -> datetime:
    """By the time of day, which is cut to the millisecond and set at times."""
    return event.timestamp or datetime.min


def _of_file(path: Path, sim: str) -> Iterator[ExecutionEvent]:
    kind = ending(path)
    if kind == ".json":
        data = load_json(path)
        listed: list[object] = next((data[name] for name in LISTS if isinstance(data.get(name), list)), [])
        lines: Iterable[bytes] = (json.dumps(event).encode() for event in listed)
    else:
        lines = (line for piece in pieces(path, broken=lambda *_: None) for line in _lines_with(piece, sim.encode()))
    for line in lines:
        with suppress(BrokenLine):
            event = from_json(line) if kind in (".json", ".jsonl") else parse_line(line.decode("utf-8", "replace"))
            if event is not None:
                yield event


def _lines_with(piece: bytes, part: bytes) -> Iterator[bytes]:
    """The lines in which `part` stands: of a large log they are few, and found without looking at each line."""
    at = piece.find(part)
    while at >= 0:
        begin, end = piece.rfind(b"\n", 0, at) + 1, piece.find(b"\n", at)
        end = end if end >= 0 else len(piece)
        yield piece[begin:end]
        at = piece.find(part, end)


def logs_of_run(folder: Path, domain: str, log_dirs: Sequence[Path]) -> list[Path]:
    """Where events of a domain's simulations may lie: a run's own files of events, then its logs.

    `folder` is the run's. Its logs lie in one of `log_dirs`, those of an earlier run in a folder of its own there.
    """
    names = (f"eval_{domain}.log", f"eval_{domain}.log.gz")
    events = [folder / "run" / "events" / f"{domain}.jsonl"]
    for log_dir in log_dirs:
        for place in (log_dir, log_dir / folder.name):
            events += [place / name for name in names]
    return [path for path in events if path.is_file()]
