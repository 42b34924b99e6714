"""The command line of `run_local.py`. Imports nothing heavy: `--help` and a wrong flag answer at once."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tau2_enhanced.command_line import Parser
from tau2_enhanced.domain_names import is_enhanced, plain_domain

PROGRAM = "run_local.py"

_LEVELS = ("DEBUG", "PROFILE", "USER_JUDGE", "INFO", "WARNING", "ERROR")
_STRATEGIES = ("none", "middle", "window")
_DESCRIPTION = """\
Run τ²-bench tasks against any model, with their real tools, databases and evaluator.

Without a model, the stand-in "gold" plays each task's gold actions: no key, no cost; its reward is the
benchmark's upper bound, not a model's score."""
_MODELS = """\
MODEL is one of
  gold                      plays each task's gold actions (the default)
  replay:RESULTS.json       repeats the messages recorded in a tau2 results file, which also sets the tasks
  openai/NAME, gpt-…        OpenAI; needs OPENAI_API_KEY
  anthropic/NAME, claude-…  Claude; needs ANTHROPIC_API_KEY
  vllm/NAME                 vLLM or any OpenAI-compatible server, at the role's base URL
  /PATH                     a checkpoint: the runner starts vLLM servers for it
  PROVIDER/NAME             any other provider that litellm knows: gemini/…, bedrock/…, mistral/…"""
_EXAMPLES = """\
examples:
  run_local.py --domains retail --log-level PROFILE
  run_local.py --domains airline --agent-model openai/gpt-4.1 --num-trials 4
  run_local.py --domains retail --agent-model /path/to/checkpoint --num-servers 2
  run_local.py --domains airline --agent-model anthropic/claude-sonnet-4-5 --user-model gemini/gemini-2.5-flash
  run_local.py --agent-model replay:outputs/RUN_ID/retail.json
  run_local.py --domains retail --agent-model vllm/my-model --agent-base-url http://localhost:8000/v1
  run_local.py --domains retail --num-tasks 1 --log-level DEBUG
  run_local.py --resume"""


class CommandLine(NamedTuple):
    """What was said, by the names of `RunOptions`; what was not said is absent."""

    given: dict[str, Any]
    resume: str | bool
    """False: a new run. True: go on with the newest. A text: with the run of that id."""


def parse_command_line(arguments: Sequence[str] | None = None) -> CommandLine:
    """Read the command line; ends the process with one line and exit code 2 where it can't be read."""
    parser = _build_parser()
    given = vars(parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments)))
    resume = given.pop("resume", False)
    if "domains" in given:
        names = [name for text in given["domains"] for name in text.split(",") if name]
        if any(map(is_enhanced, names)):
            given.setdefault("enhanced", True)
        given["domains"] = list(dict.fromkeys(map(plain_domain, names)))
        if not given["domains"]:
            parser.error("--domains: give at least one domain")
    if "gpu_ids" in given:
        given["gpu_ids"] = [gpu for text in given["gpu_ids"] for gpu in text.split(",") if gpu]
    return CommandLine(given, resume)


def _joined(arguments: Sequence[str]) -> list[str]:
    """The words, with the value of --vllm-args in one with it: one that begins with dashes is a flag to argparse."""
    words = list(arguments)
    if "--vllm-args" in words[:-1]:
        place = words.index("--vllm-args")
        words[place : place + 2] = [f"--vllm-args={words[place + 1]}"]
    return words


