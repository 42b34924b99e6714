"""The servers that are to be started: one command line each, its port and its GPUs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tau2_enhanced.errors import UserMistake

MOST_SERVERS = 4
"""How many are started unless more are asked for."""
LOOPBACK = "127.0.0.1"
_EVERYWHERE = {"", "0.0.0.0", "::"}
"""Hosts that mean all addresses of the machine."""
_OURS = {
    "--port": "--start-port",
    "--tensor-parallel-size": "--tensor-parallel",
    "-tp": "--tensor-parallel",
    "--tool-call-parser": "--tool-call-parser",
    "--api-key": "VLLM_API_KEY, which servers and runner both read",
    "--hf-token": "HF_TOKEN",
}
"""What of vLLM's flags this runner sets itself or would show, and what does it instead."""


@dataclass(frozen=True)
class ServerCommand:
    """How one server is started."""

    port: int
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    """Beyond the runner's own."""
    host: str = LOOPBACK
    """Where it listens."""

    @property
    def base_url(self) -> str:
        host = LOOPBACK if self.host in _EVERYWHERE else self.host
        return f"http://[{host}]:{self.port}/v1" if ":" in host else f"http://{host}:{self.port}/v1"

    def __str__(self) -> str:
        """As one would type it."""
        return shlex.join([*(f"{name}={value}" for name, value in self.environment.items()), *self.arguments])


def server_commands(
    model: str,
    *,
    gpus: Sequence[str],
    num_servers: int | None = None,
    start_port: int = 1900,
    tensor_parallel: int = 1,
    tool_call_parser: str = "hermes",
    vllm_args: str = "",
    vllm_command: str = "vllm serve",
    gpu_order: bool = True,
) -> list[ServerCommand]:
    """A command for each server. Raises UserMistake where the GPUs do not suffice or the flags contradict.

    Without GPUs a number of servers has to be named; they are then started as they are, for vLLM runs on other
    devices too. With `gpu_order` GPUs are counted as nvidia-smi counts them.
    """
    count = _count(num_servers, len(gpus), tensor_parallel)
    command, more = _words("--vllm-command", vllm_command), _words("--vllm-args", vllm_args)
    if not command:
        raise UserMistake("--vllm-command names no command")
    for word in more:
        if instead := _OURS.get(_flag(word)):
            raise UserMistake(f"--vllm-args: {_flag(word)} is set by {instead}")
    if not 0 < start_port <= 65536 - count:
        raise UserMistake(f"--start-port {start_port}: there are no {count} ports from there on")
    named = _value(more, "--host")
    host = LOOPBACK if named is None else named
    shared = [
        *(["--host", host] if named is None else []),
        *(["--enable-auto-tool-choice", "--tool-call-parser", tool_call_parser] if tool_call_parser else []),
        # each answer then says how many tokens of its prompt came from the cache
        "--enable-prompt-tokens-details",
        *(["--tensor-parallel-size", str(tensor_parallel)] if tensor_parallel > 1 else []),
        *more,
    ]
    made = []
    for number in range(count):
        mine = gpus[number * tensor_parallel : (number + 1) * tensor_parallel]
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(mine)} if mine else {}
        if mine and gpu_order:
            environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        port = start_port + number
        made.append(ServerCommand(port, [*command, model, "--port", str(port), *shared], environment, host))
    return made


def _count(wanted: int | None, gpus: int, tensor_parallel: int) -> int:
    if tensor_parallel < 1 or (wanted is not None and wanted < 1):
        raise UserMistake("--num-servers and --tensor-parallel must be at least 1")
    if not gpus:
        if wanted is None:
            raise UserMistake(
                "no GPU is found by nvidia-smi or CUDA_VISIBLE_DEVICES: name --gpu-ids, or --num-servers for a vLLM "
                "that needs none, or --skip-server-start and --agent-base-url for servers that run already"
            )
        return wanted
    count = wanted or min(MOST_SERVERS, max(1, gpus // tensor_parallel))
    if count * tensor_parallel > gpus:
        raise UserMistake(
            f"{count} server{'s' * (count > 1)} with {tensor_parallel} GPU{'s' * (tensor_parallel > 1)} each: there "
            f"{'are' if gpus > 1 else 'is'} {gpus}"
        )
    return count


def _words(flag: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserMistake(f"{flag} can't be read: {error}") from None


def _flag(word: str) -> str:
    """The flag that a word is or begins with, as vLLM reads it: underscores are dashes."""
    return word.partition("=")[0].replace("_", "-")


def _value(words: Sequence[str], flag: str) -> str | None:
    """What the last such flag is given, as vLLM reads it; None where there is none."""
    values = [word.partition("=")[2] or after for word, after in pairwise([*words, ""]) if _flag(word) == flag]
    return values[-1] if values else None


def served_name(model: str, vllm_args: str) -> str:
    """The name by which the servers know the model."""
    return _value(_words("--vllm-args", vllm_args), "--served-model-name") or model
