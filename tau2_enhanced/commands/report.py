"""All of it to read and to hand on: report.html, which needs no network, report.md, pictures and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tau2_enhanced.commands.parser import CommandParser
from tau2_enhanced.commands.run_paths import run_paths


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("report", str(__doc__))
    parser.add_argument(
        "paths", nargs="*", metavar="PATH",
        help="files of events, enhanced logs, logs, results files of tau2, folders, or runs by their ids "
        "(default: the run that began last)",
    )  # fmt: skip
    parser.add_outputs()
    parser.add_argument(
        "--output_dir", "--output-dir", type=Path, default=Path("analysis_results"), metavar="DIR",
        help="where files are written (default: analysis_results)",
    )  # fmt: skip
    parser.add_argument(
        "--simulation", metavar="SIMULATION",
        help="whose timeline is drawn: an id or DOMAIN:TASK[:TRIAL] (default: the longest that failed)",
    )  # fmt: skip
    parser.add_argument("--no-figures", action="store_true", help="no pictures: tables and numbers alone")
    options = parser.parse_args(arguments)
    paths = run_paths(options.paths, options.outputs)
    from tau2_enhanced.analysis.terminal import saying

    with saying() as say:
        say("reading")
        from tau2_enhanced.analysis.visualizer import LogVisualizer

        visualizer = LogVisualizer(paths, options.output_dir)
        written = visualizer.write_report(options.simulation, figures=not options.no_figures, say=say)
    for note in visualizer.analyzer.notes:
        print(f"note: {note}")
    for sentence in visualizer.left_out:
        print(f"not drawn: {sentence}")
    print(f"written to {options.output_dir}: {' '.join(path.name for path in written)}")
    return 0
