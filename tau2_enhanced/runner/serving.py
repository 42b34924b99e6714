"""Which vLLM servers a run starts, and their start."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import get_logger
from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.resolve import GOLD, REPLAY_PREFIX, is_path
from tau2_enhanced.models.spread import Spread
from tau2_enhanced.models.vllm.commands import ServerCommand, served_name, server_commands
from tau2_enhanced.models.vllm.gpus import visible_gpus
from tau2_enhanced.models.vllm.processes import ServerProcesses
from tau2_enhanced.runner.options import RunOptions, flag_of
from tau2_enhanced.runner.pool import Stop

CHECKPOINT = "CKPT_DIR"
"""The environment variable that names the agent's model where nothing else does."""

_OF_SERVERS = (
    "num_servers",
    "start_port",
    "gpu_ids",
    "tensor_parallel",
    "stagger_delay",
    "server_timeout",
    "tool_call_parser",
    "vllm_args",
    "vllm_command",
)
"""Options that only a server's start heeds."""
_ALL_ENDED = "all servers that the run had started have ended"

_logger = get_logger(__name__)


@dataclass(frozen=True)
class Serving:
    """The servers that a run starts."""

    given: str
    """Their model, as the user named it."""
    model: str
    """By which name the servers know it."""
    commands: Sequence[ServerCommand]

    @property
    def urls(self) -> list[str]:
        return [command.base_url for command in self.commands]


def default_model(environment: Mapping[str, str]) -> dict[str, str]:
    """The options that the environment's checkpoint stands for; none without one."""
    checkpoint = environment.get(CHECKPOINT)
    return {"agent_model": str(Path(checkpoint).absolute())} if checkpoint else {}


def plan_serving(options: RunOptions, said: Container[str]) -> Serving | None:
    """The servers that are to be started; None where the models need none.

    `said` are the options that the command line names: a resumed run has others from where it began, which its
    servers need no more if they run already. Raises UserMistake, also where one of those said would do nothing.
    """
    given = options.agent_model
    if options.skip_server_start and not options.agent_base_url:
        raise UserMistake("--skip-server-start needs the servers' addresses: --agent-base-url URL [URL …]")
    if options.agent_base_url or not (options.serve or is_path(given)):
        _check_nothing_is_started(options, said)
        return None
    if given == GOLD or given.startswith(REPLAY_PREFIX):
        raise UserMistake(f"--serve starts servers, and {given} needs none: name a model with --agent-model")
    model = given.removeprefix("vllm/")
    if is_path(model) and not Path(model).is_dir():
        raise UserMistake(f"--agent-model {model}: there is no such folder")
    gpus = visible_gpus() if options.gpu_ids is None else options.gpu_ids
    # numbers that the environment gives are meant in its own order
    in_its_order = "CUDA_DEVICE_ORDER" in os.environ or (
        options.gpu_ids is None and "CUDA_VISIBLE_DEVICES" in os.environ
    )
    commands = server_commands(
        model,
        gpus=gpus,
        num_servers=options.num_servers,
        start_port=options.start_port,
        tensor_parallel=options.tensor_parallel,
        tool_call_parser=options.tool_call_parser,
        vllm_args=options.vllm_args,
        vllm_command=options.vllm_command,
        gpu_order=not in_its_order,
    )
    return Serving(given, served_name(model, options.vllm_args), commands)


def _check_nothing_is_started(options: RunOptions, said: Container[str]) -> None:
    if "serve" in said:
        other = "--skip-server-start" if options.skip_server_start else "--agent-base-url"
        raise UserMistake(f"--serve starts servers, {other} is for servers already running: use one of them")
    unused = ", ".join(flag_of(name) for name in _OF_SERVERS if name in said)
    if unused:
        why = "those at --agent-base-url run already" if options.agent_base_url else "see --serve"
        raise UserMistake(f"{unused}: no servers are started for {options.agent_model} ({why})")


def start_servers(serving: Serving, options: RunOptions, log_dir: Path) -> ServerProcesses:
    """The servers, on their way. Raises UserMistake where a port is taken or the command is not there."""
    program = serving.commands[0].arguments[0]
    if shutil.which(program) is None:
        install = "pip install 'vllm>=0.11', or " if program == "vllm" else ""
        raise UserMistake(f"{program} was not found: {install}see --vllm-command")
    for command in serving.commands:
        _say(f"starting {command}")
    return ServerProcesses(serving.commands, log_dir, stagger_delay_s=options.stagger_delay)


def wait_for_servers(servers: ServerProcesses, options: RunOptions) -> None:
    """Return when all servers answer. Raises UserMistake where one does not, its last lines shown."""
    servers.wait(options.server_timeout, _say)


def heed_ends(servers: ServerProcesses, spreads: Sequence[Spread], stop: Stop) -> None:
    """Log from now on how servers end by themselves; with the last of them the run ends too."""

    def ended(port: int, how: str) -> None:
        lines = "".join(f"\n{line}" for line in servers.last_lines(port))
        _logger.error("the server on port %d %s; %s ends with:%s", port, how, servers.log(port), lines)
        if servers.all_ended:
            stop.request(_ALL_ENDED)
            for spread in spreads:
                if {one.base_url for one in spread.servers} <= {command.base_url for command in servers.commands}:
                    spread.give_up(_ALL_ENDED)

    servers.tell(ended)


def _say(text: str) -> None:
    print(f"vllm: {scrub(text)}", file=sys.stderr, flush=True)
