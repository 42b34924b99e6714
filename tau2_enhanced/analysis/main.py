"""The command line of `analyze_timing_from_tau2_log.py`. Imports nothing heavy before it is needed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tau2_enhanced.errors import UserMistake

if TYPE_CHECKING:
    from tau2_enhanced.analysis.table import EventTable

_EXAMPLES = """\
examples:
  analyze_timing_from_tau2_log.py --log_file logs/eval_retail.log --output_dir analysis_results/
  analyze_timing_from_tau2_log.py --log-dir logs --domain retail --task 12"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print where the time, the tokens and the money went, and write `summary.json`; the exit code."""
    parser = _Parser(
        prog="analyze_timing_from_tau2_log.py",
        description="Where the time, the tokens and the money of a run went.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--log_file", "--log-file", "--log_dir", "--log-dir", nargs="+", metavar="LOG", required=True,
        dest="logs", action="extend", help="logs, folders or patterns; .gz too",
    )  # fmt: skip
    parser.add_argument("--output_dir", "--output-dir", type=Path, default=Path("analysis_results"), metavar="DIR")
    for name, kind in (("run", str), ("domain", str), ("task", str), ("trial", int)):
        parser.add_argument(f"--{name}", nargs="+", type=kind, metavar=name.upper(), help=f"these {name}s alone")
    options = parser.parse_args(arguments)
    try:
        return _analyse(options)
    except UserMistake as mistake:
        print(f"{parser.prog}: {mistake}", file=sys.stderr)
        return mistake.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _analyse(options: argparse.Namespace) -> int:
    from tau2_enhanced.analysis.inputs import find_logs
    from tau2_enhanced.analysis.series import duration_series, usage_series
    from tau2_enhanced.analysis.table import Choice, read_table
    from tau2_enhanced.analysis.terminal import print_tables
    from tau2_enhanced.analysis.wall_time import slowest_calls, slowest_simulations, where_time_went

    table = read_table(find_logs(options.logs))
    chosen = table.chosen(Choice(options.run, options.domain, options.task, options.trial))
    if not table.count:
        raise UserMistake("no events in these logs")
    if not chosen.count:
        raise UserMistake("no events are left by --run, --domain, --task and --trial")
    durations = duration_series(chosen)
    if not durations:
        raise UserMistake("no timed events in these logs: run with --log-level PROFILE")
    summary = {
        "events": {kind: frame.height for kind, frame in sorted(chosen.frames.items())},
        "durations": durations,
        "usage": usage_series(chosen),
        "wall_time": where_time_went(chosen),
        "slowest_simulations": slowest_simulations(chosen),
        "slowest_calls": slowest_calls(chosen),
        "lines": {"broken": table.broken, "broken_examples": table.broken_examples, "read_singly": table.general},
    }
    _write(options.output_dir, summary)
    print_tables(summary)
    _report_broken(table)
    print(f"written: {options.output_dir / 'summary.json'}")
    return 0


def _write(output_dir: Path, summary: dict[str, Any]) -> None:
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    target = output_dir / "summary.json"
    temporary = target.with_suffix(".tmp")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise UserMistake(f"{output_dir} can't be written: {error.strerror}") from None


def _report_broken(table: EventTable) -> None:
    for example in table.broken_examples:
        print(f"not readable: {example}", file=sys.stderr)
    if table.broken:
        print(f"{table.broken} lines could not be read", file=sys.stderr)
