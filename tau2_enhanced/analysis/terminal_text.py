"""Texts that others wrote, as a terminal may show them."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line ends and tabs apart, marks that turn the direction of writing, and halves of characters."""


def harmless(text: str) -> str:
    r"""The text without what would command a terminal: such characters as `\x1b`, tabs as spaces."""
    lines = text.replace("\r\n", "\n").expandtabs(4)
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], lines)


def shortened(text: str, most: int) -> str:
    """The beginning of a text that is clearly longer than `most`, and how much is left out."""
    if len(text) <= most + most // 4:
        return text
    return f"{text[:most].rstrip()} … {len(text) - most:,} characters more"
