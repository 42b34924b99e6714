"""Every number of the summary that grep and awk can compute from the logs comes out the same."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from support import CHECKOUT, RunLocal

from tau2_enhanced.analysis.main import main
from tau2_enhanced.analysis.series import ROLES
from tau2_enhanced.models.stand_in.plays import play_of
from tau2_enhanced.models.stand_in.process import StandInProcess

DOMAINS = ("mock", "airline", "retail", "telecom")
SERIES = {
    **dict.fromkeys(ROLES, ("model", ("duration", "ttft", "decode"))),
    "tool_call": ("function", ("duration",)),
    "step_complete": ("from_role", ("duration",)),
}
"""By which field events of a type are told apart, and what of them is timed."""


def shell(pipeline: str) -> str:
    return subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, check=True).stdout


def lines_of(kind: str, **values: str) -> str:
    """A pipeline that prints the lines of a type with these values."""
    wanted = "".join(f" | grep -F ' {name}={value} '" for name, value in values.items())
    return f"cat logs/eval_*.log | grep -F ' type={kind} '{wanted}"


def numbers(lines: str, key: str) -> tuple[int, float, float, float]:
    """How many lines have a number under this key; its sum, its minimum and its maximum."""
    pipeline = (
        f"{lines} | grep -oP '(?<= ){key}=\\d+(\\.\\d+)?' | cut -d= -f2"
        " | awk 'NR == 1 {min = max = $1} {s += $1; if ($1 < min) min = $1; if ($1 > max) max = $1}"
        ' END {printf "%d %.17g %.17g %.17g\\n", NR, s, min, max}\''
    )
    n, *others = shell(pipeline).split()
    return int(n), *map(float, others)


def names(lines: str, key: str) -> list[str]:
    return shell(f"{lines} | grep -oP '(?<= ){key}=\\K\\S+' | sort -u").split()


@pytest.fixture
def summary(run_local: RunLocal, registry: Any) -> dict[str, Any]:
    """Of a run of four domains with experts, whose models cost money, stream, and now and then fail."""
    tasks = {(domain, task.id): task for domain in DOMAINS for task in registry.get_tasks_loader(domain)()}
    with StandInProcess("--fail-every", "9") as stand_in:
        url = stand_in.serve({place: replace(play_of(task), experts=("wise",)) for place, task in tasks.items()})
        roles = [
            flag
            for role in ("agent", "user", "judge")
            for flag in (f"--{role}-model", "vllm/gold", f"--{role}-base-url", url)
        ]
        run = run_local(
            *("--domains", *DOMAINS, "--num-tasks", "3", *roles, "--experts", f"wise=vllm/gold@{url}", "--stream"),
            *("--price", "gold=2/8", "--log-level", "PROFILE"),
        )
    assert run.code == 0
    assert main(["--log-dir", "logs", "--output_dir", "results", "--no-figures"]) == 0
    return json.loads((run.folder / "results" / "summary.json").read_text())


def test_every_count_mean_and_sum(summary: dict[str, Any]) -> None:
    check_events(summary)
    check_durations(summary)
    check_usage(summary)
    check_wall_time(summary)


def check_events(summary: dict[str, Any]) -> None:
    counted = shell("cat logs/eval_*.log | grep -oP ' type=\\K\\S+' | sort | uniq -c").split()
    assert summary["events"] == dict(zip(counted[1::2], map(int, counted[::2]), strict=True))
    assert {*SERIES, "task_complete", "run_start"} <= set(summary["events"])


def check_durations(summary: dict[str, Any]) -> None:
    rows = {(row["type"], row["measure"], row["name"]): row for row in summary["durations"]}
    seen = set()
    for kind, (key, measures) in SERIES.items():
        for name in names(lines_of(kind), key):
            for measure in measures:
                column = "total_duration_ms" if kind == "step_complete" else f"{measure}_ms"
                n, total, least, most = numbers(lines_of(kind, **{key: name}), column)
                if n:
                    seen.add((kind, measure, name))
                    row = rows[kind, measure, name]
                    assert (row["n"], row["min_ms"], row["max_ms"]) == (n, least, most)
                    assert row["total_ms"] == pytest.approx(total, rel=1e-12)
                    assert row["mean_ms"] == pytest.approx(total / n, rel=1e-12)
    assert seen == set(rows)
    assert {(kind, measure) for kind, measure, _ in seen} >= {
        (kind, measure)
        for kind in ("llm_call", "expert_call", "user_sim")
        for measure in ("duration", "ttft", "decode")
    }


def check_usage(summary: dict[str, Any]) -> None:
    rows = {(row["type"], row["model"]): row for row in summary["usage"]}
    assert set(rows) == {(kind, name) for kind in ROLES for name in names(lines_of(kind), "model")}
    for (kind, model), row in rows.items():
        lines = lines_of(kind, model=model)
        assert row["calls"] == numbers(lines, "duration_ms")[0]
        assert row["retries"] == numbers(lines, "attempts")[1] - row["calls"]
        for key in ("input_tokens", "output_tokens", "cached_tokens"):
            assert row[key] == numbers(lines, key)[1]
        for key in ("retry_wait_ms", "cost_usd"):
            assert row[key] == pytest.approx(numbers(lines, key)[1], rel=1e-12)
        assert row["input_tokens"] * row["cost_usd"] > 0
    assert sum(row["retries"] for row in rows.values()) > 0
    for kind, role in ROLES.items():
        if f"{role}_usd" in summary["cost_by_role"]:
            cost = numbers(lines_of(kind), "cost_usd")[1]
            assert summary["cost_by_role"][f"{role}_usd"] == pytest.approx(cost, rel=1e-12)


def check_wall_time(summary: dict[str, Any]) -> None:
    ended, total, *_ = numbers(lines_of("task_complete"), "duration_ms")
    assert ended == summary["attempts"]["counting"] == 3 * len(DOMAINS)
    parts = summary["wall_time"]
    assert parts["total_ms"] == pytest.approx(total, rel=1e-12)
    for name, kinds in {
        "model": ("llm_call", "expert_call"),
        "user_simulator": ("user_sim",),
        "judge": ("evaluator",),
        "tools": ("tool_call",),
    }.items():
        took = sum(numbers(lines_of(kind), "duration_ms")[1] for kind in kinds)
        assert parts[f"{name}_ms"] == pytest.approx(took, rel=1e-12)


def test_the_recipe_for_failing_tools_shows_their_arguments_their_errors_and_where(run_local: RunLocal) -> None:
    run_local("--domains", "retail", "--task-ids", "2", "--log-level", "DEBUG")
    recipe = (CHECKOUT / "docs" / "recipes.md").read_text().partition("**What a failing tool was called with**")[2]
    _, lines, raised = recipe.partition("```bash\n")[2].partition("\n```")[0].splitlines()
    called, returned = shell(lines).splitlines()
    assert ' | tool get_product_details({"product_id": "6086499569"}) by the assistant' in called
    assert returned.endswith(" | tool get_product_details returned Error: Product not found")
    trace = shell(raised)
    assert 'raise ValueError("Product not found")\n    ValueError: Product not found\n' in trace
    assert trace.splitlines()[-1] == returned
