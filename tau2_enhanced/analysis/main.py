"""The command line of `analyze_timing_from_tau2_log.py`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tau2_enhanced.errors import UserMistake


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the statistics of the logs' durations and write them to `summary.json`; the exit code."""
    parser = _Parser(prog="analyze_timing_from_tau2_log.py", description="Where the time of a run went.")
    parser.add_argument("--log_file", "--log-file", nargs="+", type=Path, required=True, metavar="LOG")
    parser.add_argument("--output_dir", "--output-dir", type=Path, default=Path("analysis_results"), metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        return _analyse(options.log_file, options.output_dir)
    except UserMistake as mistake:
        print(f"{parser.prog}: {mistake}", file=sys.stderr)
        return mistake.exit_code


def _analyse(logs: Sequence[Path], output_dir: Path) -> int:
    from tau2_enhanced.analysis.durations import duration_series
    from tau2_enhanced.analysis.events_table import read_logs

    log = read_logs(logs)
    rows = duration_series(log.events)
    if not rows:
        raise UserMistake("no timed events in these logs: run with --log-level PROFILE")
    _write(output_dir, {"series": rows, "events": len(log.events), "broken_lines": log.broken})
    _print_table(rows)
    for example in log.broken_examples:
        print(f"not readable: {example}", file=sys.stderr)
    if log.broken:
        print(f"{log.broken} lines could not be read", file=sys.stderr)
    print(f"written: {output_dir / 'summary.json'}")
    return 0


def _write(output_dir: Path, summary: Mapping[str, Any]) -> None:
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserMistake(f"{output_dir} can't be written: {error.strerror}") from None


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ("mean_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "total_ms")
    table = Table(title="durations in ms", title_justify="left")
    table.add_column("type", style="bold")
    table.add_column("name")
    for name in ("n", *(column.removesuffix("_ms") for column in columns)):
        table.add_column(name, justify="right")
    for row in rows:
        cells = ("–" if row[column] is None else f"{row[column]:,.3f}" for column in columns)
        table.add_row(row["type"], row["name"], str(row["n"]), *cells)
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
