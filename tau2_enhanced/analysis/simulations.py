"""The simulations of a table: a row for each attempt, with what it came to, what it used and where its time went.

A log of a resumed run also holds attempts that were killed or got no verdict; `counts` tells them apart.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from tau2_enhanced.analysis.later_verdicts import with_later_verdicts
from tau2_enhanced.analysis.pass_k import TOLERANCE
from tau2_enhanced.analysis.table import MODEL_CALLS, RETRIES, Choice, EventTable

VERDICTS = ("passed", "failed", "no verdict")
PARTS = {
    "model_ms": ("llm_call", "expert_call"),
    "user_simulator_ms": ("user_sim",),
    "judge_ms": ("evaluator",),
    "tools_ms": ("tool_call",),
}
"""What a simulation's time goes to, and which events tell; see `MORE_PARTS` for the rest."""
MORE_PARTS = ("retry_wait_ms", "unfinished_call_ms", "framework_ms")
_NO_ACTS = ("heartbeat", "task_complete")
"""Events that say nothing of whether a call was answered."""
_BEAT = ("beat_ms", "still_since_ms")
_NO_CALL = "evaluator"
"""What heartbeats name while tau2 evaluates, which is work of the framework."""
_IDENTITY = ("run", "domain", "task", "trial")
_OUTCOME = {
    "reward": pl.Float64(),
    "termination_reason": pl.String(),
    "error_type": pl.String(),
    "steps": pl.Int64(),
    "cost_usd": pl.Float64(),
    "agent_cost_usd": pl.Float64(),
    "user_cost_usd": pl.Float64(),
    "expert_cost_usd": pl.Float64(),
    "judge_cost_usd": pl.Float64(),
    "continues": pl.String(),
}
_TOOL_COUNTS = ("tool_calls", "tool_errors")
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens")

_TRIAL = pl.concat_str(_IDENTITY, separator=" ", ignore_nulls=True)
SIMULATION = pl.coalesce("sim", pl.when(pl.col("task").is_not_null()).then(_TRIAL))
"""Which simulation an event belongs to: its id, or where a log has none its run, domain, task and trial."""


def simulations(table: EventTable) -> pl.DataFrame:
    """A row for each attempt at a task's trial, in the order in which they began.

    Columns: `simulation` (an id), `run`, `domain`, `task`, `trial`, `thread`; `start_ms` and `end_ms` of its first
    and last event, since the run's start; `duration_ms` (as logged, or else from first to last event); `begun` and
    `ended`, whether its start or end and its end are in the log; `counts`, whether it is the attempt that counts
    (the one with a verdict, else the last that ended, else the last; of a conversation and its later evaluation the
    conversation); `reward`, `verdict`, `termination_reason`, `error_type`, `steps`; `continues`, the conversation that
    this attempt only evaluated, whose row has the verdict and the costs of both; `agent_model`; costs in USD, None
    where unknown; tokens of all its calls; `llm_calls`, `tool_calls`, `tool_errors`, `retries`, those of models None
    where no call of one is known; and the parts of its time, which add up to `duration_ms`: a part is None where it
    is unknown how long one of its calls took, and then `framework_ms` is too. `unfinished_call_ms` is how long a call
    had been waited for, as the last heartbeat says, when its simulation was killed or given up; `waiting_for` is what
    that heartbeat names. Of a simulation that took steps without a trace of them (logged below PROFILE) what was not
    logged is None: parts, counts and tokens.
    """
    whole = _spans(table)
    of_calls = (_model_calls(table), _tool_calls(table), _heartbeats(table), _agent_models(table), _followed(table))
    for more in (_begun(table), _outcomes(table), *of_calls):
        whole = whole.join(more, on="simulation", how="left")
    found = _complete(whole)
    if any(table.of(kind).height for kind in MODEL_CALLS):
        return found
    # whoever recorded tools alone does not say that no model was asked
    return found.with_columns(pl.lit(None, pl.Int64).alias(name) for name in ("retries", "llm_calls", *_TOKENS))


def chosen(table: EventTable, choice: Choice) -> EventTable:
    """The table of what is meant. Of `choice`, since and until mean when a simulation's last event was.

    A simulation is in whole or not at all, so that the parts of its time still add up; what belongs to no
    simulation goes by its own time.
    """
    kept = table.chosen(replace(choice, since=None, until=None))
    if choice.since is None and choice.until is None:
        return kept
    named = {kind: frame.with_columns(SIMULATION.alias("simulation")) for kind, frame in kept.frames.items()}
    last = pl.concat([frame.select("simulation", "timestamp") for frame in named.values()])
    times = last.drop_nulls().group_by("simulation").agg(pl.col("timestamp").max().alias("last"))
    frames = {}
    for kind, frame in named.items():
        timed = frame.join(times, on="simulation", how="left", maintain_order="left")
        meant = timed.with_columns(pl.coalesce("last", "timestamp").alias("last")).filter(choice.in_time("last"))
        if meant.height:
            frames[kind] = meant.drop("simulation", "last")
    return replace(kept, frames=frames, chosen_of=table.logged)


