"""What can be said of a call's arguments and of its result: sizes, types, complexity, files, sensitive data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tau2_enhanced.logging.complexity import complexity
from tau2_enhanced.logging.events import ToolExecutionEvent
from tau2_enhanced.logging.plain import DEEPEST, JSON, compact, json_size, plain
from tau2_enhanced.logging.redaction import scrub_values
from tau2_enhanced.logging.sensitive import find_sensitive, redacted
from tau2_enhanced.logging.sensitive_keys import words_of
from tau2_enhanced.logging.signatures import Parameters, fit

LARGE_SIZE = 1000
"""An argument of more bytes of JSON is large."""
PREVIEW_LENGTH = 200
"""Characters of a result that an event keeps."""

_FILE_WORDS = {"file", "files", "filename", "filepath", "path", "attachment", "attachments"}
_EXTENSIONS = (
    "7z|cfg|css|csv|db|docx?|eml|gif|gz|html?|ics|ini|jpe?g|js|jsonl?|key|log|md|mp[34]|parquet|pdf|pem|png|pptx?|py"
    "|sh|sql|sqlite|svg|tar|tgz|toml|tsv|txt|wav|webp|xlsx?|xml|ya?ml|zip"
)
_PATH = re.compile(rf"(?:file://|~/|\.{{1,2}}/|/[\w.-]+/|[A-Za-z]:\\)\S*|(?:[\w.-]+/)*[\w-]+\.(?:{_EXTENSIONS})")
"""A whole text that is a path: rooted, relative with a dot, or ending as files do."""
_ERROR_KEYS = ("error", "errors", "exception", "traceback")
_ERROR_TEXT = re.compile(r"\s*(?:error|exception|traceback|failed|failure)\b", re.IGNORECASE)


def describe_arguments(
    event: ToolExecutionEvent, arguments: Mapping[str, object], parameters: Parameters | None = None
) -> None:
    """Fill in what the event says of its arguments; how they fit the tool's parameters, where these are known."""
    given: dict[str, JSON] = plain(arguments)
    event.tool_args = given
    event.args_count = len(given)
    event.args_size_bytes = json_size(given)
    event.args_complexity_score = round(complexity(given, event.args_size_bytes), 4)
    event.args_types = {str(name): type(value).__name__ for name, value in arguments.items()}
    event.has_file_args = any(_is_file(name, value) for name, value in _texts(arguments))
    event.has_large_args = event.args_size_bytes > LARGE_SIZE and any(
        json_size(value) > LARGE_SIZE for value in given.values()
    )
    found: dict[str, list[str]] = {}
    for finding in find_sensitive(given):
        found.setdefault(finding.kind, []).append(finding.path)
    event.sensitive_args = found
    event.sensitive_args_detected = bool(found)
    if parameters is not None:
        fitting = fit(parameters, given)
        event.required_args_provided, event.optional_args_provided = fitting.required, fitting.optional
        event.missing_args, event.unexpected_args = fitting.missing, fitting.unexpected


def describe_result(event: ToolExecutionEvent, result: object, *, redact: bool = False) -> None:
    """Fill in what the event says of its result, its type where that is not known yet.

    `redact` keeps sensitive data out of the preview, not out of what is measured.
    """
    data = plain(result)
    text = text_of(data)
    # before it is cut: half a secret is none that anybody knows
    clean = scrub_values(data, free=True)
    shown = text_of(redacted(clean) if redact else clean)
    event.result_type = event.result_type or type(result).__name__
    event.result_size = len(text.encode("utf-8", "surrogatepass"))
    event.result_complexity_score = round(complexity(data), 4)
    event.result_contains_errors = contains_errors(data)
    event.result_preview = shown[:PREVIEW_LENGTH]
    event.result_truncated = len(shown) > PREVIEW_LENGTH


def text_of(data: JSON) -> str:
    """A result as a text: itself where it is one, else its JSON."""
    return data if isinstance(data, str) else compact(data)


def contains_errors(data: JSON) -> bool:
    """A text that begins with an error, or an object that names one or says that it failed."""
    if isinstance(data, str):
        return _ERROR_TEXT.match(data) is not None
    if isinstance(data, dict):
        return any(data.get(key) for key in _ERROR_KEYS) or data.get("success") is False
    return False


def _texts(value: object, name: str = "", around: tuple[int, ...] = ()) -> Iterator[tuple[str, object]]:
    """All texts and bytes of a value, each with the key it stands under, as deep as `plain` goes."""
    if isinstance(value, Mapping | list | tuple):
        if len(around) > DEEPEST or id(value) in around:
            return
        around = (*around, id(value))
        named = value.items() if isinstance(value, Mapping) else ((name, inner) for inner in value)
        for key, inner in named:
            yield from _texts(inner, str(key), around)
    elif isinstance(value, str | bytes) or hasattr(value, "read"):
        yield name, value


def _is_file(name: str, value: Any) -> bool:
    if not isinstance(value, str):
        return True
    return bool(value) and (not _FILE_WORDS.isdisjoint(words_of(name)) or _PATH.fullmatch(value) is not None)
