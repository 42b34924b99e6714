"""What was wrong with a call's arguments, in one text each, without the values that were given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_HEAD = re.compile(r"\d+ validation errors? for \S+")
_NOISE = re.compile(r" \[type=.*", re.DOTALL)
_ARGUMENTS = re.compile(
    r"(missing \d+ required .*|got an unexpected keyword argument .*|takes .* positional arguments? .*)"
)


def validation_errors(error: BaseException | str | None) -> list[str]:
    """The texts `place: what was wrong` of a pydantic error or of its text, as tau2 passes it on.

    A call that does not fit the tool's parameters is such an error too; other errors give an empty list.
    """
    errors = getattr(error, "errors", None)
    if callable(errors):
        return [f"{_place(found)}: {found['msg']}" for found in errors()]
    text = str(error or "")
    head = _HEAD.search(text)
    if head is not None:
        return list(_of_text(text[head.end() :]))
    arguments = _ARGUMENTS.search(text)
    return [arguments[0]] if arguments else []


def _place(found: dict[str, Any]) -> str:
    return ".".join(map(str, found.get("loc", ()))) or "value"


def _of_text(text: str) -> Iterator[str]:
    """pydantic's text: a line that names the place, then an indented one that says what is wrong."""
    place = ""
    for line in text.splitlines():
        if line and not line[0].isspace():
            place = line.strip()
        elif place and line.strip():
            yield f"{place}: {_NOISE.sub('', line).strip()}"
            place = ""
