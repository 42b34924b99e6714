from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import polars as pl
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from support import CHECKOUT, RunLocal

from tau2_enhanced.analysis import concurrency
from tau2_enhanced.analysis.figures import (
    cost_and_tokens,
    draw_figures,
    latency_by_function,
    latency_by_model,
    latency_distribution,
    run_gantt,
    task_gantt,
)
from tau2_enhanced.analysis.figures.boxes import MOST_ROWS, Box
from tau2_enhanced.analysis.figures.files import write_figure
from tau2_enhanced.analysis.figures.intervals import merged
from tau2_enhanced.analysis.figures.style import duration_axis, duration_text, label, look, new_figure, short_number
from tau2_enhanced.analysis.figures.task_gantt import Bar
from tau2_enhanced.analysis.sources import read_table
from tau2_enhanced.analysis.table import EventTable
from tau2_enhanced.analysis.timeline import timeline
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.events import (
    EvaluatorEvent,
    ExecutionEvent,
    ExpertCallEvent,
    LLMCallEvent,
    RunStartEvent,
    StepCompleteEvent,
    TaskCompleteEvent,
    TaskStartEvent,
    ToolCallEvent,
    UserSimEvent,
    to_line,
)

pytestmark = pytest.mark.filterwarnings("error")

PICTURES = {
    "concurrency",
    "cost_and_tokens",
    "latency_by_function",
    "latency_by_model",
    "latency_distribution",
    "run_gantt",
    "task_gantt",
}
TableOf = Callable[..., EventTable]


@pytest.fixture
def table_of(tmp_path: Path) -> TableOf:
    """The table that is read from a log of these events."""

    def read(*events: ExecutionEvent) -> EventTable:
        log = tmp_path / "eval.log"
        log.write_text("".join(f"{to_line(event)}\n" for event in events))
        return read_table([log])

    return read


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Path]:
    """Where pictures go. matplotlib's settings must be as before."""
    before = dict(matplotlib.rcParams)
    yield tmp_path / "pictures"
    assert dict(matplotlib.rcParams) == before


def of(sim: str, /, **values: Any) -> dict[str, Any]:
    """What events of a simulation of task `sim` have in common."""
    common = {"run": "R", "sim": sim, "domain": "retail", "task": sim, "trial": 0, "thread": "worker-1"}
    return {"timestamp": datetime(2026, 3, 14), **common, **values}


def ended(
    sim: str, start_ms: float, duration_ms: float, reward: float | None, /, **values: Any
) -> list[ExecutionEvent]:
    """A simulation with one call that takes all of its time."""
    return [
        LLMCallEvent(**of(sim, **values), start_ms=start_ms, duration_ms=duration_ms),
        TaskCompleteEvent(**of(sim, **values), start_ms=start_ms, duration_ms=duration_ms, reward=reward),
    ]


def names(paths: list[Path]) -> set[str]:
    return {path.stem for path in paths}