def _spans(table: EventTable) -> pl.DataFrame:
    """The span of each simulation over events of all types; `acted_ms` is when the last thing that it did ended."""
    identity: dict[str, pl.DataType] = {name: pl.String() for name in ("kind", "simulation", *_IDENTITY, "thread")}
    schema = identity | {"trial": pl.Int64(), "start_ms": pl.Float64(), "end_ms": pl.Float64()}
    spans = [_span(frame.lazy()).select(pl.lit(kind).alias("kind"), pl.all()) for kind, frame in table.frames.items()]
    parts = pl.collect_all(spans)
    whole = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    return whole.group_by("simulation").agg(
        *(pl.col(name).drop_nulls().first() for name in (*_IDENTITY, "thread")),
        pl.col("start_ms").min(),
        pl.col("end_ms").max(),
        pl.col("end_ms").filter(~pl.col("kind").is_in(_NO_ACTS)).max().alias("acted_ms"),
    )


def _span(frame: pl.LazyFrame) -> pl.LazyFrame:
    schema = frame.collect_schema()
    waited = pl.col("retry_wait_ms").fill_null(0.0) if _is_number(schema, "retry_wait_ms") else pl.lit(0.0)
    return (
        frame.with_columns(SIMULATION.alias("simulation"))
        .filter(pl.col("simulation").is_not_null())
        .group_by("simulation")
        .agg(
            *(pl.col(name).drop_nulls().first() for name in (*_IDENTITY, "thread")),
            (pl.col("start_ms") - waited).min().alias("start_ms"),
            ended_ms(schema).max().alias("end_ms"),
        )
    )


def ended_ms(schema: pl.Schema) -> pl.Expr:
    """When an event of a frame with these columns ended, in ms since the run's start."""
    lengths = ("duration_ms", "total_duration_ms")
    took = [pl.col(name).fill_null(0.0) for name in lengths if _is_number(schema, name)]
    return pl.col("start_ms") + (took[0] if took else pl.lit(0.0))


def _is_number(schema: pl.Schema, name: str) -> bool:
    return name in schema and schema[name].is_numeric()


def _complete(whole: pl.DataFrame) -> pl.DataFrame:
    """The rows with what follows from their columns, and without gaps where nothing happened."""
    parts = [*PARTS, *MORE_PARTS[:-1]]
    unseen = (pl.col("steps").fill_null(0) > 0) & pl.col("followed").is_null()
    called = {name: "llm_calls" if kinds[0] in MODEL_CALLS else "tool_calls" for name, kinds in PARTS.items()}
    nothing = {name: pl.col(count).is_null() & ~unseen for name, count in called.items()}
    whole = whole.with_columns(
        *(pl.when(none).then(0.0).otherwise(name).alias(name) for name, none in nothing.items()),
        pl.when(~unseen).then(pl.col("retry_wait_ms").fill_null(0.0)),
        pl.when(~unseen).then(_unfinished_call_ms()).alias("unfinished_call_ms"),
        pl.when(~unseen).then(pl.col("retries", "llm_calls", *_TOKENS).fill_null(0)),
        *(pl.when(unseen).then(name).otherwise(pl.col(name).fill_null(0)).alias(name) for name in _TOOL_COUNTS),
        pl.col("ended").fill_null(False),
        (pl.col("begun").fill_null(False) | pl.col("ended").fill_null(False)).alias("begun"),
        pl.coalesce("duration_ms", pl.col("end_ms") - pl.col("start_ms")).alias("duration_ms"),
    )
    whole = whole.with_columns(pl.when(~unseen).then("model_ms")).drop("followed", "acted_ms", *_BEAT)
    rest = (pl.col("duration_ms") - pl.sum_horizontal(parts, ignore_nulls=False)).clip(0.0)
    whole = _with_counts(whole.with_columns(rest.alias("framework_ms"), _verdict().alias("verdict")))
    return whole.sort("run", "start_ms", "simulation", nulls_last=True)


def _begun(table: EventTable) -> pl.DataFrame:
    begun = table.of("task_start").select(SIMULATION.alias("simulation")).drop_nulls().unique()
    return begun.with_columns(pl.lit(True).alias("begun"))


def _outcomes(table: EventTable) -> pl.DataFrame:
    ends = table.of("task_complete").with_columns(SIMULATION.alias("simulation"))
    outcomes = (
        ends.filter(pl.col("simulation").is_not_null())
        .group_by("simulation", maintain_order=True)
        .agg(pl.col("duration_ms").last(), *(pl.col(name).last() for name in _OUTCOME), pl.lit(True).alias("ended"))
    )
    return with_later_verdicts(outcomes)


