"""`key=value` text, quoted as logfmt does (https://github.com/go-logfmt/logfmt).

A value that is empty or holds a space, `=`, `"`, a control character or a lone surrogate is written
as a JSON string; everything else stands as it is.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

_PLAIN = re.compile(r'[^\s="\x00-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff]+')
_ESCAPED = re.compile("[\x7f-\xa0\u2028\u2029\ud800-\udfff]")
_PAIR = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')


@lru_cache(maxsize=1024)
def quote(value: str) -> str:
    """`value` as it stands on a line. Remembered, because lines repeat their names, tasks and threads."""
    if _PLAIN.fullmatch(value):
        return value
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def unquote(text: str) -> str:
    """The value that `quote` wrote. Raises ValueError for a broken quotation."""
    if not text.startswith('"'):
        return text
    value = json.loads(text)
    if not isinstance(value, str):
        raise ValueError(f"not a quoted text: {text}")
    return value


def parse_pairs(text: str) -> dict[str, str]:
    """All pairs of a line, unquoted. Raises ValueError where something is not a pair."""
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            raise ValueError(f"not key=value at character {position}: {text[position : position + 40]!r}")
        # a key that stands twice: the schema's own fields come first on a line
        pairs.setdefault(found[1], unquote(found[2]))
        position = found.end()
        while position < len(text) and text[position].isspace():
            position += 1
    return pairs
