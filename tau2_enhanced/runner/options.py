"""All that a user can say about a run, as one plain object.

The command line fills it (`runner/arguments.py`), a run's configuration keeps it, a resumed run starts
from what was kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.prices import parse_price
from tau2_enhanced.models.resolve import GOLD, REPLAY_PREFIX, url_without_secrets
from tau2_enhanced.models.secret_arguments import NOT_KEPT, without_secrets
from tau2_enhanced.runner.loops import FEWEST
from tau2_enhanced.tau2_versions import DEFAULT_MODEL


def _free(**options: Any) -> Any:
    """A field that can't change a result: a resumed run may differ in it."""
    return field(metadata={"free": True}, **options)


@dataclass
class RunOptions:
    """One run. Fields made with `_free` may differ when the run is resumed; the others must not."""

    domains: list[str] = _free(default_factory=lambda: ["retail", "telecom", "airline"])
    task_ids: list[str] | None = _free(default=None)
    """`DOMAIN:ID`, or `ID` where there is one domain; None is all of the split."""
    num_tasks: int | None = _free(default=None)
    """The first so many of each domain."""
    task_split: str = _free(default="base")
    num_trials: int = _free(default=1)
    agent_model: str = "gold"
    user_model: str | None = None
    """None: gold for a gold agent, the same recording for a replayed one, else tau2's own default."""
    judge_model: str | None = None
    agent_base_url: list[str] | None = _free(default=None, repr=False)
    """Of one server with the model or of several, over which the simulations are spread."""
    user_base_url: list[str] | None = _free(default=None, repr=False)
    judge_base_url: list[str] | None = _free(default=None, repr=False)
    agent_args: dict[str, Any] = field(default_factory=dict, repr=False)
    user_args: dict[str, Any] = field(default_factory=dict, repr=False)
    judge_args: dict[str, Any] = field(default_factory=dict, repr=False)
    serve: bool = _free(default=False)
    """Whether vLLM servers are started for the agent's model; for a checkpoint's path they are unless it has a URL."""
    skip_server_start: bool = _free(default=False)
    """The servers at the agent's URLs run already."""
    num_servers: int | None = _free(default=None)
    """None: as many as the GPUs allow, at most four."""
    start_port: int = _free(default=1900)
    gpu_ids: list[str] | None = _free(default=None)
    """None: all that are visible."""
    tensor_parallel: int = _free(default=1)
    """GPUs of each server."""
    stagger_delay: float = _free(default=5.0)
    """Seconds between the starts of two servers."""
    server_timeout: float = _free(default=600.0)
    """Seconds until all servers must answer."""
    tool_call_parser: str = "hermes"
    """vLLM's name of how it reads tool calls out of the model's text; empty for none."""
    vllm_args: str = _free(default="")
    vllm_command: str = _free(default="vllm serve")
    stream: bool = False
    """Whether answers are streamed, which tells when their first token came."""
    experts: list[str] = field(default_factory=list, repr=False)
    """`NAME=MODEL` or `NAME=MODEL@BASE_URL`."""
    use_model_tool: bool = True
    """The agent may let the experts take its turn."""
    context_limit: int | None = None
    """Tokens of a prompt, to which the agent's conversation is cut."""
    context_strategy: str = "none"
    """How: none, middle or window."""
    prices: list[str] = _free(default_factory=list)
    """`MODEL=IN/OUT`, USD per million tokens."""
    max_steps: int = 200
    max_errors: int = 10
    stop_loops: int | None = None
    """How many times in a row the same tool call with the same answer ends a task; None lets it go on."""
    task_token_limit: int | None = None
    """Tokens, in and out, that agent and user may take for one task."""
    task_cost_limit: float | None = None
    """USD that one task may take."""
    task_working_timeout: float | None = None
    """Seconds that one task may take, failed attempts at calls and the waits after them left out."""
    task_timeout: float | None = _free(default=None)
    """Seconds that one task may take, all told."""
    seed: int = 300
    max_concurrency: int = _free(default=10)
    llm_timeout: float = _free(default=600.0)
    """Seconds for one model call."""
    llm_retries: int = _free(default=3)
    heartbeat: float = _free(default=30.0)
    """Seconds between two heartbeats of a running simulation in the log."""
    stall_after: float = _free(default=120.0)
    """Seconds without an event after which a simulation is called stalled."""
    max_cost: float | None = _free(default=None)
    """USD after which no new simulation begins."""
    log_level: str = _free(default="PROFILE")
    console_level: str = _free(default="WARNING")
    log_dir: str = _free(default="logs")
    output_dir: str = _free(default="outputs")
    enhanced: bool = _free(default=False)
    """Tool calls are recorded with all that can be said of them, and the databases' states."""
    record_replays: bool = _free(default=False)
    """What the evaluator plays is recorded there too."""
    redact: bool = _free(default=False)
    """Sensitive data is replaced in events and logs."""
    run_id: str | None = _free(default=None)
    display: str | None = _free(default=None)
    """rich, plain or none; None is rich on a terminal and plain elsewhere."""
    json: bool = _free(default=False)
    dry_run: bool = _free(default=False)

    def __post_init__(self) -> None:
        for name in ("agent_base_url", "user_base_url", "judge_base_url"):
            if isinstance(one := getattr(self, name), str):
                # as earlier configurations have it
                setattr(self, name, [one])
        if self.user_model is None:
            plays_both = self.agent_model == GOLD or self.agent_model.startswith(REPLAY_PREFIX)
            self.user_model = self.agent_model if plays_both else DEFAULT_MODEL

    def check(self) -> None:
        """Raise UserMistake for numbers that no run can have, prices that can't be read, and what goes with nothing."""
        for name, least in (
            ("num_trials", 1),
            ("max_steps", 1),
            ("max_errors", 1),
            ("max_concurrency", 1),
            ("llm_retries", 0),
        ):
            if getattr(self, name) < least:
                raise UserMistake(f"{flag_of(name)} must be at least {least}, not {getattr(self, name)}")
        if self.num_tasks is not None and self.num_tasks < 1:
            raise UserMistake(f"--num-tasks must be at least 1, not {self.num_tasks}")
        if self.stop_loops is not None and self.stop_loops < FEWEST:
            raise UserMistake(f"--stop-loops must be at least {FEWEST}, not {self.stop_loops}")
        if not self.stagger_delay >= 0:
            raise UserMistake(f"--stagger-delay must be at least 0 seconds, not {self.stagger_delay:g}")
        for name in ("llm_timeout", "heartbeat", "stall_after", "server_timeout"):
            if not getattr(self, name) > 0:
                raise UserMistake(f"{flag_of(name)} must be more than 0 seconds, not {getattr(self, name):g}")
        for name in ("max_cost", "task_cost_limit", "task_token_limit", "task_timeout", "task_working_timeout"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise UserMistake(f"{flag_of(name)} must be more than 0, not {limit:g}")
        for text in self.prices:
            parse_price(text)
        for name in ("judge_args", "judge_base_url"):
            if getattr(self, name) and self.judge_model is None:
                raise UserMistake(f"{flag_of(name)} needs a judge: name one with --judge-model")
        if self.record_replays and not self.enhanced:
            raise UserMistake("--record-replays goes with --enhanced")
        if (self.context_limit is None) != (self.context_strategy == "none"):
            raise UserMistake("--context-limit and --context-strategy (middle or window) go together")
        if self.context_limit is not None and self.context_limit < 1:
            raise UserMistake(f"--context-limit must be at least 1, not {self.context_limit}")

    def to_json(self) -> dict[str, Any]:
        """What a run's configuration keeps: everything but secrets and how this process shows itself."""
        return {f.name: self._kept(f.name) for f in fields(self) if f.name not in _NOT_KEPT}

    def deciding(self) -> dict[str, Any]:
        """What can change a result, and so must be the same when the run is resumed.

        Of secrets among the arguments it must be the same that they are there: they may be others.
        """
        deciding = {f.name: self._kept(f.name, NOT_KEPT) for f in fields(self) if not f.metadata.get("free")}
        # the address of a server decides nothing
        return {**deciding, "experts": [_expert(text)[0] for text in self.experts]}

    @property
    def not_kept(self) -> list[str]:
        """The flags of which `to_json` leaves something out: whoever resumes the run gives them again."""
        kept = self.to_json()
        return [flag_of(name) for name, value in kept.items() if value != getattr(self, name)]

    @property
    def scaffold(self) -> list[str]:
        """What sets the agent apart from tau2's own: `experts`, `context`."""
        return [*(["experts"] if self.offered_experts else []), *(["context"] if self.context_limit else [])]

    @property
    def offered_experts(self) -> list[str]:
        """The experts that the agent is offered."""
        return self.experts if self.use_model_tool else []

    def _kept(self, name: str, for_secrets: str | None = None) -> Any:
        value = getattr(self, name)
        if isinstance(value, dict):
            asked = {key: argument for key, argument in value.items() if key not in _CONNECTION}
            return without_secrets(asked, in_their_place=for_secrets)
        if name.endswith("_base_url") and value is not None:
            return [url_without_secrets(url) for url in value]
        if name == "experts":
            return ["".join(_expert(text)) for text in value]
        return value


_CONNECTION = {"api_key", "base_url"}
"""Model arguments that say how to reach the model, not what to ask of it."""
_NOT_KEPT = {
    "output_dir",
    "run_id",
    "display",
    "json",
    "dry_run",
}


def _expert(text: str) -> tuple[str, str]:
    """What an expert is, and `@` with its server's address, without secrets."""
    expert, at, address = text.partition("@http")
    return expert, f"@{url_without_secrets('http' + address)}" if at else ""


def flag_of(name: str) -> str:
    """An option as the command line has it."""
    return "--" + name.replace("_", "-")