def _build_parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    tasks = parser.add_argument_group("tasks")
    tasks.add_argument(
        "--domains", "--domain", "-d", nargs="+", metavar="DOMAIN", help="default: retail telecom airline"
    )
    tasks.add_argument(
        "--task-ids", nargs="+", metavar="ID", help="tasks by DOMAIN:ID, or by ID if there is one domain (default: all)"
    )
    tasks.add_argument("--num-tasks", type=int, metavar="N", help="only the first N tasks of each domain")
    tasks.add_argument("--task-split", "--task-split-name", metavar="NAME", help="tau2's task split (default: base)")
    tasks.add_argument("--num-trials", type=int, metavar="N", help="trials of each task (default: 1)")

    models = parser.add_argument_group("models", _MODELS)
    for role in ("agent", "user", "judge"):
        models.add_argument(
            f"--{role}-model", f"--{role}-llm", metavar="MODEL", help=_MODEL_HELP[role], dest=f"{role}_model"
        )
        models.add_argument(
            f"--{role}-base-url", nargs="+", metavar="URL", help="server addresses, with /v1", dest=f"{role}_base_url"
        )
        models.add_argument(
            f"--{role}-args",
            f"--{role}-llm-args",
            type=_json_object,
            metavar="JSON",
            help="sent with every call, like '{\"temperature\": 0.7}'",
            dest=f"{role}_args",
        )
    models.add_argument(
        "--experts", nargs="+", metavar="NAME=MODEL[@URL]", help="models that the agent may hand its turn to"
    )
    models.add_argument(
        "--use-model-tool", action=argparse.BooleanOptionalAction, help="offer the experts to the agent (default)"
    )
    models.add_argument(
        "--context-limit", type=int, metavar="TOKENS", help="longest prompt of the agent; longer ones are cut"
    )
    models.add_argument(
        "--context-strategy",
        choices=_STRATEGIES,
        metavar="HOW",
        help="how to cut it: middle, window or none (default: none)",
    )
    models.add_argument(
        "--price",
        action="append",
        dest="prices",
        metavar="MODEL=IN/OUT",
        help="price of a model, in USD per million tokens",
    )
    models.add_argument("--stream", action="store_true", help="stream answers, and time their first token")
    models.add_argument(
        "--llm-timeout", type=float, metavar="S", help="seconds for one attempt at a call (default: 600)"
    )
    models.add_argument(
        "--llm-retries",
        "--max-retries",
        type=int,
        metavar="N",
        dest="llm_retries",
        help="further attempts after a server error or a dropped connection (default: 3)",
    )

    _add_server_flags(parser)
    run = parser.add_argument_group("run")
    run.add_argument("--max-concurrency", type=int, metavar="N", help="simulations at once (default: 10)")
    run.add_argument("--max-steps", type=int, metavar="N", help="most steps of a simulation (default: 200)")
    run.add_argument("--max-errors", type=int, metavar="N", help="most tool errors of a simulation (default: 10)")
    run.add_argument("--seed", type=int, metavar="N", help="seed of the run (default: 300)")
    run.add_argument(
        "--stop-loops",
        type=int,
        metavar="N",
        help="fail a task after the same tool call with the same answer N times in a row",
    )
    run.add_argument("--task-token-limit", type=int, metavar="N", help="fail a task that uses more tokens")
    run.add_argument("--task-cost-limit", type=float, metavar="USD", help="fail a task that costs more")
    run.add_argument("--task-timeout", type=float, metavar="S", help="end a task that takes longer, without a verdict")
    run.add_argument(
        "--task-working-timeout",
        type=float,
        metavar="S",
        help="fail a task that takes longer, not counting failed attempts and waits",
    )
    run.add_argument("--max-cost", type=float, metavar="USD", help="start no new simulation once the run has cost more")
    run.add_argument(
        "--heartbeat", type=float, metavar="S", help="seconds between log lines on a running task (default: 30)"
    )
    run.add_argument(
        "--stall-after", type=float, metavar="S", help="warn of a task with no event for S seconds (default: 120)"
    )
    run.add_argument("--run-id", "--save-to", metavar="NAME", dest="run_id", help="name of the run (default: the time)")
    run.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="RUN_ID",
        help="continue the newest run, or RUN_ID: run what has no verdict yet",
    )
    run.add_argument("--dry-run", action="store_true", help="show what would run, and run nothing")

    out = parser.add_argument_group("output")
    out.add_argument(
        "--log-level",
        type=str.upper,
        choices=_LEVELS,
        metavar="LEVEL",
        help=f"for the log files: {' '.join(_LEVELS)} (default: PROFILE)",
    )
    out.add_argument(
        "--console-level", type=str.upper, choices=_LEVELS, metavar="LEVEL", help="for the screen (default: WARNING)"
    )
    out.add_argument("--log-dir", metavar="DIR", help="folder for logs (default: logs)")
    out.add_argument("--output-dir", metavar="DIR", help="folder for runs (default: outputs)")
    out.add_argument(
        "--enhanced",
        action=argparse.BooleanOptionalAction,
        help="record tool calls and database changes in full, in OUTPUT_DIR/RUN_ID/run/events",
    )
    out.add_argument(
        "--record-replays", action="store_true", help="with --enhanced: also record what the evaluator replays"
    )
    out.add_argument(
        "--redact", action="store_true", help="replace sensitive data in events, in logs and on the screen"
    )
    out.add_argument(
        "--display",
        choices=("rich", "plain", "none"),
        help="progress display (default: rich on a terminal, else plain)",
    )
    out.add_argument(
        "--json", action="store_true", help="print the summary as JSON on stdout, everything else on stderr"
    )
    return parser


def _add_server_flags(parser: argparse.ArgumentParser) -> None:
    servers = parser.add_argument_group(
        "vLLM servers",
        "The runner starts them if --agent-model is the path of a checkpoint (default: $CKPT_DIR, if set), and stops\n"
        "them with the run. Each simulation stays with one server.",
    )
    servers.add_argument(
        "--serve", action="store_true", help="start servers for an --agent-model named on the Hugging Face hub"
    )
    servers.add_argument(
        "--skip-server-start", action="store_true", help="use servers already running at --agent-base-url URL [URL …]"
    )
    servers.add_argument(
        "--num-servers", type=int, metavar="N", help="how many (default: as the GPUs allow, at most 4)"
    )
    servers.add_argument("--start-port", type=int, metavar="PORT", help="port of the first server (default: 1900)")
    servers.add_argument("--gpu-ids", nargs="+", metavar="ID", help="which GPUs to use (default: all visible)")
    servers.add_argument("--tensor-parallel", type=int, metavar="N", help="GPUs of each server (default: 1)")
    servers.add_argument("--stagger-delay", type=float, metavar="S", help="seconds between two starts (default: 5)")
    servers.add_argument(
        "--server-timeout", type=float, metavar="S", help="seconds until all must answer (default: 600)"
    )
    servers.add_argument("--tool-call-parser", metavar="NAME", help="the parser's name in vLLM (default: hermes)")
    servers.add_argument("--vllm-args", metavar="ARGS", help='further arguments for vLLM: "--max-model-len 32768"')
    servers.add_argument("--vllm-command", metavar="COMMAND", help="how to start vLLM (default: vllm serve)")


_MODEL_HELP = {
    "agent": "who serves the customer",
    "user": "who plays the customer (default: gold with a gold agent, the same file with a replayed one, else gpt-4.1)",
    "judge": "who judges natural-language assertions (default: nobody, unless a task's reward needs it)",
}


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        # the text itself may hold a key, so it is not repeated
        raise argparse.ArgumentTypeError('expected a JSON object, like {"temperature": 0.7}')
    return value
