from __future__ import annotations

from pathlib import Path

import pytest

from tau2_enhanced.models.vllm.gpus import visible_gpus


@pytest.mark.parametrize(
    ("chosen", "gpus"),
    [("0,2", ["0", "2"]), (" GPU-ab , 1", ["GPU-ab", "1"]), ("", []), ("-1", []), ("0,-1,2", ["0"])],
)
def test_what_the_environment_chooses_is_what_there_is(chosen: str, gpus: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": chosen}) == gpus


@pytest.mark.parametrize(("script", "gpus"), [("printf '0\\n1\\n'", ["0", "1"]), ("exit 9", [])])
def test_nvidia_smi_is_asked_otherwise(
    script: str, gpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == gpus


def test_without_nvidia_smi_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == []
