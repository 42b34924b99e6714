"""`LogVisualizer`: pictures and a report of what the recorded calls of tools tell.

pictures = LogVisualizer("outputs/RUN_ID", "analysis_results")
pictures.dashboard()
pictures.timeline("retail:12")
pictures.write_report()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from tau2_enhanced.analysis.analyzer import LogAnalyzer
from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.figures import Drawn, draw_figures, source_of
from tau2_enhanced.analysis.figures.files import write_figure
from tau2_enhanced.analysis.figures.style import look
from tau2_enhanced.analysis.results_events import times_between_messages
from tau2_enhanced.analysis.timeline import run_ids
from tau2_enhanced.analysis.tool_figures import FIGURES, simulation_timeline
from tau2_enhanced.analysis.tool_figures.simulation_timeline import SimulationTimeline
from tau2_enhanced.analysis.trajectory.listed import Listed, choose, list_simulations, plain_name
from tau2_enhanced.analysis.trajectory.logged import logged_events
from tau2_enhanced.analysis.trajectory.trajectory import trajectory
from tau2_enhanced.domain_names import SUFFIX
from tau2_enhanced.errors import UserMistake

_TIMELINE = "simulation_timeline"


class LogVisualizer:
    """Draws what `LogAnalyzer` finds, each picture as PNG and SVG.

    Takes what LogAnalyzer takes, or one. Each picture is written into `output_dir`, which is made, and its method
    gives the paths: none where there is no data, which `left_out` then says. Raises UserMistake for logs that
    can't be read and files that can't be written.
    """

    def __init__(
        self,
        logs: LogAnalyzer | Executions | Path | str | Iterable[Path | str],
        output_dir: Path | str = "visualizations",
    ) -> None:
        self.analyzer = logs if isinstance(logs, LogAnalyzer) else LogAnalyzer(logs)
        self.output_dir = Path(output_dir)
        self.left_out: list[str] = []
        """A sentence for each picture that has no data."""

    @cached_property
    def analysis(self) -> dict[str, Any]:
        """The numbers that the pictures show: `LogAnalyzer.get_comprehensive_analysis()`."""
        return self.analyzer.get_comprehensive_analysis()

    @cached_property
    def source(self) -> str:
        """The runs, as captions name them, and whose times theirs are."""
        table = self.analyzer.executions.table
        return source_of(run_ids(table), between_messages=times_between_messages(table))

    def dashboard(self) -> list[Path]:
        """Calls, success with intervals, durations and times at a glance."""
        return self._draw("tools_dashboard")

    def failures(self) -> list[Path]:
        """Which tools fail, for which causes, and where in a simulation."""
        return self._draw("tools_failures")

    def state_changes(self) -> list[Path]:
        """Which tools change the databases, and what they change there."""
        return self._draw("tools_state_changes")

    def tool_flow(self) -> list[Path]:
        """Which tool follows which within a simulation."""
        return self._draw("tools_flow")

    def bottlenecks(self) -> list[Path]:
        """Where the tools' time goes, and the slowest calls."""
        return self._draw("tools_bottlenecks")

    def argument_heatmap(self) -> list[Path]:
        """Which arguments the calls of each tool give, and how complex they are."""
        return self._draw("tools_arguments")

    def timeline(self, simulation: str | None = None) -> list[Path]:
        """One simulation: messages, tool calls and state changes side by side, beside a strip of time to scale.

        `simulation` is an id, DOMAIN:TASK or DOMAIN:TASK:TRIAL, or the beginning of one; by default the longest
        that failed, else the longest. Messages are known where results files of tau2, or a run's record, were
        among the logs. Raises UserMistake for a name that is none's, or several'.
        """
        selected = self._course(simulation)
        if selected is None:
            self.left_out.append(f"{_TIMELINE}: no simulation has a call or a message with a time")
            return []
        with look():
            return write_figure(simulation_timeline.draw(selected, self.source), self.output_dir, _TIMELINE)

    def draw_all(self, simulation: str | None = None, say: Callable[[str], None] = lambda _: None) -> Drawn:
        """Every picture that there is data for."""
        paths: list[Path] = []
        for name in FIGURES:
            say(f"drawing {name}")
            paths += self._draw(name)
        say(f"drawing {_TIMELINE}")
        return Drawn([*paths, *self.timeline(simulation)], list(self.left_out))

    def write_report(
        self, simulation: str | None = None, *, figures: bool = True, say: Callable[[str], None] = lambda _: None
    ) -> list[Path]:
        """Write `report.html`, which needs no network, `report.md`, the pictures and `analysis.json`; their paths.

        It has the tables and the timeline of the whole run too, which the timing analysis makes of a log. Raises
        UserMistake, and leaves an earlier report as it is, where the logs tell nothing.
        """
        from tau2_enhanced.analysis.output import write_index
        from tau2_enhanced.analysis.report import More, write_reports
        from tau2_enhanced.analysis.report.tool_tables import tool_tables
        from tau2_enhanced.analysis.results_file import result_statistics
        from tau2_enhanced.analysis.simulations import simulations
        from tau2_enhanced.analysis.summary import summarise
        from tau2_enhanced.analysis.tool_executions import with_tool_calls

        executions = self.analyzer.executions
        executions.require_some()
        table = with_tool_calls(executions.table)
        found = simulations(table)
        summary: dict[str, Any] = {}
        try:
            summary = summarise(table, found=found)
        except UserMistake:  # no event has a duration: the tables of the tools are left
            self.left_out.append("durations: no event has one")
        if executions.results:
            summary["results"] = [result_statistics(results) for results in executions.results]
        pictures: list[Path] = []
        if figures:
            pictures = self.draw_all(simulation, say).paths
            if table.count:
                drawn = draw_figures(table, self.output_dir, say=say)
                pictures += drawn.paths
                self.left_out += drawn.left_out
        shown = [path for path in pictures if path.suffix == ".png"]
        say("writing report.html")
        more = More(tool_tables(self.analysis), shown, self.analyzer.notes)
        pages = write_reports(table, found, summary, self.output_dir, shown, more)
        numbers = {"summary": summary, "tools": self.analysis}
        return [write_index(self.output_dir / "analysis.json", numbers, [*pages, *pictures]), *pages, *pictures]

    def _draw(self, name: str) -> list[Path]:
        module, why = FIGURES[name]
        selected = module.select(self.analysis)
        if selected is None:
            self.left_out.append(f"{name}: {why}")
            return []
        with look():
            return write_figure(module.draw(selected, self.source), self.output_dir, name)

    def _course(self, simulation: str | None) -> SimulationTimeline | None:
        executions = self.analyzer.executions
        listed = list_simulations(_with_conversations(executions))
        if listed:
            one = choose(listed, simulation) if simulation is not None else _telling(listed)
            selected = simulation_timeline.select(trajectory(one, logged_events(executions.files, one.logged_as)))
            if selected is not None:
                return selected
        calls = executions.calls.drop_nulls("simulation")
        named = calls if simulation is None else calls.filter(_called(simulation))
        meant = named["simulation"].value_counts(sort=True).get_column("simulation").to_list()
        if simulation is not None and not meant:
            raise UserMistake(f"no simulation is called {simulation!r}")
        if not meant:
            return None
        changes = executions.state_changes
        own = [frame.filter(frame["simulation"] == meant[0]) for frame in (calls, changes)]
        return simulation_timeline.select_calls(*own)


def _called(name: str) -> pl.Expr:
    """Whether a call is of a simulation whose id begins so, or whose DOMAIN:TASK or DOMAIN:TASK:TRIAL this is."""
    task = pl.concat_str(pl.col("domain").str.strip_suffix(SUFFIX), "task", separator=":")
    trial = pl.concat_str(task, pl.col("trial").cast(pl.String), separator=":")
    asked = plain_name(name)
    return pl.col("simulation").str.starts_with(name) | (task == asked) | (trial == asked)


def _with_conversations(executions: Executions) -> list[Path]:
    """The results files that were read; of a run that goes on, its record."""
    if executions.results:
        return [results.path for results in executions.results]
    records = {file.parent.parent / "record.jsonl" for file in executions.files if file.parent.name == "events"}
    return sorted(path for path in records if path.is_file())


def _telling(listed: Sequence[Listed]) -> Listed:
    """The longest simulation that failed, else the longest."""
    return max(listed, key=lambda one: (one.reward is not None and one.reward < 1, one.duration_s))
