"""Recorded conversations as models: each says again what it said, through the real tools and evaluator.

Nothing is remembered between requests: which message comes next follows from how many the participant has
said in the conversation that it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import get_logger
from tau2_enhanced.models.client import ChatMessage, Reply, Request, RequestedCall, Usage
from tau2_enhanced.models.failures import ModelFailure
from tau2_enhanced.models.stand_in.gold import HEADER
from tau2_enhanced.results_format import checked_info, checked_simulation, with_simulations

ROLES = {"agent": "assistant", "solo": "assistant", "user": "user"}
"""Under which of tau2's roles a participant's messages stand, and the calls that it requested."""

_logger = get_logger(__name__)


class RecordingEnded(ModelFailure):
    """The recorded participant said no more than this."""

    error_type = "recording_ended"


class Recorded(NamedTuple):
    """One recorded simulation."""

    task: str
    trial: int
    seed: int | None
    messages: Sequence[Mapping[str, Any]]
    """As tau2 wrote them."""

    def said_by(self, role: str) -> list[Mapping[str, Any]]:
        """The messages of the agent or the user. Raises LookupError for any other role."""
        return [message for message in self.messages if message["role"] == ROLES[role]]

    def told(self, role: str) -> list[str | None]:
        """What the tools answered to the agent's or the user's calls."""
        requestor = ROLES[role]
        results = (message for message in self.messages if message["role"] == "tool")
        return [result.get("content") for result in results if result.get("requestor", "assistant") == requestor]


@dataclass(frozen=True)
class Recording:
    """What a results file of tau2 holds of a run."""

    path: Path
    domain: str
    max_steps: int
    max_errors: int
    simulations: Mapping[tuple[str, int], Recorded] = field(repr=False)
    """By task and trial, in the file's order."""
    seed: int | None = None
    """The run's, from which tau2 made those of its trials; None where the file does not say."""


def read_recording(path: Path) -> Recording:
    """The recording in a results file of any tau2. Raises UserMistake for a file that can't be read or is none."""
    try:
        data = with_simulations(json.loads(path.read_bytes()), path)
        simulations = [_recorded(checked_simulation(entry)) for entry in data["simulations"]]
        info = checked_info(data["info"])
        return Recording(
            path,
            info["environment_info"]["domain_name"],
            info["max_steps"],
            info["max_errors"],
            {(recorded.task, recorded.trial): recorded for recorded in simulations},
            info.get("seed"),
        )
    except OSError as error:
        raise UserMistake(f"{path} can't be read: {error.strerror}") from None
    except KeyError as error:
        raise UserMistake(f"{path} is no results file of tau2: {error} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UserMistake(f"{path} is no results file of tau2: {error}") from None


def _recorded(entry: Mapping[str, Any]) -> Recorded:
    if entry["messages"] is None:
        raise ValueError("a voice run holds no messages to say again")
    return Recorded(entry["task_id"], entry.get("trial") or 0, entry.get("seed"), entry["messages"])


class ReplayClient:
    """Answers for the participants of a recording."""

    call_type = "replay"

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def check(self, model: str) -> None:
        """A recording that could be read has all it needs."""

    def complete(self, request: Request) -> Reply:
        """The recorded message that is next. Raises RecordingEnded where there is none."""
        asked = json.loads(request.headers[HEADER])
        recorded = self._recording.simulations[asked["task"], asked["trial"]]
        said = recorded.said_by(asked["role"])
        number = sum(message["role"] == "assistant" for message in request.messages)
        if number >= len(said):
            raise RecordingEnded(f"{self._recording.path.name} has no further message of the {asked['role']}")
        _tell_of_other_answers(recorded.told(asked["role"]), request.messages)
        message = said[number]
        usage = message.get("usage") or {}
        return Reply(
            content=message.get("content"),
            tool_calls=[
                RequestedCall(call["id"], call["name"], json.dumps(call["arguments"]))
                for call in message.get("tool_calls") or ()
            ],
            usage=Usage(usage.get("prompt_tokens"), usage.get("completion_tokens")),
            raw=message.get("raw_data") or {},
        )

    def close(self) -> None:
        """There is nothing to give back."""


def _tell_of_other_answers(then: Sequence[str | None], messages: Sequence[ChatMessage]) -> None:
    """Warn where the tools called last answered otherwise than they did in the recording.

    `then` is compared by place: servers that count each answer's calls from zero repeat their ids.
    """
    results = [message["content"] for message in messages if message["role"] == "tool"]
    newest = len(list(takewhile(lambda message: message["role"] == "tool", reversed(messages))))
    for now, before in list(zip(results, then, strict=False))[len(results) - newest :]:
        if now != before:
            _logger.warning("a tool answers otherwise than in the recording: %s", str(now)[:200])
