"""A trajectory, and a list of simulations, on the terminal. In a pipe they are plain text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tau2_enhanced.analysis.number_texts import UNKNOWN, count_text, counted, duration_text
from tau2_enhanced.analysis.pass_k import is_success
from tau2_enhanced.analysis.terminal_text import harmless, shortened
from tau2_enhanced.analysis.trajectory.listed import Listed
from tau2_enhanced.analysis.trajectory.trajectory import ToolUse, Trajectory, Turn
from tau2_enhanced.analysis.trajectory.verdict import Check, Verdict
from tau2_enhanced.logging.events import ContextReductionEvent, ModelCallEvent, StateChangeEvent, to_dict

_ANSWER, _ARGUMENT, _VALUE, _CHANGES = 320, 240, 80, 12
"""How much of an answer, of an argument and of a changed value is shown, in characters, and how many changes."""
_STYLES = {"agent": "bold blue", "user": "bold yellow", "system": "dim", "judge": "bold magenta"}
_SIGNS = {"add": "+", "remove": "-", "replace": "~"}
_NOT_THERE = "(none)"


def listing(listed: Sequence[Listed]) -> RenderableType:
    """A row for each simulation, with the name by which it is shown, and how many there are of each result."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    runs = len({one.run for one in listed}) > 1
    for name in (*(["run"] if runs else []), "simulation"):
        table.add_column(name, overflow="fold")
    for name in ("result", "s", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("ended by")
    table.add_column("id", overflow="ellipsis", no_wrap=True)
    for one in listed:
        table.add_row(
            *([Text(harmless(one.run))] if runs else []),
            Text(harmless(one.name)),
            _result(one.reward),
            f"{one.duration_s:,.2f}",
            _usd(one.cost_usd),
            Text(harmless(one.ended_by)),
            Text(harmless(one.sim or "")),
        )
    results = Counter(
        _result(one.reward).plain.removesuffix(f" {one.reward:g}" if one.reward is not None else "") for one in listed
    )
    by_result = ", ".join(f"{count} {result}" for result, count in results.most_common())
    paths = {one.path for one in listed}
    place = paths.pop() if len(paths) == 1 else listed[0].path.parent
    return Group(table, Text(f"{counted(len(listed), 'simulation')} in {place}: {by_result}", "dim"))


def shown(found: Trajectory, *, full: bool = False) -> RenderableType:
    """The whole simulation; `full` leaves nothing out of arguments, answers and changes."""
    parts: list[RenderableType] = [Group(*_head(found)), ""]
    if found.verdict:
        parts += [_verdict(found.verdict), ""]
    table = Table(box=None, pad_edge=False, expand=True, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("at s", justify="right", no_wrap=True, style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("", ratio=1, overflow="fold")
    table.add_column("took", justify="right", no_wrap=True, style="dim")
    for turn in found.turns:
        for row in _turn(turn, full=full):
            table.add_row(*row)
    for call in found.judge_calls:
        table.add_row(
            "", Text("judge", _STYLES["judge"]), Text(_model_call(call)), _took(call.duration_ms, call.cost_usd)
        )
    return Group(*parts, table)


def _head(found: Trajectory) -> Iterator[Text]:
    listed = found.listed
    name = f"{listed.domain} {listed.task} · trial {listed.trial}"
    yield Text.assemble((harmless(name), "bold"), " · ", _result(listed.reward))
    facts = [f"run {listed.run}", f"id {listed.sim}" if listed.sim else "", f"seed {found.seed}" if found.seed else ""]
    yield Text(harmless(" · ".join(filter(None, facts))), "dim")
    began = f"began {found.began}"[:25] if found.began else ""
    took = f"took {duration_text(1000 * listed.duration_s)}"
    yield Text(harmless(" · ".join(filter(None, (began, took, f"ended by {listed.ended_by}")))))
    yield Text(harmless(f"agent {found.agent_model or UNKNOWN} · user {found.user_model or UNKNOWN}"))
    roles = " · ".join(f"{role} {_usd(cost)}" for role, cost in found.cost_usd.items())
    tokens = [[turn.input_tokens, turn.output_tokens] for turn in found.turns if turn.input_tokens is not None]
    read, said = (sum(pair[place] or 0 for pair in tokens) for place in (0, 1))
    used = f" · tokens {count_text(read)} in, {count_text(said)} out" if tokens else ""
    yield Text(f"USD {_usd(listed.cost_usd)}: {roles}{used}")
    calls = [use for turn in found.turns for use in turn.tools]
    errors = sum(use.error for use in calls)
    counts = ((len(found.turns), "message"), (len(calls), "tool call"), (errors, "tool error"))
    yield Text(" · ".join(counted(count, noun) for count, noun in counts))
    if found.logs:
        yield Text(harmless(f"times from {', '.join(map(str, found.logs))}"), "dim")
    else:
        yield Text("no log of it: times are those between messages, those of tools are unknown", "dim")


def _result(reward: float | None) -> Text:
    if reward is None:
        return Text(_word(reward), "dim")
    return Text(f"{_word(reward)} {reward:g}", "green" if is_success(reward) else "bold red")


def _word(reward: float | None) -> str:
    return "no verdict" if reward is None else "passed" if is_success(reward) else "failed"


def _verdict(verdict: Verdict) -> RenderableType:
    product = " × ".join(f"{basis} {share:g}" for basis, share in verdict.breakdown.items())
    lines: list[RenderableType] = [Text(f"reward {verdict.reward:g}" + (f" = {product}" if product else ""), "bold")]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for check in verdict.checks:
        grid.add_row(*_check(check))
    for note in verdict.notes:
        grid.add_row("", "", Text(harmless(note), "dim"))
    return Group(*lines, Padding(grid, (0, 0, 0, 2)))


def _check(check: Check) -> tuple[Text, Text, Text]:
    style = "dim" if not check.counts else "" if check.met else "bold red"
    sign = Text("✓" if check.met else "✗", style or "green")
    what = check.what + (f" – {check.why}" if check.why else "") + ("" if check.counts else " (not in the reward)")
    return sign, Text(check.basis, style), Text(harmless(what), style)


def _turn(turn: Turn, *, full: bool) -> Iterator[tuple[Any, ...]]:
    at = "" if turn.at_s is None else f"{turn.at_s:,.2f}"
    for cut in turn.context_cuts:
        yield "", "", Text(_cut(cut), "magenta"), ""
    who: RenderableType = Text(turn.role, _STYLES[turn.role])
    took = _took(turn.model_ms, turn.cost_usd)
    text = (turn.content or "").strip()
    for line in _remarks(turn.model_calls):
        yield at, who, Text(line, "magenta"), ""
        at, who = "", ""
    if text or not turn.tools:
        yield at, who, Text(harmless(text) or "(says nothing)"), took
        at, who, took = "", "", ""
    for use in turn.tools:
        yield at, who, _call(use, full=full), took
        at, who, took = "", "", ""
        yield from ((at, who, line, beside) for line, beside in _answer(use, full=full))


def _call(use: ToolUse, *, full: bool) -> Text:
    most = None if full else _ARGUMENT
    given = [f"{name}={_json(value, most)}" for name, value in use.arguments.items()]
    return Text.assemble("→ ", (harmless(use.name), "bold cyan"), harmless(f"({', '.join(given)})"))


def _answer(use: ToolUse, *, full: bool) -> Iterator[tuple[Text, str]]:
    took = "" if use.duration_ms is None else duration_text(use.duration_ms)
    if use.answer is None and not use.error:
        yield Text("← the simulation ended first", "dim"), took
    else:
        text = use.answer or ""
        body = _indented(text) if full else shortened(" ".join(text.split()), _ANSWER)
        sign, style = ("✗ ", "bold red") if use.error else ("← ", "dim")
        yield Text(sign + harmless(body), style), took
    for change in use.changes:
        for line in _change(change, full=full):
            yield Text(harmless(line), "green"), ""


def _change(change: StateChangeEvent, *, full: bool) -> Iterator[str]:
    whose = "the user's " if change.state_type == "user_database" else ""
    changes = change.state_diff or []
    if not changes:
        yield f"± {whose}{change.change_summary or 'the database changed'}"
    kept = changes if full else changes[:_CHANGES]
    most = None if full else _VALUE
    for part in kept:
        sign = _SIGNS.get(part.get("op", ""), "±")
        old, new = (_json(part[name], most) if name in part else _NOT_THERE for name in ("old", "new"))
        values = {"+": new, "-": old}.get(sign, f"{old} → {new}")
        yield f"{sign} {whose}{part.get('path', '')}: {values}"
    if len(changes) > len(kept):
        yield f"± {len(changes) - len(kept)} changes more"


def _remarks(calls: Sequence[ModelCallEvent]) -> Iterator[str]:
    """What is worth a line of a turn's model calls: experts, failed attempts."""
    for call in calls:
        if len(calls) > 1 or call.error_type or (call.attempts or 1) > 1:
            yield harmless(_model_call(call))


def _model_call(call: ModelCallEvent) -> str:
    expert = to_dict(call).get("expert")
    tries = (call.attempts or 1) > 1
    parts = [
        f"expert {expert}" if expert else call.type.replace("_", " "),
        call.model or "",
        duration_text(call.duration_ms),
        f"{call.attempts} attempts" if tries else "",
        f"after {duration_text(call.retry_wait_ms)} of failed ones and waits" if tries and call.retry_wait_ms else "",
        f"failed: {call.error_type}" if call.error_type else "",
    ]
    return " · ".join(filter(None, parts))


def _cut(cut: ContextReductionEvent) -> str:
    return (
        f"context cut ({cut.strategy or 'unknown'}): {count_text(cut.messages_before)} → "
        f"{count_text(cut.messages_after)} messages"
    )


def _took(duration_ms: float | None, cost_usd: float | None) -> str:
    return " ".join(filter(None, ("" if duration_ms is None else duration_text(duration_ms), _usd(cost_usd, ""))))


def _usd(cost: float | None, unknown: str = UNKNOWN) -> str:
    if not cost:
        return unknown if cost is None else "0" if unknown else ""
    return f"${cost:.4f}" if not unknown else f"{cost:,.4f}"


def _json(value: Any, most: int | None) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if most is None else shortened(text, most)


def _indented(text: str) -> str:
    """JSON with a value on each line; any other text as it is."""
    with suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, Mapping | list):
            return json.dumps(value, indent=2, ensure_ascii=False)
    return text
