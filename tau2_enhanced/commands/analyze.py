"""Tables of the recorded tool calls: success and times, causes of errors, state changes, flow, arguments, trends."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tau2_enhanced.commands.parser import CommandParser
from tau2_enhanced.commands.run_paths import run_paths


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("analyze", str(__doc__))
    parser.add_paths()
    parser.add_outputs()
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    options = parser.parse_args(arguments)
    paths = run_paths(options.paths, options.outputs)
    from tau2_enhanced.analysis.analyzer import LogAnalyzer
    from tau2_enhanced.analysis.terminal import output_console, print_table, saying

    with saying() as say:
        say("reading")
        analyzer = LogAnalyzer(paths)
        analyzer.executions.require_some()
        say("counting")
        analysis = analyzer.get_comprehensive_analysis()
    if options.json:
        print(json.dumps(analysis, ensure_ascii=False, allow_nan=False))
        return 0
    from tau2_enhanced.analysis.report.terminal import headline, rich_table
    from tau2_enhanced.analysis.report.tool_tables import tool_tables

    output_console().print(headline(analysis), markup=False)
    for table in tool_tables(analysis):
        print_table(rich_table(table))
    for note in analyzer.notes:
        print(f"note: {note}")
    return 0
