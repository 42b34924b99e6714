"""Compare runs with a baseline: pass^1, times, costs and tokens, with intervals, and tasks whose verdicts changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tau2_enhanced.commands.parser import CommandParser
from tau2_enhanced.commands.run_paths import placed
from tau2_enhanced.errors import UserMistake


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("compare", str(__doc__))
    parser.add_argument(
        "runs", nargs="+", metavar="RUN",
        help="a run id, a run's folder, a log, a results file or a pattern, or NAME=RUN to name it; the baseline first",
    )  # fmt: skip
    parser.add_outputs()
    parser.add_output_dir()
    parser.add_argument(
        "--no-figures", action="store_true", help="no pictures: only tables, compare.json and compare.md"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, and write no files")
    from tau2_enhanced.analysis.choice_flags import add_choice_flags, choice_of

    add_choice_flags(parser, without=["type"])
    options = parser.parse_args(arguments)
    if len(options.runs) < 2:
        raise UserMistake("name two runs or more, the baseline first")
    runs = [_placed(text, options.outputs) for text in options.runs]
    if options.json:
        from tau2_enhanced.analysis.compare.comparison import compare
        from tau2_enhanced.analysis.compare.runs import read_runs

        found = compare(read_runs(runs, choice_of(options)))
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return 0
    from tau2_enhanced.analysis.compare.command import compare_runs

    compare_runs(runs, choice_of(options), options.output_dir, figures=not options.no_figures)
    return 0


def _placed(text: str, outputs: Path) -> str:
    """The RUN with the path of its folder where it is given by its id."""
    from tau2_enhanced.analysis.compare.names import parse_run

    name, path = parse_run(text)
    return f"{name}={placed(path, outputs)}" if name else placed(path, outputs)
