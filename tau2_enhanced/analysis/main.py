"""The command line of `analyze_timing_from_tau2_log.py`. Imports nothing heavy before it is needed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tau2_enhanced.analysis.output import written_whole
from tau2_enhanced.errors import UserMistake

if TYPE_CHECKING:
    from tau2_enhanced.analysis.table import EventTable

_EXAMPLES = """\
examples:
  analyze_timing_from_tau2_log.py --log_file logs/eval_retail.log --output_dir analysis_results/
  analyze_timing_from_tau2_log.py --log-dir logs --domain retail --task 12
  analyze_timing_from_tau2_log.py --log-dir logs --results outputs/RUN_ID/*.json --trace"""


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
        "--log_file", "--log-file", "--log_dir", "--log-dir", nargs="+", metavar="LOG", default=[],
        dest="logs", action="extend", help="logs, folders or patterns; .gz too",
    )  # fmt: skip
    parser.add_argument(
        "--results", nargs="+", type=Path, metavar="FILE", default=[], help="tau2's results files, of any runner"
    )
    parser.add_argument("--output_dir", "--output-dir", type=Path, default=Path("analysis_results"), metavar="DIR")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="for the Gantt chart: ID or DOMAIN:ID")
    parser.add_argument("--no-figures", action="store_true", help="tables and summary.json alone")
    parser.add_argument("--slo", nargs="+", metavar="NAME:MS", default=[], help="goodput, like llm_call:5000 ttft:500")
    parser.add_argument("--export", choices=("parquet", "csv"), help="write all events to events.parquet or events.csv")
    parser.add_argument("--trace", action="store_true", help="write trace.json too, for Perfetto and speedscope")
    for name, kind in (("run", str), ("domain", str), ("task", str), ("trial", int)):
        parser.add_argument(f"--{name}", nargs="+", type=kind, metavar=name.upper(), help=f"these {name}s alone")
    options = parser.parse_args(arguments)
    if not options.logs and not options.results:
        parser.error("name logs with --log_file or --log-dir, or results with --results")
    try:
        return _analyse(options)
    except UserMistake as mistake:
        print(f"{parser.prog}: {mistake}", file=sys.stderr)
        return mistake.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _analyse(options: argparse.Namespace) -> int:
    from tau2_enhanced.analysis.goodput import goodput, parse_limits
    from tau2_enhanced.analysis.results_file import read_results, result_statistics
    from tau2_enhanced.analysis.table import export_events
    from tau2_enhanced.analysis.terminal import print_results, print_tables

    limits = parse_limits(options.slo)
    results = [result_statistics(read_results(path)) for path in options.results]
    summary: dict[str, Any] = {"results": results} if results else {}
    table = _read(options) if options.logs else None
    if table is not None:
        summary |= _timing(table) | {"goodput": goodput(table, limits)}
    _write(options.output_dir, summary)
    written = [options.output_dir / "summary.json"]
    left_out: list[str] = []
    if table is not None and not options.no_figures:
        from tau2_enhanced.analysis.figures import draw_figures

        drawn = draw_figures(table, options.output_dir, tasks=options.tasks)
        written += drawn.paths
        left_out = drawn.left_out
    if table is not None and options.export:
        written.append(options.output_dir / f"events.{options.export}")
        export_events(table, written[-1])
    if table is not None and options.trace:
        from tau2_enhanced.analysis.trace import write_trace

        written.append(options.output_dir / "trace.json")
        write_trace(table, written[-1])
    if results:
        print_results(results)
    if table is not None:
        print_tables(summary)
        _report_broken(table)
    for sentence in left_out:
        print(f"not drawn: {sentence}")
    print(f"written to {options.output_dir}: {' '.join(path.name for path in written)}")
    return 0


def _read(options: argparse.Namespace) -> EventTable:
    from tau2_enhanced.analysis.inputs import find_logs
    from tau2_enhanced.analysis.table import Choice, read_table

    table = read_table(find_logs(options.logs))
    if not table.count:
        raise UserMistake("no events in these logs")
    chosen = table.chosen(Choice(options.run, options.domain, options.task, options.trial))
    if not chosen.count:
        raise UserMistake("no events are left by --run, --domain, --task and --trial")
    return chosen


def _timing(table: EventTable) -> dict[str, Any]:
    from tau2_enhanced.analysis.attempts import count_attempts
    from tau2_enhanced.analysis.series import duration_series, usage_series
    from tau2_enhanced.analysis.wall_time import slowest_calls, slowest_simulations, where_time_went

    durations = duration_series(table)
    if not durations:
        raise UserMistake("no timed events in these logs: run with --log-level PROFILE")
    return {
        "events": {kind: frame.height for kind, frame in sorted(table.frames.items())},
        "durations": durations,
        "usage": usage_series(table),
        "attempts": count_attempts(table),
        "wall_time": where_time_went(table),
        "slowest_simulations": slowest_simulations(table),
        "slowest_calls": slowest_calls(table),
        "lines": {"broken": table.broken, "broken_examples": table.broken_examples, "read_singly": table.general},
    }


def _write(output_dir: Path, summary: dict[str, Any]) -> None:
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with written_whole(output_dir / "summary.json") as path:
        path.write_text(text, encoding="utf-8")


def _report_broken(table: EventTable) -> None:
    for example in table.broken_examples:
        print(f"not readable: {example}", file=sys.stderr)
    if table.broken:
        print(f"{table.broken} lines could not be read", file=sys.stderr)
