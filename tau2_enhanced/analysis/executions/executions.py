"""What there is to analyse: a simulation's own calls and what came of them, with the evaluator's set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import polars as pl

from tau2_enhanced.analysis.executions.earlier_files import TOLD_BY
from tau2_enhanced.analysis.executions.same_calls import with_repeats
from tau2_enhanced.analysis.results_file import ResultsFile
from tau2_enhanced.analysis.series import duration_series
from tau2_enhanced.analysis.simulations import SIMULATION
from tau2_enhanced.analysis.table import EventTable
from tau2_enhanced.analysis.tool_executions import AS_EXECUTION, LIVE, with_tool_calls
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.results_format import LONGEST_S


class SetAside(NamedTuple):
    """Tool calls that are none of a simulation's."""

    replay: int
    """Those of simulations, played again by the evaluator."""
    gold: int
    """The task's own actions, played by the evaluator."""
    assumed: int
    """Those of all calls, counted or not, of which nothing but their times says whose they are."""


@dataclass(frozen=True)
class Executions:
    """Everything that was read. Frames have the columns of their events' schema, JSON values as texts."""

    table: EventTable
    """All events, those of the evaluator's environments too."""
    results: Sequence[ResultsFile] = ()
    files: Sequence[Path] = ()
    notes: list[str] = field(default_factory=list)
    """What a reader has to know of the numbers, in sentences."""

    def require_some(self) -> None:
        """Raise UserMistake where nothing is told: no call, no change, no simulation and no time."""
        told = (self.calls, self.state_changes, self.context_reductions)
        if any(frame.height for frame in told) or any(results.simulations for results in self.results):
            return
        if not duration_series(with_tool_calls(self.table)):
            raise UserMistake(
                "these logs have neither tool calls nor timed events: run with --enhanced or --log-level PROFILE"
            )

    @cached_property
    def calls(self) -> pl.DataFrame:
        """A row for each live tool call, in the order in which they began.

        The columns of `ToolExecutionEvent`, `simulation` (an id; None where the event names none), `began` (the
        time of day), `duration_ms` and `error` (as text what went wrong: its message, else its type; None where it
        succeeded or did not say).
        Log lines of tool calls stand in where a simulation has no events of tool executions.
        """
        executed = self.live("tool_execution")
        logged = self.live("tool_call")
        if logged.height:
            known = executed["simulation"].drop_nulls().unique()
            logged = logged.filter(~pl.col("simulation").is_in(known.implode()).fill_null(False))
            renamed = logged.rename(AS_EXECUTION).with_columns(
                (pl.col("duration_ms") / 1000).alias("execution_time"), (~pl.col("error")).alias("success")
            )
            executed = pl.concat([executed, renamed.drop("duration_ms", "error")], how="diagonal_relaxed")
        failed = pl.when(pl.col("success").eq(False))
        measured = pl.when(pl.col("execution_time").is_between(0, LONGEST_S))
        return (
            executed.with_columns(measured.then("execution_time").alias("execution_time"))
            .with_columns(
                (pl.col("execution_time") * 1000).alias("duration_ms"),
                failed.then(pl.coalesce("error_message", "error_type", pl.lit("unknown"))).alias("error"),
                _began().alias("began"),
            )
            .sort("began", nulls_last=True, maintain_order=True)
        )

    @cached_property
    def calls_with_repeats(self) -> pl.DataFrame:
        """The calls with what `with_repeats` adds."""
        return with_repeats(self.calls)

    @cached_property
    def state_changes(self) -> pl.DataFrame:
        """A row for each change of a database by a live call: the columns of `StateChangeEvent`, and `simulation`."""
        return self.live("state_change")

    @cached_property
    def context_reductions(self) -> pl.DataFrame:
        """A row for each context made shorter: the columns of `ContextReductionEvent`, and `simulation`."""
        return self.live("context_reduction")

    def live(self, kind: str) -> pl.DataFrame:
        """The events of a type that are not the evaluator's, with the `simulation` they belong to."""
        return self.table.of(kind).with_columns(SIMULATION.alias("simulation")).filter(LIVE)

    @cached_property
    def set_aside(self) -> SetAside:
        """How many tool calls are the evaluator's."""
        frames = [self.table.of(kind) for kind in ("tool_execution", "tool_call")]
        phases = pl.concat([frame["phase"] for frame in frames])
        told = [frame[TOLD_BY] for frame in frames if TOLD_BY in frame.columns]
        assumed = sum(int((by == "assumed").sum()) for by in told)
        return SetAside(int((phases == "replay").sum()), int((phases == "gold").sum()), assumed)


def _began() -> pl.Expr:
    """When a call began: by the clock of its simulation's process where the event has it, else by the time of day.

    The former is exact and never goes back. Times of day are cut to the millisecond, and are set at times.
    """
    took = pl.duration(microseconds=(pl.col("execution_time").fill_null(0.0) * 1e6).cast(pl.Int64))
    since = pl.duration(microseconds=(pl.col("start_ms") * 1000).round().cast(pl.Int64, strict=False))
    # one process has all of a `sim`, while a run that was resumed has a clock for each of its processes
    origin = (pl.col("timestamp").dt.cast_time_unit("us") - took - since).min().over("sim")
    by_clock = pl.when(pl.col("sim").is_not_null()).then(origin + since)
    return pl.coalesce(by_clock, (pl.col("timestamp") - took).dt.cast_time_unit("us"))
