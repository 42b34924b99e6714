#!/usr/bin/env python3
"""What recording tool executions costs: `python benchmarks/execution_log.py`.

Microseconds of CPU time each, the best of several rounds: a line of the audit file, a whole
`log_tool_execution` of a small and of a large call, its parts, and the diff of a touched entry.
"""

from __future__ import annotations

import inspect
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tau2_enhanced.logging import ExecutionLogger, StateTracker
from tau2_enhanced.logging.audit import opened, released, verify
from tau2_enhanced.logging.complexity import complexity
from tau2_enhanced.logging.diff import diff
from tau2_enhanced.logging.sensitive import find_sensitive, redacted
from tau2_enhanced.logging.state_hash import state_hash

ROUNDS = 7
TIMES = 500

SMALL: dict[str, Any] = {"reservation_id": "EHGLP3"}
LARGE: dict[str, Any] = {
    "user_id": "sophia_silva_7557",
    "origin": "ORD",
    "destination": "PHL",
    "flight_type": "one_way",
    "cabin": "economy",
    "flights": [{"flight_number": "HAT271", "date": "2024-05-26"}],
    "passengers": [
        {"first_name": "Sophia", "last_name": "Silva", "dob": "1957-10-05"},
        {"first_name": "Kevin", "last_name": "Smith", "dob": "2001-04-12"},
    ],
    "payment_methods": [{"payment_id": "certificate_8045380", "amount": 348}],
    "total_baggages": 0,
    "nonfree_baggages": 0,
    "insurance": "no",
}
STATE = {"reservations": {f"R{index}": LARGE for index in range(2000)}}
CHANGED = {"reservations": STATE["reservations"] | {"R7": LARGE | {"insurance": "yes"}}}


def book(user_id: str, flights: list[Any], passengers: list[Any], insurance: str = "no") -> None: ...


def measured(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(TIMES):
            work()
        best = min(best, (time.process_time() - started) / TIMES)
    return best * 1e6


def main() -> None:
    table = Table(title=f"µs of CPU time, best of {ROUNDS} rounds of {TIMES}", title_justify="left")
    table.add_column("what")
    table.add_column("µs", justify="right")

    def row(what: str, work: Callable[[], object]) -> None:
        table.add_row(what, f"{measured(work):.1f}")

    with tempfile.TemporaryDirectory() as folder:
        line = '{"type":"note","text":"' + "x" * 1000 + '"}'
        for flush in (True, False):
            file = opened(Path(folder) / f"chain-{flush}.jsonl", flush)
            row(f"audit line of 1 kB, auto_flush={flush}", lambda file=file: file.write(line))  # type: ignore[misc]  # bound at once
            released(file)
        path = Path(folder) / "chain-True.jsonl"
        started = time.process_time()
        verdict = verify(path)
        table.add_row("verify, a line", f"{(time.process_time() - started) / verdict.lines * 1e6:.1f}")
        signature = inspect.signature(book)
        for name, arguments, result in (("small", SMALL, "done"), ("large", LARGE, LARGE)):
            for redact in (False, True):
                logger = ExecutionLogger(Path(folder) / f"{name}-{redact}.jsonl", redact=redact)
                row(
                    f"log_tool_execution, {name} call, redact={redact}",
                    lambda logger=logger, arguments=arguments, result=result: logger.log_tool_execution(  # type: ignore[misc]  # as above
                        "book", True, 0.001, arguments, result, signature=signature
                    ),
                )
                logger.close()
    row("complexity, large", lambda: complexity(LARGE))
    row("find_sensitive, small", lambda: find_sensitive(SMALL))
    row("find_sensitive, large", lambda: find_sensitive(LARGE))
    row("redacted, large", lambda: redacted(LARGE))
    row("diff of one touched entry of 2000", lambda: diff(STATE, CHANGED, ["/reservations/R7"]))
    row("diff of all 2000, others the same objects", lambda: diff(STATE, CHANGED))
    row("state_hash of all 2000", lambda: state_hash(STATE))
    tracker = StateTracker()
    row("create_snapshot, large", lambda: tracker.create_snapshot(LARGE, "before_book"))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
