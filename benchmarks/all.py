#!/usr/bin/env python3
"""All benchmarks, one after the other: `python benchmarks/all.py [NAME …]`.

Prints what docs/performance.md shows; takes the better part of an hour, most of it `tau2 run`'s.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = (
    "simulations", "start_up", "in_flight", "overhead", "event_cost", "execution_log", "state_tracking",
    "request_layers", "growth", "analysis", "log_analyzer",
)  # fmt: skip


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        print(f"$ python benchmarks/{name}.py", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=True)
        print(flush=True)


if __name__ == "__main__":
    main()
