"""A comparison as tables of text and sentences, which the terminal and `compare.md` show alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tau2_enhanced.analysis.compare.changes import CHANGES
from tau2_enhanced.analysis.compare.comparison import task_name
from tau2_enhanced.analysis.compare.measures import MEASURES, Measure
from tau2_enhanced.analysis.compare.paired import Difference
from tau2_enhanced.analysis.compare.sentences import Amounts, percent

_NAMED = 5
"""How many tasks a sentence names."""


class TextTable(NamedTuple):
    """A table whose cells are text."""

    title: str
    names: Sequence[str]
    """Headings of the columns to the left."""
    numbers: Sequence[str]
    """Headings of the columns of numbers, to their right."""
    rows: Sequence[Sequence[str]]


def overview(found: Mapping[str, Any]) -> TextTable:
    """A column for each run."""
    runs = found["runs"]
    facts = [_facts(run) for run in runs]
    rows = [[name, *(of[name] for of in facts)] for name in facts[0]]
    return TextTable("runs", ("run",), [run["name"] for run in runs], rows)


def _facts(run: Mapping[str, Any]) -> dict[str, str]:
    least, most = run["least_trials"], run["most_trials"]
    pass_1 = run["pass_1"]
    of = f"{run['planned']} planned" if run["planned"] is not None else f"{run['begun']} begun"
    ends = (pass_1["low"], pass_1["high"])
    return {
        "agent": ", ".join(run["agent_models"]),
        "user": ", ".join(run["user_models"]),
        "tasks": str(run["tasks"]),
        "trials a task": str(most) if least == most else f"{least} – {most}",
        "verdicts": f"{run['verdicts']} of {of}",
        "pass^1 %": _number(_points(pass_1["value"]), 1),
        "pass^1, 95 %": "–" if None in ends else " – ".join(_number(_points(end), 1) for end in ends),
        "duration of a task s": _number(run["mean_duration_s"], 2),
        "cost of a task USD": _number(run["mean_cost_usd"], 4),
        "input tokens a task": _number(run["mean_input_tokens"], 0),
        "output tokens a task": _number(run["mean_output_tokens"], 0),
        "wall time s": _number(run["wall_time_s"], 1),
    }


def notes(found: Mapping[str, Any]) -> list[str]:
    """What is to be known of the runs before their numbers are read."""
    said = []
    for run in found["runs"]:
        if len(run["run_ids"]) > 1:
            said.append(f"{run['name']} holds {len(run['run_ids'])} runs, whose trials count together")
        for key, what in (
            ("unfinished", "had not ended and are left out"),
            ("without_verdict", "ended without a verdict" + (" and are left out" if run["verdicts"] else "")),
        ):
            if run[key]:
                said.append(f"{run['name']}: {run[key]} of {run['begun']} simulations {what}")
        if run["unreadable_lines"]:
            said.append(f"{run['name']}: {run['unreadable_lines']} lines could not be read")
    trials = [(run["least_trials"], run["most_trials"]) for run in found["runs"]]
    if len(set(trials)) > 1:
        said.append("the runs have different numbers of trials; each task's are averaged first")
    # a results file names the provider too
    users = {tuple(model.rpartition("/")[2] for model in run["user_models"]) for run in found["runs"]}
    if len(users) > 1:
        said.append("the runs have different user simulators: what differs need not be the agent's doing")
    if len({run["source"] for run in found["runs"]}) > 1:
        of_results = " and ".join(run["name"] for run in found["runs"] if run["source"] == "results")
        said.append(
            f"{of_results}: results files tell durations, tokens and model calls otherwise than logs do, so these are "
            "not compared with a log; of costs a log's experts count as the agent's, and its judge is left out"
        )
    return said


def measures(pair: Mapping[str, Any]) -> TextTable:
    """A row for each measure of two runs."""
    tasks = "1 task" if pair["tasks"] == 1 else f"{pair['tasks']} tasks"
    title = f"{pair['run']} against {pair['baseline']}, {tasks}"
    numbers = (pair["baseline"], pair["run"], "difference", "95 %", "%", "tasks")
    rows = [
        _measure_row(measure, pair["measures"][measure.key]) for measure in MEASURES if measure.key in pair["measures"]
    ]
    return TextTable(title, ("a task",), numbers, rows)


def _measure_row(measure: Measure, row: Mapping[str, Any]) -> list[str]:
    difference = difference_of(row)
    amounts = Amounts(difference, measure)
    return [
        f"{measure.name} {amounts.unit}".rstrip(),
        amounts.mean(row["baseline"]),
        amounts.mean(row["run"]),
        amounts.signed(row["difference"]),
        interval_text(difference, amounts),
        percent(difference).removesuffix(" %") or "–",
        str(row["tasks"]),
    ]


def difference_of(row: Mapping[str, Any]) -> Difference:
    """The difference that a measure's numbers are of."""
    return Difference(row["tasks"], row["baseline"], row["run"], row["difference"], row["low"], row["high"])


def interval_text(difference: Difference, amounts: Amounts) -> str:
    if difference.low is None or difference.high is None:
        return "all alike" if difference.tasks > 1 else "one task"
    return f"{amounts.signed(difference.low)} to {amounts.signed(difference.high)}"


def sentences(pair: Mapping[str, Any]) -> list[str]:
    """What can be told first, then what can't, then which tasks and measures were left out."""
    rows = sorted(pair["measures"].values(), key=lambda row: not row["decided"])
    said = [row["sentence"] for row in rows]
    for key, name in (("baseline_only", pair["baseline"]), ("run_only", pair["run"])):
        if tasks := pair[key]:
            more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
            count = "1 task" if len(tasks) == 1 else f"{len(tasks)} tasks"
            said.append(f"only {name} has {count}, left out here: {', '.join(tasks[:_NAMED])}{more}")
    return said + [f"not compared: {reason}" for reason in pair["left_out"]]


def changes(pair: Mapping[str, Any]) -> TextTable | None:
    """A row for each task whose verdicts changed; None where none did."""
    if not pair["changes"]:
        return None
    here, there = pair["baseline"], pair["run"]
    kinds = [change["change"] for change in pair["changes"]]
    counted = ", ".join(f"{kinds.count(kind)} {meaning}" for kind, meaning in CHANGES.items() if kind in kinds)
    numbers = [f"{what} {name}" for what in ("passed", "reward", "s") for name in (here, there)]
    return TextTable(
        f"verdicts that changed from {here} to {there}: {counted}",
        ("change", "task"),
        numbers,
        [_change_row(change) for change in pair["changes"]],
    )


def _change_row(change: Mapping[str, Any]) -> list[str]:
    both = (change["baseline"], change["run"])
    return [
        change["change"].replace("_", " "),
        task_name(change["domain"], change["task"]),
        *(f"{round(of['pass_1'] * of['judged'])}/{of['judged']}" for of in both),
        *(_number(of["reward"], 2) for of in both),
        *(_number(of["duration_s"], 2) for of in both),
    ]


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
