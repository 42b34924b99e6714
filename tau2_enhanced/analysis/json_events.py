"""Events that were written as JSON: a line each (JSONL), or a document that holds a list of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tau2_enhanced.analysis.inputs import DAMAGE, opened, pieces
from tau2_enhanced.analysis.json_columns import read_columns
from tau2_enhanced.analysis.log_lines import Lines, believed, read_events
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging.event_files import without_chain
from tau2_enhanced.logging.events import AuditEvent, BrokenLine, ExecutionEvent, from_json, to_json
from tau2_enhanced.results_format import with_simulations

LISTS = ("execution_events", "events")
"""Under which key a document holds its events."""


def read_json_lines(path: Path, into: Lines) -> None:
    """Read the events of a JSONL file; lines that hold none are counted as broken. Raises UserMistake."""
    for piece in pieces(path, broken=into.add_broken):
        texts = read_columns(piece, into)
        if texts is None:
            texts = piece.decode("utf-8", "replace").split("\n")
        read_events(_sound((text for text in texts if text and not text.isspace()), into), into)


def read_json_document(data: Any, into: Lines, run: str = "") -> bool:
    """Read the events of a document, a list or an object that holds one; False where it holds none.

    An object may hold an empty list. `run` names the recording, where it is one of the earlier tool.
    """
    listed = data
    if isinstance(data, dict):
        listed = next((data[name] for name in LISTS if name in data), None)
    if not isinstance(listed, list) or (not listed and listed is data):
        return False
    if _is_earlier(listed):
        _read_earlier(listed, data.get("state_snapshots") if isinstance(data, dict) else None, run, into)
    else:
        read_events(_sound(map(json.dumps, listed), into), into)
    return True


def _is_earlier(listed: list[Any]) -> bool:
    """Whether these are events of the earlier tool."""
    first = next((entry for entry in listed if isinstance(entry, dict)), {})
    return "event_type" in first and "type" not in first


def _read_earlier(listed: list[Any], snapshots: Any, run: str, into: Lines) -> None:
    from tau2_enhanced.analysis.executions.earlier_files import read_earlier  # what few need

    found = read_earlier(listed, snapshots, run)
    for text, why in found.broken:
        into.add_broken(text, why)
    read_events(_believable(found.events, into), into)


def load_json(path: Path) -> Any:
    """A JSON file, unpacked where it is gzipped, results of tau2 whole. Raises UserMistake where it can't be read."""
    try:
        with opened(path) as file:
            return with_simulations(json.load(file), path)
    except (OSError, *DAMAGE) as error:
        raise UserMistake(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    except (ValueError, RecursionError) as error:
        raise UserMistake(f"{path} is no JSON: {error}") from None


def _sound(texts: Iterable[str], into: Lines) -> Iterator[ExecutionEvent]:
    for text in texts:
        try:
            event = believed(from_json(text))
        except BrokenLine as error:
            into.add_broken(text, str(error))
        else:
            if not isinstance(event, AuditEvent):
                yield without_chain(event)


def _believable(events: Iterable[ExecutionEvent], into: Lines) -> Iterator[ExecutionEvent]:
    for event in events:
        try:
            yield believed(event)
        except BrokenLine as error:
            into.add_broken(to_json(event), str(error))
