"""Conversations whose evaluation failed and was made in a later attempt: what that came to is theirs."""

from __future__ import annotations

import polars as pl

_DECIDED = ("reward", "termination_reason", "error_type")


def with_later_verdicts(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The outcomes of attempts, by `simulation`; a conversation's with the verdict and the costs of its evaluations.

    An evaluation names in `continues` the conversation that it evaluated; its own outcome stays as it is.
    """
    evaluations = outcomes.drop_nulls("continues")
    if not evaluations.height:
        return outcomes
    later = evaluations.group_by("continues", maintain_order=True).agg(
        *(pl.col(name).filter(pl.col("reward").is_not_null()).last() for name in _DECIDED),
        pl.when(pl.col("cost_usd").is_not_null().all()).then(pl.col("cost_usd").sum()),
        pl.col("judge_cost_usd").sum(),
        pl.lit(True).alias("evaluated"),
    )
    both = outcomes.join(later, left_on="simulation", right_on="continues", how="left", suffix="_later")
    cost = pl.col("cost_usd") + pl.col("cost_usd_later")
    judge_cost = pl.sum_horizontal("judge_cost_usd", "judge_cost_usd_later")
    return both.with_columns(
        *(
            pl.when(pl.col("reward_later").is_not_null()).then(f"{name}_later").otherwise(name).alias(name)
            for name in _DECIDED
        ),
        pl.when("evaluated").then(cost).otherwise("cost_usd").alias("cost_usd"),
        # a part of an unknown sum may be unknown itself
        pl.when("evaluated")
        .then(pl.when(cost.is_not_null()).then(judge_cost))
        .otherwise("judge_cost_usd")
        .alias("judge_cost_usd"),
    ).select(outcomes.columns)
