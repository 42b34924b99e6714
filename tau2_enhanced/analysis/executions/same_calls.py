"""Which calls are the same as one before in their simulation."""

from __future__ import annotations

import json

import polars as pl

from tau2_enhanced.analysis.line_pattern import escaped
from tau2_enhanced.logging.plain import canonical

_CALL = ["simulation", "requestor", "tool_name", "arguments"]
_SAME = [*_CALL, "changes"]


def with_repeats(calls: pl.DataFrame) -> pl.DataFrame:
    """The calls with `arguments` (their JSON, names in order), `repeated` and `repeats_error`.

    A call is repeated where the same participant made it in the same simulation with the same arguments since
    the state last changed; `repeats_error` where the call before it had failed. `repeated` is None where that is
    not known: of calls whose simulation or arguments are unknown, and where another call came between that did not
    fail and of which nothing tells what it changed. A call that failed is taken to have changed nothing then, and so
    is the call itself.
    """
    before = pl.col("state_changed").fill_null(False).cast(pl.Int64)
    unclear = (pl.col("state_changed").is_null() & pl.col("success").fill_null(True)).cast(pl.Int64)
    changed = calls.with_columns(
        pl.col("tool_args").replace_strict(_canonical(calls["tool_args"]), return_dtype=pl.String()).alias("arguments"),
        (before.cum_sum().over("simulation") - before).alias("changes"),
    ).with_columns((unclear.cum_sum().over("simulation") - unclear.cum_sum().over(_CALL)).alias("unclear_others"))
    known = pl.col("simulation").is_not_null() & pl.col("arguments").is_not_null()
    first = pl.int_range(pl.len()).over(_SAME) == 0
    again = pl.int_range(pl.len()).over(*_SAME, "unclear_others") > 0
    failed = pl.col("success").eq(False).shift(1).over(_SAME).fill_null(False)
    repeated = pl.when(known & (first | again)).then(again)
    return changed.with_columns(repeated.alias("repeated"), (repeated & failed).alias("repeats_error"))


def _canonical(texts: pl.Series) -> dict[str | None, str | None]:
    """Each text of arguments, and the same with its names in order."""
    return {None: None} | {text: _ordered(text) for text in texts.drop_nulls().unique()}


def _ordered(text: str) -> str:
    try:
        return escaped(canonical(json.loads(text)))
    except ValueError:
        return text
