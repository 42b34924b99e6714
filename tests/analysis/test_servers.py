"""What model servers said of themselves: read, counted, drawn and traced."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tau2_enhanced.analysis import servers
from tau2_enhanced.analysis.figures import servers as server_panels
from tau2_enhanced.analysis.main import main
from tau2_enhanced.logging.events import LLMCallEvent, TaskCompleteEvent, to_line
from tau2_enhanced.logging.server_samples import COLUMNS, SampleFile, ServerSample

MOMENT = datetime(2026, 3, 14, 9, 26, 53, 589000)


def sample(at_ms: float, server: str = "h:1900", run: str = "R", **said: float) -> ServerSample:
    return ServerSample(MOMENT, run, at_ms, server, **said)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A run's log, and beside it the samples of two servers, of which one falls silent and begins anew."""
    of: dict[str, Any] = {"timestamp": MOMENT, "run": "R", "domain": "retail", "task": "1", "trial": 0, "sim": "s"}
    events = [
        LLMCallEvent(**of, start_ms=1000.0, duration_ms=8000.0, model="m"),
        TaskCompleteEvent(**of, start_ms=0.0, duration_ms=10_000.0, reward=1.0),
    ]
    (tmp_path / "eval_retail.log").write_text("".join(to_line(event) + "\n" for event in events))
    file = SampleFile(tmp_path / "vllm_metrics.csv")
    counted = {"prefix_cache_queries": 1000.0, "prefix_cache_hits": 100.0, "preemptions": 1.0}
    file.write(sample(0.0, running=0, waiting=0, kv_cache_usage=0.0, generation_tokens=50, prompt_tokens=10, **counted))
    file.write(sample(0.0, "h:1901", running=1))
    later = {"prefix_cache_queries": 1400.0, "prefix_cache_hits": 400.0, "preemptions": 3.0}
    file.write(
        sample(
            *(5000.0,),
            running=4,
            waiting=2,
            kv_cache_usage=0.5,
            generation_tokens=150,
            prompt_tokens=20,
            **{"prefix_cache_hit_rate": 0.75, "generation_tokens_per_s": 20.0, **later},
        )
    )
    file.write(sample(7000.0))
    file.write(sample(10_000.0, running=2, generation_tokens=30))
    file.write(sample(10_000.0, run="other", running=99))
    return tmp_path / "eval_retail.log"


def test_golden_numbers(logs: Path) -> None:
    samples = servers.samples_beside([logs, logs])
    assert samples.height == 6
    mine = samples.filter(samples["run"] == "R")
    first, second = servers.numbers(mine)
    assert first == {
        "run": "R",
        "server": "h:1900",
        "samples": 4,
        "preemptions": 2,
        "prompt_tokens": 10,
        "generation_tokens": 130,  # 100, and 30 since it began anew
        "prefix_cache_hit_rate": 0.75,
        "running_mean": 2,
        "running_max": 4,
        "waiting_mean": 1,
        "waiting_max": 2,
        "kv_cache_usage_mean": 0.25,
        "kv_cache_usage_max": 0.5,
    }
    assert (second["running_max"], second["generation_tokens"], second["prefix_cache_hit_rate"]) == (1, None, None)


def test_the_analysis_shows_them_in_its_picture_its_trace_and_its_numbers(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--log_file", str(logs), "--output_dir", str(tmp_path / "out")]
    assert main([*flags, "--trace"]) == 0
    assert "model servers" in capsys.readouterr().out
    assert [row["server"] for row in json.loads((tmp_path / "out" / "summary.json").read_text())["servers"]] == [
        "h:1900",
        "h:1901",
    ]
    picture = (tmp_path / "out" / "concurrency.svg").read_text()
    for shown in ("requests at each server", "KV cache in use", "prefix cache", "tokens generated a second", "h:1901"):
        assert shown in picture
    trace = json.loads((tmp_path / "out" / "trace.json").read_text())["traceEvents"]
    processes = {event["args"]["name"]: event["pid"] for event in trace if event["name"] == "process_name"}
    assert set(processes) == {"retail", "h:1900", "h:1901"}
    counted = [
        (event["name"], event["ts"], event["args"])
        for event in trace
        if event["ph"] == "C" and event["pid"] == processes["h:1900"]
    ]
    assert ("requests", 5_000_000, {"running": 4.0, "waiting": 2.0}) in counted
    assert ("requests", 10_000_000, {"running": 2.0}) in counted
    assert ("KV cache in use", 5_000_000, {"per cent": 50.0}) in counted
    assert ("tokens a second", 5_000_000, {"generated": 20.0}) in counted
    assert ("preemptions", 5_000_000, {"since the start": 3.0}) in counted
    assert not [moment for _, moment, _ in counted if moment == 7_000_000]


def test_a_run_without_samples_is_analysed_as_ever(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "vllm_metrics.csv").unlink()
    assert main(["--log_file", str(logs), "--output_dir", str(tmp_path / "out"), "--trace"]) == 0
    assert "servers" not in json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "requests at each server" not in (tmp_path / "out" / "concurrency.svg").read_text()


def test_only_panels_with_values_are_drawn(logs: Path) -> None:
    load = server_panels.select(servers.samples_beside([logs]), "other")
    assert [panel.columns for panel in load.panels] == [("running", "waiting")]
    assert server_panels.select(servers.samples_beside([logs]), None).panels == []


def test_no_line_is_drawn_over_the_time_between_two_parts_of_a_run(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "vllm_metrics.csv")
    for second in (0, 5, 10, 16, 300, 305):
        file.write(sample(1000.0 * second, running=1))
    file.write(sample(0.0, "h:1901", running=1))
    load = server_panels.select(servers.samples_beside([tmp_path / "eval_retail.log"]), "R")
    drawn = load.servers["h:1900"].select("at_ms", "running").rows()
    assert drawn[3:5] == [(16_000.0, 1.0), (21_000.0, None)]
    assert len(drawn) == 7
    assert load.servers["h:1901"].height == 1


def test_a_second_line_of_names_and_a_cut_line_are_passed_over(logs: Path) -> None:
    file = logs.parent / "vllm_metrics.csv"
    whole = file.read_text()
    file.write_text(whole + whole + "2026-03-14 09:26")
    assert servers.samples_beside([logs]).height == 12


def test_a_line_that_was_cut_in_a_quotation_is_passed_over(logs: Path) -> None:
    file = logs.parent / "vllm_metrics.csv"
    before = servers.samples_beside([logs])
    with file.open("a") as samples:
        samples.write('2026-03-14 09:26,"http://a')
    assert servers.samples_beside([logs]).equals(before)


@given(st.text())
@example('0\n"')
@example('run,at_ms\nR,1\n"')
def test_no_text_breaks_the_reading(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "vllm_metrics.csv").write_text(text, encoding="utf-8", newline="")
    assert set(servers.samples_beside([folder / "eval_retail.log"]).columns) == set(COLUMNS)
