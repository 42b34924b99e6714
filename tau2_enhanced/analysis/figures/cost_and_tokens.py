"""What each model used in each of its roles, and what that cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tau2_enhanced.analysis.figures.style import FAINT, INK, darker, event_colour, label, new_figure, role, short_number
from tau2_enhanced.analysis.number_texts import counted
from tau2_enhanced.analysis.table import MODEL_CALLS, EventTable

MOST_ROWS = 20
_ROLES_IN_ORDER = ("llm_call", "expert_call", "user_sim", "evaluator")


class Usage(NamedTuple):
    """What one model used in one role. None is unknown."""

    kind: str
    model: str
    calls: int
    input_tokens: int | None
    """Cached ones included."""
    cached_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    """Of the calls whose cost is known."""
    unknown_costs: int
    """Answered calls whose cost is unknown."""


class Usages(NamedTuple):
    rows: list[Usage]
    """By role; in each the model that cost most first."""
    more: int

    @property
    def cost_known(self) -> bool:
        return any(row.cost_usd is not None for row in self.rows)


def select(table: EventTable) -> Usages | None:
    """Tokens and cost by role and model; None where neither is known of any call."""
    answered = pl.col("error_type").is_null()
    found = pl.concat(
        table.of(kind)
        .lazy()
        .group_by(pl.lit(kind).alias("kind"), pl.col("model").fill_null(""))
        .agg(
            pl.len().cast(pl.Int64).alias("calls"),
            *(_known_sum(name) for name in ("input_tokens", "cached_tokens", "output_tokens", "cost_usd")),
            (answered & pl.col("cost_usd").is_null()).sum().cast(pl.Int64).alias("unknown_costs"),
        )
        for kind in MODEL_CALLS
    ).collect()
    found = found.filter(pl.any_horizontal(pl.col("input_tokens", "output_tokens", "cost_usd").is_not_null()))
    if not found.height:
        return None
    places = {kind: place for place, kind in enumerate(_ROLES_IN_ORDER)}
    place = pl.col("kind").replace_strict(places, default=len(places), return_dtype=pl.Int64)
    order = [place, pl.col("cost_usd"), pl.col("input_tokens"), pl.col("model")]
    found = found.sort(order, descending=[False, True, True, False], nulls_last=True)
    rows = [Usage(**row) for row in found.head(MOST_ROWS).to_dicts()]
    return Usages(rows, found.height - len(rows))


def role_costs(rows: list[Usage]) -> dict[str, str]:
    """What each role cost in USD, in words; unknown where nothing is known."""
    return {role(kind): _total([row for row in rows if row.kind == kind]) for kind in {row.kind: None for row in rows}}


def _known_sum(name: str) -> pl.Expr:
    known = pl.col(name).drop_nulls()
    return pl.when(known.len() > 0).then(known.sum()).alias(name)


def draw(selected: Usages, source: str) -> Figure:
    """A row for each role and model; columns for tokens in, tokens out and cost."""
    rows = selected.rows
    more = f" · and {counted(selected.more, 'more model')}" if selected.more else ""
    by_role = ", ".join(f"{name} {cost}" for name, cost in role_costs(rows).items())
    cost = f"cost by role in USD: {by_role}" if selected.cost_known else "no cost is known"
    caption = f"n = {counted(sum(row.calls for row in rows), 'model call')}{more} · {cost} · {source}"
    figure = new_figure("Tokens and cost", caption, 1.2 + 0.5 * max(len(rows), 2))
    columns = figure.subplots(1, 2 + selected.cost_known, sharey=True, squeeze=False)[0]
    _bars(columns[0], "tokens in (cached: pale)", rows, [row.input_tokens for row in rows], _input_text)
    for place, row in enumerate(rows):
        edge = darker(event_colour(row.kind))
        if row.cached_tokens:
            columns[0].barh(place + 0.15, row.cached_tokens, 0.4, color="white", alpha=0.6)
            columns[0].barh(place + 0.15, row.cached_tokens, 0.4, color="none", edgecolor=edge, linewidth=0.6)
    _bars(columns[1], "tokens out", rows, [row.output_tokens for row in rows], _output_text)
    if selected.cost_known:
        _bars(columns[2], f"cost in USD: {_total(rows)}", rows, [row.cost_usd for row in rows], _cost_text)
    columns[0].set_yticks(range(len(rows)), [f"{role(row.kind)}\n{label(row.model, 24)}" for row in rows])
    columns[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _bars(
    axes: Axes, title: str, rows: list[Usage], values: Sequence[float | None], text: Callable[[Usage], str]
) -> None:
    """A bar for each row with its value above it; none where the value is unknown."""
    axes.set_title(title)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    whole = all(isinstance(value, int) for value in values if value is not None)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=whole))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        colour = event_colour(row.kind)
        axes.barh(place + 0.15, value or 0.0, 0.4, color=colour, edgecolor=darker(colour), linewidth=0.6)
        axes.text(0, place - 0.09, f" {text(row)}", va="bottom", size=8, color=FAINT if value is None else INK)
    most = max(value or 0.0 for value in values)
    axes.set_xlim(0, 1.05 * most or 1.0)
    if not most:
        axes.set_xticks([0])


def _input_text(row: Usage) -> str:
    if row.input_tokens is None:
        return "unknown"
    cached = f" ({row.cached_tokens / row.input_tokens:.0%} cached)" if row.cached_tokens and row.input_tokens else ""
    return short_number(row.input_tokens) + cached


def _output_text(row: Usage) -> str:
    return "unknown" if row.output_tokens is None else short_number(row.output_tokens)


def _cost_text(row: Usage) -> str:
    if row.cost_usd is None:
        return "unknown"
    return _usd(row.cost_usd) + (f" (of {counted(row.unknown_costs, 'call')} unknown)" if row.unknown_costs else "")


def _total(rows: list[Usage]) -> str:
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    if not known:
        return "unknown"
    return ("at least " if any(row.unknown_costs for row in rows) else "") + _usd(sum(known))


def _usd(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else short_number(value)