def _model_calls(table: EventTable) -> pl.DataFrame:
    """Times and tokens of the calls of models, the time before a call that was tried again, and retries."""
    columns = ("duration_ms", "retry_wait_ms", "attempts", "error_type", *_TOKENS)
    named = (SIMULATION.alias("simulation"), *map(pl.col, columns))
    calls = [table.of(kind).select(pl.lit(kind).alias("kind"), *named) for kind in MODEL_CALLS]
    timed = {name: kinds for name, kinds in PARTS.items() if set(kinds) <= set(MODEL_CALLS)}
    # one that failed may have had no attempt that took any time
    known = pl.col("duration_ms").is_not_null() | pl.col("error_type").is_not_null()
    return (
        pl.concat(calls)
        .filter(pl.col("simulation").is_not_null())
        .group_by("simulation")
        .agg(
            *(_sum_if(known, pl.col("kind").is_in(kinds)).alias(name) for name, kinds in timed.items()),
            pl.col("retry_wait_ms").sum(),
            RETRIES.sum().alias("retries"),
            (pl.col("kind") == "llm_call").sum().cast(pl.Int64).alias("llm_calls"),
            *(pl.col(name).sum() for name in _TOKENS),
        )
    )


def _tool_calls(table: EventTable) -> pl.DataFrame:
    calls = table.of("tool_call").select(SIMULATION.alias("simulation"), "duration_ms", "error")
    return (
        calls.filter(pl.col("simulation").is_not_null())
        .group_by("simulation")
        .agg(
            _sum_if(pl.col("duration_ms").is_not_null(), pl.lit(True)).alias("tools_ms"),
            pl.len().cast(pl.Int64).alias("tool_calls"),
            pl.col("error").sum().cast(pl.Int64).alias("tool_errors"),
        )
    )


def _heartbeats(table: EventTable) -> pl.DataFrame:
    """Of each simulation's last heartbeat: when it was, since when nothing had happened, what was waited for."""
    beats = table.of("heartbeat").with_columns(SIMULATION.alias("simulation")).drop_nulls(("simulation", "start_ms"))
    return (
        beats.sort("start_ms")
        .unique("simulation", keep="last", maintain_order=True)
        .select(
            "simulation",
            pl.col("start_ms").alias("beat_ms"),
            (pl.col("start_ms") - pl.coalesce("age_ms", "waiting_ms")).alias("still_since_ms"),
            "waiting_for",
        )
    )


def _unfinished_call_ms() -> pl.Expr:
    """From the start of the call that the last heartbeat names to the end, where nothing says that it was over."""
    hangs = (pl.col("waiting_for") != _NO_CALL) & (pl.col("beat_ms") >= pl.col("acted_ms"))
    since = pl.max_horizontal("still_since_ms", "acted_ms")
    return pl.when(hangs).then(pl.col("end_ms") - since).fill_null(0.0)


def _sum_if(known: pl.Expr, meant: pl.Expr) -> pl.Expr:
    """How long the meant calls took together; None where that of one is not known."""
    return pl.when((known | ~meant).all()).then(pl.col("duration_ms").filter(meant).sum())


def _followed(table: EventTable) -> pl.DataFrame:
    """The simulations of which a step is known."""
    frames = [table.of(kind).select(SIMULATION.alias("simulation")) for kind in ("llm_call", "step_complete")]
    return pl.concat(frames).drop_nulls().unique().with_columns(pl.lit(True).alias("followed"))


def _agent_models(table: EventTable) -> pl.DataFrame:
    calls = table.of("llm_call").select(SIMULATION.alias("simulation"), pl.col("model").alias("agent_model"))
    return calls.drop_nulls().unique("simulation", keep="first", maintain_order=True)


def _verdict() -> pl.Expr:
    reward = pl.col("reward")
    return (
        pl.when(reward.is_null())
        .then(pl.lit("no verdict"))
        .when((reward - 1.0).abs() <= TOLERANCE)
        .then(pl.lit("passed"))
        .otherwise(pl.lit("failed"))
    )


def _with_counts(whole: pl.DataFrame) -> pl.DataFrame:
    """Of a trial's attempts the one with a verdict counts, else the last that ended, else the last.

    An evaluation alone counts only where its conversation is not known.
    """
    trial = pl.when(pl.col("task").is_not_null()).then(_TRIAL).otherwise("simulation")
    better_last = [pl.col("reward").is_not_null(), pl.col("continues").is_null(), pl.col("ended"), pl.col("start_ms")]
    place, places = pl.int_range(pl.len()).over(trial), pl.len().over(trial)
    return whole.sort(better_last, nulls_last=False).with_columns((place == places - 1).alias("counts"))


def count_attempts(found: pl.DataFrame) -> dict[str, int]:
    """How many attempts count, how many were repeated, and how many never ended."""
    begun = found.filter("begun")
    return {
        "counting": int(begun["counts"].sum()),
        "repeated": int((~begun["counts"]).sum()),
        "unfinished": int((~begun["ended"]).sum()),
    }
