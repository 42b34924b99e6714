"""Write what analyze prints, and the times, as files: report.html (works offline), report.md, pictures, JSON."""

from __future__ import annotations

from collections.abc import Sequence

from tau2_enhanced.commands.parser import CommandParser
from tau2_enhanced.commands.run_paths import run_paths


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("report", str(__doc__))
    parser.add_paths()
    parser.add_outputs()
    parser.add_output_dir()
    parser.add_argument(
        "--simulation", metavar="SIMULATION",
        help="draw the timeline of this one: an id or DOMAIN:TASK[:TRIAL] (default: the longest that failed)",
    )  # fmt: skip
    parser.add_argument("--no-figures", action="store_true", help="tables and numbers without pictures")
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
