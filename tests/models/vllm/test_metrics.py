from __future__ import annotations

import csv
import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.logging.server_samples import COLUMNS, SampleFile, ServerSample
from tau2_enhanced.models.vllm.metrics import read_metrics, with_rates

# lines of vLLM 0.32
PAGE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="/opt/model"} 3.0
vllm:num_requests_waiting{engine="0",model_name="/opt/model"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="/opt/model",reason="capacity"} 9.0
vllm:kv_cache_usage_perc{engine="0",model_name="/opt/model"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="/opt/model"} 1000.0
vllm:prefix_cache_queries_created{engine="0",model_name="/opt/model"} 1.795325982606169e+09
vllm:prefix_cache_hits_total{engine="0",model_name="/opt/model"} 600.0
vllm:num_preemptions_total{engine="0",model_name="/opt/model"} 1.0
vllm:prompt_tokens_total{engine="0",model_name="/opt/model"} 1.2e+06
vllm:generation_tokens_total{engine="0",model_name="/opt/model"} 500.0
vllm:iteration_tokens_total_bucket{engine="0",le="1.0",model_name="/opt/model"} 7.0
"""
SAMPLE = ServerSample(datetime(2026, 3, 14, 9, 26, 53, 589793), "R", 1000.0, "h:1", 3, 2, 0.25, 1, 1000, 600, 5000, 500)


def test_the_columns_are_read_from_todays_names() -> None:
    assert read_metrics(PAGE) == {
        "running": 3,
        "waiting": 2,
        "kv_cache_usage": 0.25,
        "preemptions": 1,
        "prefix_cache_queries": 1000,
        "prefix_cache_hits": 600,
        "prompt_tokens": 1.2e6,
        "generation_tokens": 500,
    }


def test_an_older_name_is_known_and_what_is_missing_is_left_out() -> None:
    page = 'vllm:gpu_cache_usage_perc{model_name="m"} 0.5 1395066363000\nvllm:num_requests_running nan\n'
    assert read_metrics(page) == {"kv_cache_usage": 0.5}


def test_the_engines_of_a_server_are_taken_together() -> None:
    second = PAGE.replace('engine="0"', 'engine="1"').replace("} 0.25", "} 0.75")
    found = read_metrics(PAGE + second)
    assert (found["running"], found["kv_cache_usage"], found["generation_tokens"]) == (6, 0.5, 1000)


NAMES = st.sampled_from(["vllm:num_requests_running", "vllm:kv_cache_usage_perc", "vllm:prompt_tokens_total"])
VALUES = st.sampled_from(["nan", "inf", "-inf"]) | st.floats(width=32) | st.text()


@given(st.lists(st.builds("{} {}".format, NAMES, VALUES) | st.text()).map("\n".join))
def test_no_page_breaks_it(page: str) -> None:
    assert all(map(math.isfinite, read_metrics(page).values()))


def test_rates_are_those_since_the_sample_before() -> None:
    later = replace(
        SAMPLE,
        at_ms=6000.0,
        prefix_cache_queries=1200,
        prefix_cache_hits=750,
        prompt_tokens=6000,
        generation_tokens=800,
    )
    found = with_rates(later, SAMPLE)
    assert found.prefix_cache_hit_rate == pytest.approx(150 / 200)
    assert (found.prompt_tokens_per_s, found.generation_tokens_per_s) == (200, 60)
    assert with_rates(SAMPLE, None) == SAMPLE
    assert with_rates(replace(SAMPLE, at_ms=2000.0), SAMPLE).prefix_cache_hit_rate is None


def test_a_server_that_began_anew_counts_from_nothing() -> None:
    later = replace(SAMPLE, at_ms=2000.0, prompt_tokens=100, generation_tokens=10)
    found = with_rates(later, SAMPLE)
    assert (found.prompt_tokens_per_s, found.generation_tokens_per_s) == (100, 10)


def test_samples_are_appended_below_one_line_of_names(tmp_path: Path) -> None:
    path = tmp_path / "vllm_metrics.csv"
    SampleFile(path).write(with_rates(SAMPLE, None))
    SampleFile(path).write(replace(SAMPLE, at_ms=6000.0, running=None))
    names, first, second = csv.reader(path.read_text().splitlines())
    assert tuple(names) == COLUMNS
    assert first == [
        *("2026-03-14 09:26:53.589", "R", "1000", "h:1", "3", "2", "0.25", "1", "1000", "600", "5000", "500"),
        *("", "", ""),
    ]
    assert second[2:5] == ["6000", "h:1", ""]
