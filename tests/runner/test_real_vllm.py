"""`pytest -m vllm`: runs on servers of a real vLLM, which the runner starts and ends.

It needs `vllm` on PATH and a model's folder in VLLM_TEST_MODEL; the smallest that has a chat template will do. What
the model says does not matter, and a CPU is enough.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from support import Spawn, descendants, free_ports, lives, wait_until

from tau2_enhanced.logging.events import LLMCallEvent, UserSimEvent, parse_line
from tau2_enhanced.models.vllm.gpus import visible_gpus

MODEL = os.environ.get("VLLM_TEST_MODEL", "")
NOTHING_LEFT_WITHIN_S = 5.0
FEW_RESOURCES = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(shutil.which("vllm") is None, reason="there is no vllm on PATH"),
    pytest.mark.skipif(not Path(MODEL, "config.json").exists(), reason="VLLM_TEST_MODEL names no model's folder"),
]


def flags() -> list[str]:
    servers = str(min(2, len(visible_gpus()) or 2))
    return [
        *("--domains", "mock", "--num-tasks", "4", "--max-concurrency", "4", "--max-steps", "6", "--stream"),
        *("--agent-model", MODEL, "--user-model", MODEL, "--num-servers", servers, "--start-port", str(free_ports(2))),
        *("--agent-args", '{"max_tokens": 32}', "--user-args", '{"max_tokens": 24}', "--stagger-delay", "1"),
        *("--vllm-args=--max-model-len 8192 --max-num-seqs 4 --enforce-eager", "--run-id", "R", "--display", "plain"),
    ]


def model_calls(folder: Path) -> list[LLMCallEvent | UserSimEvent]:
    log = folder / "logs" / "eval_mock.log"
    events = [parse_line(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [event for event in events if isinstance(event, LLMCallEvent | UserSimEvent)]


def test_servers_are_started_used_and_ended(spawn_run: Spawn, tmp_path: Path) -> None:
    process = spawn_run(*flags(), env=FEW_RESOURCES)
    servers = set[int]()
    wait_until(lambda: bool(servers.update(descendants(process.pid))) or bool(model_calls(tmp_path)), process, 900)
    out, err = process.communicate()
    print(err)
    assert process.returncode == 0, out + err
    assert not [pid for pid in servers if lives(pid)]
    assert json.loads((tmp_path / "outputs" / "R" / "run" / "summary.json").read_text())["finished"] == 4
    calls = model_calls(tmp_path)
    assert {type(call) for call in calls} == {LLMCallEvent, UserSimEvent}
    assert {call.model for call in calls} == {MODEL}
    for call in calls:
        assert call.ttft_ms is not None
        assert call.decode_ms is not None
        assert call.duration_ms is not None
        assert 0 < call.ttft_ms <= call.ttft_ms + call.decode_ms <= call.duration_ms + 0.002
    with (tmp_path / "logs" / "vllm_metrics.csv").open() as file:
        last = {row["server"]: row for row in csv.DictReader(file)}
    assert sum(float(row["generation_tokens"]) for row in last.values()) == sum(
        call.output_tokens or 0 for call in calls
    )
    assert all(float(row["prefix_cache_hits"]) > 0 for row in last.values())


def test_none_of_them_outlives_a_killed_runner(spawn_run: Spawn, tmp_path: Path) -> None:
    process = spawn_run(*flags(), env=FEW_RESOURCES)
    wait_until(lambda: bool(model_calls(tmp_path)), process, 900)
    servers = descendants(process.pid)
    assert len(servers) > 2
    process.kill()
    killed = time.monotonic()
    while any(lives(pid) for pid in servers) and time.monotonic() - killed < NOTHING_LEFT_WITHIN_S:
        time.sleep(0.05)
    print(f"{len(servers)} processes; after {time.monotonic() - killed:.2f} s left: {[p for p in servers if lives(p)]}")
    assert not [pid for pid in servers if lives(pid)]
    process.communicate()
