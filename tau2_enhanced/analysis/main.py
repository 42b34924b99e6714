"""The command line of `analyze_timing_from_tau2_log.py`. Imports nothing heavy before it is needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tau2_enhanced.analysis.choice_flags import add_choice_flags, choice_of
from tau2_enhanced.analysis.output import check_folder, write_index
from tau2_enhanced.command_line import Parser, exit_code
from tau2_enhanced.errors import UserMistake

if TYPE_CHECKING:
    import polars as pl

    from tau2_enhanced.analysis.sources import Sources
    from tau2_enhanced.analysis.table import EventTable

_EXAMPLES = """\
examples:
  analyze_timing_from_tau2_log.py --log_file logs/eval_retail.log --output_dir analysis_results/
  analyze_timing_from_tau2_log.py --log-dir logs --domain retail --task 12
  analyze_timing_from_tau2_log.py --log-dir logs --results outputs/RUN_ID/*.json --trace
  analyze_timing_from_tau2_log.py --compare before=outputs/RUN_A after=outputs/RUN_B"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print where the time, the tokens and the money went, and write `summary.json`; the exit code."""
    parser = Parser(
        prog="analyze_timing_from_tau2_log.py",
        description="Show where the time, the tokens and the money of a run went.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--log_file", "--log-file", "--log_dir", "--log-dir", nargs="+", metavar="LOG", default=[],
        dest="logs", action="extend", help="logs, JSONL events, tau2 results files, folders or patterns; also .gz",
    )  # fmt: skip
    parser.add_argument(
        "--results",
        nargs="+",
        metavar="FILE",
        default=[],
        action="extend",
        help="tau2 results files of any runner, for pass^k, costs and accuracy of tool calls",
    )
    parser.add_argument(
        "--compare", nargs="+", metavar="RUN", default=[], action="extend",
        help="compare runs, the baseline first; each a log, results file, folder or pattern, or NAME=PATH",
    )  # fmt: skip
    parser.add_argument(
        "--output_dir", "--output-dir", type=Path, default=Path("analysis_results"), metavar="DIR",
        help="where files are written (default: analysis_results)",
    )  # fmt: skip
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="simulations to show in task_gantt: ID or DOMAIN:ID")
    parser.add_argument("--no-figures", action="store_true", help="tables, summary.json and reports without pictures")
    parser.add_argument(
        "--slo",
        nargs="+",
        metavar="NAME:MS",
        default=[],
        help="share of calls within a limit (goodput), like llm_call:5000 ttft:500",
    )
    parser.add_argument("--export", choices=("parquet", "csv"), help="write all events to events.parquet or events.csv")
    parser.add_argument("--trace", action="store_true", help="also write trace.json, for Perfetto and speedscope")
    add_choice_flags(parser)
    options = parser.parse_args(arguments)
    if not options.logs and not options.results and not options.compare:
        parser.error("name logs with --log_file or --log-dir, results with --results, or runs with --compare")
    if "" in (*options.logs, *options.results, *options.compare):
        parser.error("a log's name is empty: is a variable not set?")
    return exit_code(parser.prog, lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_folder(options.output_dir)
    return _compare(options) if options.compare else _analyse(options)


def _compare(options: argparse.Namespace) -> int:
    from tau2_enhanced.analysis.compare.command import compare_runs

    not_with_it = ("logs", "results", "tasks", "slo", "export", "trace", "type")
    if unused := [name for name in not_with_it if getattr(options, name)]:
        flags = ", ".join("--log_file" if name == "logs" else f"--{name}" for name in unused)
        raise UserMistake(f"--compare takes its runs itself and can't be combined with {flags}")
    compare_runs(options.compare, choice_of(options), options.output_dir, figures=not options.no_figures)
    return 0


def _analyse(options: argparse.Namespace) -> int:
    from tau2_enhanced.analysis import servers
    from tau2_enhanced.analysis.doubles import DOUBLED
    from tau2_enhanced.analysis.goodput import parse_limits
    from tau2_enhanced.analysis.report.head import notes
    from tau2_enhanced.analysis.results_events import tells_of_calls
    from tau2_enhanced.analysis.results_file import result_statistics
    from tau2_enhanced.analysis.simulations import chosen, simulations
    from tau2_enhanced.analysis.table import EventTable
    from tau2_enhanced.analysis.terminal import print_results, print_tables, saying

    limits = parse_limits(options.slo)
    choice = choice_of(options)
    with saying() as say:
        sources = _read(options, say)
        table = chosen(sources.table, choice)
        if sources.table.count and not table.count:
            raise UserMistake("no events are left by --run, --domain, --task, --trial, --type, --since and --until")
        if sources.results and not tells_of_calls(table):
            table = EventTable()
        say("counting")
        found = simulations(table)
        summary: dict[str, Any] = {}
        if table.count:
            from tau2_enhanced.analysis.summary import summarise

            summary = summarise(table, limits, found)
        if sources.results:
            summary["results"] = [result_statistics(results) for results in sources.results]
        samples = _samples(options, summary.get("runs", []))
        if samples.height:
            summary["servers"] = servers.numbers(samples)
        written, left_out = _write_all(options, table, found, summary, samples, say)
    if sources.results:
        print_results(summary["results"])
    if table.count:
        print_tables(summary)
        _report_broken(table)
    for note in notes(summary):
        print(f"note: {note}")
    if table.doubled:
        print(f"note: {DOUBLED}")
    for sentence in left_out:
        print(f"not drawn: {sentence}")
    print(f"written to {options.output_dir}: {' '.join(path.name for path in written)}")
    return 0


def _read(options: argparse.Namespace, say: Callable[[str], None]) -> Sources:
    from tau2_enhanced.analysis.inputs import find_logs
    from tau2_enhanced.analysis.sources import read_sources

    sources = read_sources(find_logs([*options.logs, *options.results], with_events=True), say)
    table = sources.table
    if not table.count and not any(results.simulations for results in sources.results):
        if sources.results:
            raise UserMistake("no simulations in these results")
        why = " run with --log-level PROFILE"
        if table.broken:
            why = f" {table.broken} could not be read, the first: {table.broken_examples[0]}"
        raise UserMistake(f"no events in these logs:{why}")
    return sources


def _samples(options: argparse.Namespace, runs: Sequence[str | None]) -> pl.DataFrame:
    """What the servers of these runs said of themselves."""
    import polars as pl

    from tau2_enhanced.analysis.inputs import find_logs
    from tau2_enhanced.analysis.servers import samples_beside

    named = [run for run in runs if run is not None]
    return samples_beside(find_logs(options.logs)).filter(pl.col("run").is_in(named))


def _write_all(
    options: argparse.Namespace,
    table: EventTable,
    found: pl.DataFrame,
    summary: dict[str, Any],
    samples: pl.DataFrame,
    say: Callable[[str], None],
) -> tuple[list[Path], list[str]]:
    """Write every file that is wanted; which, and a sentence for each picture that has no data."""
    folder: Path = options.output_dir
    written: list[Path] = []
    left_out: list[str] = []
    if table.count and not options.no_figures:
        from tau2_enhanced.analysis.figures import draw_figures

        drawn = draw_figures(table, folder, tasks=options.tasks, samples=samples, say=say)
        written += drawn.paths
        left_out = drawn.left_out
    say("writing report.html")
    from tau2_enhanced.analysis.report import write_reports

    written += write_reports(table, found, summary, folder, [path for path in written if path.suffix == ".png"])
    if table.count and options.export:
        from tau2_enhanced.analysis.export import export_events

        say(f"writing events.{options.export}")
        written.append(folder / f"events.{options.export}")
        export_events(table, written[-1])
    if table.count and options.trace:
        from tau2_enhanced.analysis.trace import write_trace

        say("writing trace.json")
        written.append(folder / "trace.json")
        write_trace(table, written[-1], samples)
    return [write_index(folder / "summary.json", summary, written), *written], left_out


def _report_broken(table: EventTable) -> None:
    for example in table.broken_examples:
        print(f"not readable: {example}", file=sys.stderr)
    if table.broken:
        print(f"{table.broken} lines could not be read", file=sys.stderr)
