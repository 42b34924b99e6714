"""The exceptions as they are drawn: whoever catches one finds there what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator

from support import CHECKOUT

from tau2_enhanced import errors
from tau2_enhanced.models import failures


def drawn(tree: str | None) -> Iterator[tuple[str, str]]:
    """Each class of a docstring's tree with the one that it hangs below."""
    above: dict[int, str] = {}
    for indent, name in re.findall(r"^([│├└─ ]*)([A-Z]\w+)\b", tree or "", re.MULTILINE):
        above[len(indent)] = name
        if indent:
            yield name, above[len(indent) - 4]


def derived(base: str, classes: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Each class below a base with its own base, of all classes with their bases."""
    for name, bases in classes:
        if base in re.findall(r"\w+", bases):
            yield name, base
            yield from derived(name, classes)


def test_every_exception_is_drawn_where_it_belongs() -> None:
    # as text: to import all modules takes many seconds
    sources = [path.read_text() for path in (CHECKOUT / "tau2_enhanced").rglob("*.py")]
    classes = re.findall(r"^\s*class (\w+)\((.+)\):", "\n".join(sources), re.MULTILINE)
    found = sorted([*drawn(errors.__doc__), *drawn(failures.__doc__)])
    assert found == sorted(derived("Tau2EnhancedError", classes))
