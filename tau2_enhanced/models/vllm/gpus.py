"""Which GPUs there are, without loading what would use them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from itertools import takewhile

_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
_TIMEOUT_S = 30.0


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The ids in CUDA_VISIBLE_DEVICES where it is set, else of all that nvidia-smi knows; empty without any."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        # CUDA itself stops at the first that is none
        return list(takewhile(lambda gpu: gpu not in ("", "-1"), (gpu.strip() for gpu in chosen.split(","))))
    try:
        listed = subprocess.run(_NVIDIA_SMI, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.split()
