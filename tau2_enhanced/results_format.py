"""tau2's results format, as far as the project reads it: checked once, so that nobody stumbles over it later."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LONGEST_S = 1e9
"""What claims to have taken longer, in seconds, is no measurement."""
INFRASTRUCTURE_ERROR = "infrastructure_error"
"""Why a simulation ended that tau2 1.0 takes for nobody's fault: it has no verdict."""


def with_simulations(data: Any, path: Path) -> Any:
    """The JSON of `path`; where tau2 1.0 keeps the simulations beside it, in files of their own, with these.

    Raises OSError for one that can't be read, ValueError for one that is no JSON or that the index names and is gone.
    """
    if not isinstance(data, dict) or "simulations" in data or "simulation_index" not in data:
        return data
    files = {file.stem: file for file in sorted((path.parent / "simulations").glob("*.json"))}
    if missing := [entry["id"] for entry in data["simulation_index"] or () if entry["id"] not in files]:
        raise ValueError(f"{len(missing)} of its simulations are missing, {missing[0]} first")
    return {**data, "simulations": [json.loads(file.read_bytes()) for file in files.values()]}


def checked_info(info: Any) -> Mapping[str, Any]:
    """What a results file says of its run. Raises KeyError for what is missing, ValueError for nonsense."""
    _need(isinstance(info["environment_info"]["domain_name"], str), "a domain's name is a text")
    for name in ("max_steps", "max_errors"):
        _need(isinstance(info[name], int), f"{name} is a whole number")
    _need(isinstance(info.get("seed"), int | None), "a seed is a whole number")
    return info  # type: ignore[no-any-return]  # checked above


def checked_simulation(entry: Any) -> Mapping[str, Any]:
    """A simulation of a results file. Raises ValueError for what is none, or holds nonsense.

    A voice run's has no messages: None, and ticks instead.
    """
    _need(isinstance(entry, Mapping) and isinstance(entry.get("task_id"), str), "a simulation names its task")
    _need(isinstance(entry.get("trial"), int | None) and isinstance(entry.get("seed"), int | None), "trial and seed")
    duration = entry.get("duration")
    _need(_is_number(duration) and 0 <= float(duration or 0) <= LONGEST_S, "a duration")
    for name in ("agent_cost", "user_cost"):
        _need(entry.get(name) is None or _is_number(entry[name]), name)
    info = entry.get("reward_info")
    _need(info is None or (isinstance(info, Mapping) and _is_number(info.get("reward"))), "a reward")
    messages = entry.get("messages")
    voice = messages is None and isinstance(entry.get("ticks"), list)
    _need(voice or isinstance(messages, list), "messages")
    for message in messages or ():
        _check_message(message)
    return entry  # type: ignore[no-any-return]  # checked above


def _check_message(message: Any) -> None:
    _need(isinstance(message, Mapping) and isinstance(message.get("role"), str), "a message has a role")
    _need(isinstance(message.get("content"), str | None), "a message's content is a text")
    _need(message["role"] != "tool" or isinstance(message.get("id"), str), "a tool's answer names its call")
    _need(isinstance(message.get("timestamp"), str | None), "a message's time is a text")
    _need(message.get("cost") is None or _is_number(message["cost"]), "a message's cost")
    calls = message.get("tool_calls")
    _need(calls is None or isinstance(calls, list), "tool calls")
    for call in calls or ():
        named = isinstance(call, Mapping) and isinstance(call.get("name"), str) and isinstance(call.get("id"), str)
        _need(named and isinstance(call.get("arguments"), Mapping), "a tool call has an id, a name and arguments")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _need(held: bool, what: str) -> None:
    if not held:
        raise ValueError(what)