def texts(figure: Figure) -> list[str]:
    axes_texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    ticks = [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    return [text.get_text() for text in figure.texts] + axes_texts + ticks


def test_boxes_are_percentiles_sorted_by_median(table_of: TableOf) -> None:
    slow = [LLMCallEvent(**of("1"), model="slow", start_ms=0.0, duration_ms=100.0 * n) for n in range(1, 6)]
    fast = [UserSimEvent(**of("1"), model="fast", start_ms=0.0, duration_ms=float(n)) for n in (1, 2)]
    refused = LLMCallEvent(**of("1"), model="slow", start_ms=0.0, duration_ms=90000.0, error_type="timeout")
    never = ExpertCallEvent(**of("1"), model="never", start_ms=0.0, duration_ms=1.0, error_type="timeout")
    selected = latency_by_model.select(table_of(*fast, *slow, refused, never))
    assert selected is not None
    first, second = selected.rows
    assert first == Box("llm_call", "slow", 5, 1, 120.0, 200.0, 300.0, 400.0, 480.0)
    assert second[:4] == ("user_sim", "fast", 2, 0)
    assert second[4:] == pytest.approx((1.05, 1.25, 1.5, 1.75, 1.95))
    assert (selected.more, selected.n) == (0, 7)


def test_of_many_functions_the_slowest_are_drawn_and_the_others_counted(table_of: TableOf) -> None:
    calls = [ToolCallEvent(**of("1"), function=f"f{n}", start_ms=0.0, duration_ms=float(n)) for n in range(1, 31)]
    failed = ToolCallEvent(**of("1"), function="f30", start_ms=0.0, duration_ms=30.0, error=True)
    selected = latency_by_function.select(table_of(*calls, failed))
    assert selected is not None
    assert [row.name for row in selected.rows] == [f"f{n}" for n in range(30, 30 - MOST_ROWS, -1)]
    assert (selected.rows[0].n, selected.rows[0].errors, selected.more) == (2, 1, 5)
    shown = texts(latency_by_function.draw(selected, "run R"))
    assert "and 5 more" in shown
    assert any("n = 31 calls" in text and "run R" in text for text in shown)


def test_each_distribution_has_bins_of_its_own_and_knows_its_percentiles(table_of: TableOf) -> None:
    models = [LLMCallEvent(**of("1"), start_ms=0.0, duration_ms=float(n)) for n in range(1, 101)]
    failed = LLMCallEvent(**of("1"), start_ms=0.0, duration_ms=9999.0, error_type="timeout")
    tools = [ToolCallEvent(**of("1"), start_ms=0.0, duration_ms=took) for took in (0.0, 0.001, 0.2, 0.2)]
    llm, tool = latency_distribution.select(table_of(*models, failed, *tools))
    assert (llm.log, llm.edges_ms[0], llm.edges_ms[-1]) == (False, 0.0, 100.0)
    assert tool.log
    assert tool.edges_ms[0] <= 0.001 < tool.edges_ms[1]
    assert tool.edges_ms[-2] <= 0.2 < tool.edges_ms[-1]
    assert (llm.n, sum(llm.counts), tool.n, sum(tool.counts)) == (100, 100, 4, 4)
    assert tool.counts[0] == 2, "no time at all is shown as the shortest time"
    assert llm.percentiles == {50: 50.5, 90: pytest.approx(90.1), 99: pytest.approx(99.01)}
    assert tool.curve == [(0.0, 0.25), (0.001, 0.5), (0.2, 0.75), (0.2, 1.0)]


def test_within_two_decades_the_axis_is_linear(table_of: TableOf) -> None:
    (tool,) = latency_distribution.select(
        table_of(*(ToolCallEvent(**of("1"), start_ms=0.0, duration_ms=took) for took in (1.0, 50.0, 100.0)))
    )
    assert not tool.log
    assert (tool.edges_ms[0], tool.edges_ms[-1]) == (0.0, 100.0)
    assert [place for place, count in enumerate(tool.counts) if count] == [0, 25, 49]


def test_the_distributions_curve_is_thin_and_ends_at_the_longest(table_of: TableOf) -> None:
    (tool,) = latency_distribution.select(
        table_of(*(ToolCallEvent(**of("1"), start_ms=0.0, duration_ms=float(n)) for n in range(1, 5001)))
    )
    assert len(tool.curve) <= 501
    assert tool.curve[-1] == (5000.0, 1.0)
    assert all(share == pytest.approx(at_ms / 5000) for at_ms, share in tool.curve)


@pytest.mark.parametrize(
    "durations",
    [
        [0.0],
        [5.0] * 9,
        [float(n) for n in range(1, 101)],
        [*([0.4] * 90), *([0.41] * 9), 90.0],
        [0.001, *([3e7] * 50)],
        [*([1.0] * 50), *([1e6] * 60)],
    ],
)
def test_the_names_of_percentiles_lie_on_nothing(table_of: TableOf, durations: list[float]) -> None:
    calls = [LLMCallEvent(**of("1"), start_ms=0.0, duration_ms=took) for took in durations]
    tool = ToolCallEvent(**of("1"), start_ms=0.0, duration_ms=0.3)
    figure = latency_distribution.draw(latency_distribution.select(table_of(*calls, tool)), "run R")
    figure.canvas.draw()
    for panel, axes in zip(figure.axes[:2], figure.axes[2:], strict=True):
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        assert len(boxes) == 3
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
        highest = max(patch.get_window_extent().y1 for patch in panel.patches if patch is not panel.patch)
        assert all(box.y0 > highest for box in boxes)
        marks = [line.get_window_extent() for line in axes.lines if line.get_marker() == "o"]
        for box in [*boxes, *marks]:
            assert axes.bbox.x0 < box.x0 < box.x1 < axes.bbox.x1 - 1
            assert axes.bbox.y0 < box.y0 < box.y1 < axes.bbox.y1


def test_tokens_and_cost_by_role_and_model(table_of: TableOf) -> None:
    common = {**of("1"), "start_ms": 0.0, "duration_ms": 1.0}
    selected = cost_and_tokens.select(
        table_of(
            UserSimEvent(**common, model="u", input_tokens=10, output_tokens=1, cost_usd=9.0),
            LLMCallEvent(**common, model="a", input_tokens=100, output_tokens=7, cached_tokens=60, cost_usd=0.5),
            LLMCallEvent(**common, model="a", input_tokens=200, output_tokens=8),
            LLMCallEvent(**common, model="a", error_type="timeout"),
            LLMCallEvent(**common, model="b", input_tokens=5, output_tokens=2),
            EvaluatorEvent(**common, model="nothing known"),
        )
    )
    assert selected is not None
    assert selected.rows == [
        ("llm_call", "a", 3, 300, 60, 15, 0.5, 1),
        ("llm_call", "b", 1, 5, None, 2, None, 1),
        ("user_sim", "u", 1, 10, None, 1, 9.0, 0),
    ]
    assert cost_and_tokens.role_costs(selected.rows) == {"agent": "at least 0.5", "user": "9.00"}
    shown = texts(cost_and_tokens.draw(selected, "run R"))
    assert {" 300 (20% cached)", " 0.5 (of 1 call unknown)", " unknown", " 9.00"} <= set(shown)


def test_without_any_cost_there_is_no_panel_for_it(table_of: TableOf, pictures: Path) -> None:
    call = LLMCallEvent(**of("1"), start_ms=0.0, duration_ms=1.0, input_tokens=5, output_tokens=2)
    selected = cost_and_tokens.select(table_of(call))
    assert selected is not None
    assert len(cost_and_tokens.draw(selected, "run R").axes) == 2
    assert "cost in cost_and_tokens: no call's cost is known" in draw_figures(table_of(call), pictures).left_out


def test_concurrency_is_the_number_of_half_open_intervals() -> None:
    intervals = pl.DataFrame(
        {"start_ms": [0.0, 1000.0, 2000.0, 2500.0, 5000.0], "end_ms": [2000.0, 3000.0, 4000.0, 2500.0, 6000.0]}
    )
    assert concurrency.steps(intervals).rows() == [
        (0.0, 1),
        (1000.0, 2),
        (3000.0, 1),
        (4000.0, 0),
        (5000.0, 1),
        (6e3, 0),
    ]
    level = concurrency.level_of(intervals)
    assert level is not None
    assert (level.n, level.peak, level.bin_s) == (5, 2, None)
    assert level.total_s == pytest.approx(1 + 2 * 2 + 1 + 0 + 1)
    assert concurrency.level_of(intervals[3:4]) is None


def test_binned_concurrency_keeps_means_and_extremes() -> None:
    found = pl.DataFrame({"at_ms": [0.0, 500.0, 1500.0, 1750.0, 4000.0], "running": [1, 3, 0, 2, 0]})
    level = concurrency.binned(found, 4, 9)
    assert level.at_s == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert level.mean == [2.0, pytest.approx(3 * 0.5 + 2 * 0.25), 2.0, 2.0, 0]
    assert (level.low, level.high) == ([1, 0, 2, 2, 0], [3, 3, 2, 2, 0])
    assert level.bin_s == 1.0
    assert level.total_s == pytest.approx(0.5 + 3 + 0 + 2 * 2.25)


def test_many_changes_are_binned() -> None:
    starts = [float(n * 10) for n in range(2000)]
    level = concurrency.level_of(pl.DataFrame({"start_ms": starts, "end_ms": [start + 5 for start in starts]}))
    assert level is not None
    assert level.bin_s is not None
    assert len(level.at_s) <= concurrency.MOST_STEPS
    assert level.total_s == pytest.approx(2000 * 0.005)


def test_a_gantt_bar_is_a_call_with_its_wait_before_it(table_of: TableOf) -> None:
    table = table_of(
        TaskStartEvent(**of("7"), start_ms=1000.0),
        UserSimEvent(**of("7"), start_ms=1500.0, duration_ms=500.0, attempts=1, retry_wait_ms=0.0),
        LLMCallEvent(**of("7"), start_ms=6000.0, duration_ms=2000.0, attempts=3, retry_wait_ms=4000.0),
        ToolCallEvent(**of("7"), start_ms=8000.0, duration_ms=0.25, error=True),
        ExpertCallEvent(**of("7"), start_ms=8001.0, duration_ms=99.0),
        EvaluatorEvent(**of("7"), start_ms=9000.0, duration_ms=1000.0, error_type="timeout"),
        StepCompleteEvent(**of("7"), start_ms=2000.0, total_duration_ms=6001.0, from_role="agent"),
        TaskCompleteEvent(**of("7"), start_ms=1000.0, duration_ms=9500.0, reward=0.5),
    )
    (panel,) = task_gantt.select(timeline(table)).panels
    assert panel.title == "slowest · retail 7 · trial 0 · reward 0.5 · 9.5 s"
    assert (panel.calls, panel.seconds) == (5, 9.5)
    assert panel.bars == [
        Bar("user", "user_sim", 0.5, 1.0, 0.0, False),
        Bar("agent", "llm_call", 5.0, 7.0, 4.0, False),
        Bar("tools", "tool_call", 7.0, 7.00025, 0.0, True),
        Bar("agent", "expert_call", 7.001, 7.1, 0.0, False),
        Bar("judge", "evaluator", 8.0, 9.0, 0.0, True),
    ]


def test_a_wait_belongs_to_its_simulation(table_of: TableOf) -> None:
    call = LLMCallEvent(**of("7"), start_ms=6000.0, duration_ms=1000.0, attempts=2, retry_wait_ms=4000.0)
    (panel,) = task_gantt.select(timeline(table_of(call))).panels
    assert (panel.seconds, panel.bars) == (5.0, [Bar("agent", "llm_call", 4.0, 5.0, 4.0, False)])


def test_by_default_the_slowest_a_failed_and_a_typical_task_are_drawn(table_of: TableOf) -> None:
    rewards = {
        "1": (10.0, 1.0),
        "2": (900.0, 1.0),
        "3": (50.0, 0.0),
        "4": (60.0, 0.9),
        "5": (70.0, None),
        "6": (64.0, 1.0),
    }
    events = [event for sim, (took, reward) in rewards.items() for event in ended(sim, 0.0, took, reward)]
    without_calls = TaskCompleteEvent(**of("8"), start_ms=0.0, duration_ms=5000.0, reward=0.0)
    titles = [panel.title for panel in task_gantt.select(timeline(table_of(*events, without_calls))).panels]
    assert [title.split(" · ")[:2] for title in titles] == [
        ["slowest", "retail 2"],
        ["failed", "retail 4"],
        ["typical", "retail 6"],
    ]


def test_without_a_failed_task_one_without_a_verdict_stands_in(table_of: TableOf) -> None:
    events = [*ended("1", 0.0, 10.0, 1.0), *ended("2", 0.0, 20.0, None), *ended("3", 0.0, 30.0, 1.0)]
    titles = [panel.title for panel in task_gantt.select(timeline(table_of(*events))).panels]
    assert titles == [
        "slowest · retail 3 · trial 0 · reward 1 · 30 ms",
        "no verdict · retail 2 · trial 0 · 20 ms",
        "typical · retail 1 · trial 0 · reward 1 · 10 ms",
    ]
    passed = task_gantt.select(timeline(table_of(*ended("1", 0.0, 10.0, 1.0))))
    assert [panel.title[:7] for panel in passed.panels] == ["slowest"]


def test_what_never_ended_is_no_example_of_a_failed_or_typical_task(table_of: TableOf) -> None:
    finished = [*ended("1", 0.0, 10.0, 1.0), *ended("2", 0.0, 30.0, 1.0), *ended("3", 0.0, 24.0, 1.0)]
    cut_off = [
        event
        for sim, took in (("4", 90.0), ("5", 20.0))
        for event in (
            TaskStartEvent(**of(sim), start_ms=0.0),
            LLMCallEvent(**of(sim), start_ms=0.0, duration_ms=took),
        )
    ]
    assert [panel.title for panel in task_gantt.select(timeline(table_of(*finished, *cut_off))).panels] == [
        "slowest · retail 4 · trial 0 · unfinished · 90 ms",
        "typical · retail 3 · trial 0 · reward 1 · 24 ms",
    ]
    assert [panel.title[:20] for panel in task_gantt.select(timeline(table_of(*cut_off))).panels] == [
        "slowest · retail 4 ·",
        "typical · retail 5 ·",
    ]
    (panel,) = task_gantt.select(timeline(table_of(*finished, *cut_off)), ["5"]).panels
    assert panel.title == "retail 5 · trial 0 · unfinished · 20 ms"


def test_tasks_are_chosen_by_name_and_unknown_ones_named(table_of: TableOf) -> None:
    events = [
        *ended("1", 0.0, 10.0, 1.0),
        *ended("b", 0.0, 10.0, 1.0, task="1", trial=1),
        *ended("c", 0.0, 10.0, 1.0, task="1", domain="airline"),
        *ended("2", 0.0, 10.0, 1.0),
    ]
    times = timeline(table_of(*events))
    selected = task_gantt.select(times, ["2", "retail:1", "99"])
    assert [panel.title for panel in selected.panels] == [
        "retail 2 · trial 0 · reward 1 · 10 ms",
        "retail 1 · trial 0 · reward 1 · 10 ms",
        "retail 1 · trial 1 · reward 1 · 10 ms",
    ]
    assert selected.unknown == ["99"]
    assert len(task_gantt.select(times, ["1"]).panels) == 3


def test_many_chosen_tasks_go_on_further_pages(table_of: TableOf, pictures: Path) -> None:
    events = [event for n in range(30) for event in ended(str(n), 0.0, 10.0, 1.0)]
    times = timeline(table_of(*events))
    selected = task_gantt.select(times, [str(n) for n in range(30)])
    assert (len(selected.panels), selected.more) == (task_gantt.MOST_SIMULATIONS, 6)
    drawn = draw_figures(table_of(*events), pictures, tasks=["3", "4", "5", "6", "7", "none"])
    assert {"task_gantt", "task_gantt_2"} <= names(drawn.paths)
    assert "task_gantt_3" not in names(drawn.paths)
    assert "task_gantt: no timed calls of task none" in drawn.left_out


def test_bars_that_look_the_same_are_one() -> None:
    intervals = pl.DataFrame(
        {"row": ["a"] * 4 + ["b"], "start_ms": [0.0, 1.0, 9.0, 50.0, 2.0], "end_ms": [8.0, 2.0, 10.0, 60.0, 3.0]}
    )
    assert sorted(merged(intervals, ["row"], 1.0).rows()) == [("a", 0.0, 10.0), ("a", 50.0, 60.0), ("b", 2.0, 3.0)]
    calls = pl.DataFrame(
        {
            "kind": ["k"] * 2,
            "failed": [False] * 2,
            "start_ms": [10.0, 11.0],
            "end_ms": [11.0, 12.0],
            "wait_ms": [4.0, 0.0],
        }
    )
    shown = task_gantt.merged_calls(calls, 0.5).sort("end_ms").select("start_ms", "end_ms", "wait_ms").rows()
    assert shown == [(10.0, 10.0, 4.0), (10.0, 12.0, 0.0)]


def test_the_runs_gantt_has_a_row_for_each_worker(table_of: TableOf) -> None:
    events = [
        *ended("1", 0.0, 1000.0, 1.0, thread="worker-10"),
        *ended("2", 500.0, 1000.0, 0.99, thread="worker-2"),
        *ended("3", 2000.0, 1000.0, None, thread="worker-2"),
        *ended("4", 0.0, 1.0, 1.0, thread=None),
        TaskStartEvent(**of("5"), start_ms=3500.0),
        LLMCallEvent(**of("5"), start_ms=3500.0, duration_ms=500.0),
        RunStartEvent(timestamp=datetime(2026, 3, 14), run="R", thread="MainThread", start_ms=0.0),
    ]
    selected = run_gantt.select(timeline(table_of(*events)))
    assert selected is not None
    assert selected.threads == ["worker-1", "worker-2", "worker-10"]
    assert sorted(selected.bars) == [
        ("worker-1", "unfinished", 3.5, 4.0, "retail", "5"),
        ("worker-10", "passed", 0.0, 1.0, "retail", "1"),
        ("worker-2", "failed", 0.5, 1.5, "retail", "2"),
        ("worker-2", "no verdict", 2.0, 3.0, "retail", "3"),
    ]
    assert list(selected.counts.items()) == [("passed", 1), ("failed", 1), ("no verdict", 1), ("unfinished", 1)]
    assert selected.without_thread == 1


def test_a_caption_never_parts_a_number_from_its_sign() -> None:
    for length in range(100, 130):
        figure = new_figure("title", f"{'x' * length} 95 % intervals", 2.0)
        assert any("95 %" in text for text in texts(figure))


def test_durations_close_to_each_other_are_told_apart_on_an_axis() -> None:
    axes = new_figure("title", "caption", 2.0).subplots()
    axes.set_xlim(16.57, 16.80)
    duration_axis(axes, log=False)
    shown = axes.xaxis.get_major_formatter().format_ticks([16.6, 16.65, 16.7])
    assert shown == ["16.6 ms", "16.65 ms", "16.7 ms"]
    assert axes.xaxis.get_major_formatter().format_ticks([0.0, 5e6, 1e7]) == ["0", "83.3 min", "2.78 h"]


def test_a_long_title_is_not_cut(tmp_path: Path) -> None:
    task = "[mobile_data_issue]air…led_off[PERSONA:None]"
    for title in ("short", f"telecom {task} · trial 0 · passed, reward 1 · 11 ms", "m" * 90):
        with look():
            figure = new_figure(title, "caption", 2.0)
            png, _ = write_figure(figure, tmp_path, "figure")
        assert imread(png)[:, -10:, :3].min() == 1.0
        assert (figure.texts[0].get_fontsize() == 11) == (title == "short")


def test_a_worker_is_not_idle_while_no_runner_ran(table_of: TableOf) -> None:
    resumed = RunStartEvent(timestamp=datetime(2026, 3, 14), run="R", thread="MainThread", start_ms=8e3, resumed=True)
    events = [*ended("1", 0.0, 2e3, 1.0), *ended("2", 0.0, 3e3, 1.0, thread="worker-2"), *ended("3", 9e3, 1e3, 1.0)]
    selected = run_gantt.select(timeline(table_of(*events, resumed)))
    assert selected is not None
    figure = run_gantt.draw(selected, "run R")
    tracks = [path.get_extents() for path in figure.axes[0].collections[0].get_paths()]
    assert [(track.x0, track.x1) for track in tracks] == 2 * [(0.0, 3.0), (8.0, 10.0)]
    assert any("grey: idle, a gap: no runner ran" in text for text in texts(figure))


@pytest.mark.parametrize(("domain", "named"), [("retail", {"1", "2"}), ("airline", {"retail 1", "airline 2"})])
def test_bars_of_the_runs_gantt_name_the_domain_where_there_are_several(
    table_of: TableOf, domain: str, named: set[str]
) -> None:
    events = [*ended("1", 0.0, 1000.0, 1.0), *ended("2", 1000.0, 1000.0, 1.0, domain=domain)]
    selected = run_gantt.select(timeline(table_of(*events)))
    assert selected is not None
    assert named <= set(texts(run_gantt.draw(selected, "run R")))


def test_narrow_bars_of_several_domains_have_its_letters_and_long_names_are_shortened(table_of: TableOf) -> None:
    long = "[mobile_data_issue]airplane_mode_on|data_mode_off[PERSONA:Easy]"
    of_telecom = {"domain": "telecom", "task": long}
    events = [
        *ended("wide", 0.0, 20e3, 1.0, task="7"),
        *ended("narrow", 20e3, 5e3, 1.0, task="7"),
        *ended("other", 25e3, 5e3, 1.0, task="7", domain="airline"),
        *ended("too narrow", 30e3, 1e3, 1.0, task="7", domain="airline"),
        *ended("long", 31e3, 20e3, 1.0, **of_telecom),
        *ended("too short", 51e3, 5e3, 1.0, **of_telecom),
        *ended("last", 99e3, 1e3, 1.0, task="8"),
    ]
    selected = run_gantt.select(timeline(table_of(*events)))
    assert selected is not None
    figure = run_gantt.draw(selected, "run R")
    wide, narrow, other, shortened = (text.get_text() for text in figure.axes[0].texts)
    assert (wide, narrow, other) == ("retail 7", "r 7", "a 7")
    assert shortened.startswith("t [mobile")
    assert shortened.endswith("Easy]")
    assert any("tasks of airline (a), retail (r), telecom (t)" in text for text in texts(figure))


def test_letters_tell_domains_apart_that_begin_alike(table_of: TableOf) -> None:
    domains = ("retail", "return", "telecom")
    events = [event for at, name in enumerate(domains) for event in ended(name, 1e3 * at, 1e3, 1.0, domain=name)]
    selected = run_gantt.select(timeline(table_of(*events)))
    assert selected is not None
    assert any("retail (reta), return (retu), telecom (tele)" in text for text in texts(run_gantt.draw(selected, "")))


@pytest.mark.parametrize(("start_ms", "first"), [(15.0, 0.0), (90e3, 90.0)])
def test_the_runs_gantt_begins_with_the_run_unless_most_would_be_empty(
    table_of: TableOf, start_ms: float, first: float
) -> None:
    selected = run_gantt.select(timeline(table_of(*ended("1", start_ms, 100.0, 1.0))))
    assert selected is not None
    axes = run_gantt.draw(selected, "run R").axes[0]
    low, high = axes.get_xlim()
    assert low == pytest.approx(first, abs=0.01)
    assert high == pytest.approx(start_ms / 1000 + 0.1, abs=0.01)
    assert first in [tick for tick in axes.get_xticks() if low <= tick <= high]


def test_of_several_runs_the_one_with_most_events_has_the_timelines(table_of: TableOf, pictures: Path) -> None:
    events = [*ended("1", 0.0, 10.0, 1.0, run="few"), *ended("2", 0.0, 10.0, 1.0), *ended("3", 0.0, 10.0, 1.0)]
    times = timeline(table_of(*events))
    assert (times.run, times.runs, times.simulations["task"].to_list()) == ("R", 2, ["2", "3"])
    drawn = draw_figures(table_of(*events), pictures)
    assert "task_gantt, run_gantt, concurrency: of 2 runs R alone, which has most events" in drawn.left_out
    unnamed = timeline(
        table_of(*events[:2], *ended("4", 0.0, 1.0, 1.0, run=None), *ended("5", 0.0, 1.0, 1.0, run=None))
    )
    assert (unnamed.run, unnamed.simulations["task"].to_list()) == (None, ["4", "5"])


def test_a_log_without_ids_goes_by_its_tasks(table_of: TableOf) -> None:
    bare = {"sim": None, "run": None}
    events = [*ended("1", 0.0, 10.0, 1.0, **bare), *ended("1", 10.0, 10.0, 1.0, trial=1, **bare)]
    assert timeline(table_of(*events)).simulations["start_ms"].to_list() == [0.0, 10.0]


def test_what_has_no_data_is_named(table_of: TableOf, pictures: Path) -> None:
    call = ToolCallEvent(timestamp=datetime(2026, 3, 14), function="f", duration_ms=1.0)
    drawn = draw_figures(table_of(call), pictures)
    assert names(drawn.paths) == {"latency_distribution", "latency_by_function"}
    assert drawn.left_out == [
        "llm_call in latency_distribution: no timed events",
        "latency_by_model: no timed calls of a model that were answered",
        "cost_and_tokens: no call's tokens or cost are known",
        "task_gantt: no calls with a task and start_ms",
        "run_gantt: no events with a task, a thread and start_ms",
        "concurrency: no events with a task, a duration and start_ms",
    ]
    nothing = draw_figures(EventTable(), pictures.with_name("nothing"))
    assert nothing.paths == []
    assert {sentence.partition(":")[0] for sentence in nothing.left_out} == PICTURES
    assert not pictures.with_name("nothing").exists()


def test_every_picture_of_a_real_run(run_local: RunLocal, pictures: Path) -> None:
    run_local("--domains", "mock", "--num-tasks", "4", "--max-concurrency", "2")
    drawn = draw_figures(read_table([Path("logs/eval_mock.log")]), pictures)
    assert names(drawn.paths) == PICTURES
    assert drawn.left_out == []
    assert sorted(pictures.iterdir()) == sorted(drawn.paths)
    for path in drawn.paths:
        if path.suffix == ".png":
            pixels = imread(path)[:, :, :3]
            assert pixels.shape[1] == 1200
            assert pixels.std() > 0.05, "a blank picture"
            border = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
            assert all((edge == 1.0).all() for edge in border), f"{path.name}: something is cut off"
        else:
            assert len(list(ET.parse(path).iter("{http://www.w3.org/2000/svg}path"))) > 10


@pytest.mark.parametrize("duration_ms", [0.0, 12.5])
def test_the_smallest_tables(table_of: TableOf, pictures: Path, duration_ms: float) -> None:
    calls = [LLMCallEvent, ToolCallEvent, UserSimEvent, EvaluatorEvent, ExpertCallEvent]
    for kind in calls:
        event = kind(**of("1"), start_ms=0.0, duration_ms=duration_ms)
        drawn = draw_figures(table_of(event), pictures / kind.__name__)
        expected = {"task_gantt", "run_gantt"} | ({"concurrency"} if duration_ms else set())
        assert expected <= names(drawn.paths)


def test_names_of_any_kind_are_drawn(table_of: TableOf, pictures: Path) -> None:
    run = "a_$1_b$ 日本語 🎉 \\frac{"
    events: list[ExecutionEvent] = []
    for name in (run, "x" * 300, "", "a\nb\tc", "100%", "²"):
        common = of(name or "empty", domain=name, thread=name, run=run)
        events.append(LLMCallEvent(**common, model=name, start_ms=0.0, duration_ms=5.0, input_tokens=1))
        events.append(ToolCallEvent(**common, function=name, start_ms=5.0, duration_ms=5.0))
    assert names(draw_figures(table_of(*events), pictures).paths) == PICTURES


def test_the_same_events_make_the_same_files(table_of: TableOf, pictures: Path) -> None:
    table = table_of(*ended("1", 0.0, 10.0, 1.0), *ended("2", 5.0, 10.0, 0.0))
    first = {path.name: path.read_bytes() for path in draw_figures(table, pictures).paths}
    assert {path.name: path.read_bytes() for path in draw_figures(table, pictures).paths} == first


def test_a_folder_that_is_a_file_is_a_users_mistake(table_of: TableOf, pictures: Path) -> None:
    pictures.write_text("mine")
    with pytest.raises(UserMistake, match="pictures can't be written: "):
        draw_figures(table_of(*ended("1", 0.0, 10.0, 1.0)), pictures)
    assert pictures.read_text() == "mine"


def test_a_full_disk_leaves_the_pictures_as_they_were(
    table_of: TableOf, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures.mkdir()
    (pictures / "latency_distribution.png").write_text("older")

    def fill(_: Figure, path: Path, **options: Any) -> None:
        path.write_bytes(b"half")
        if options["format"] == "svg":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fill)
    with pytest.raises(UserMistake, match="can't be written: No space left on device"):
        draw_figures(table_of(*ended("1", 0.0, 10.0, 1.0)), pictures)
    assert [path.name for path in pictures.iterdir()] == ["latency_distribution.png"]
    assert (pictures / "latency_distribution.png").read_text() == "older"


def test_matplotlib_is_loaded_by_the_figures_alone() -> None:
    program = (
        "import sys\n"
        "import tau2_enhanced.analysis.table, tau2_enhanced.analysis.main, tau2_enhanced.analysis.terminal\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import tau2_enhanced.analysis.figures\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('tau2', 'litellm', 'pandas')\n"
        "      or m == 'matplotlib.pyplot'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=CHECKOUT)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0.0, "0"),
        (0.234, "234 µs"),
        (0.9996, "1 ms"),
        (12.34, "12.3 ms"),
        (999.4, "999 ms"),
        (999.9, "1 s"),
        (63_100.0, "63.1 s"),
        (720_000.0, "12 min"),
        (9_000_000.0, "2.5 h"),
    ],
)
def test_durations_in_words(duration_ms: float, text: str) -> None:
    assert duration_text(duration_ms) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.0000123, "0.0000123"), (950, "950"), (999_700, "1M"), (12_345, "12.3k")]
)
def test_numbers_in_three_digits(value: float, text: str) -> None:
    assert short_number(value) == text


def test_long_names_are_shortened_in_the_middle() -> None:
    assert label("a" * 40) == "a" * 40
    assert label("start" + "-" * 60 + "end", 11) == "start…--end"
    assert label(None) == "–"
