"""tau2's policies and guidelines, read once a process.

tau2 opens their files anew for each environment and each user simulator, three times and more a simulation. Its modules
look `open` and `load_file` up by name, so both are assigned there, at run time.
"""

from __future__ import annotations

import builtins
import functools
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_USERS = "tau2.user.user_simulator"
_DOMAINS, _ENVIRONMENT = "tau2.domains.", ".environment"


def read_texts_once() -> None:
    """Let all of tau2's domains and its user simulator, as far as they are imported, remember the texts they read."""
    for name, module in tuple(sys.modules.items()):
        if name == _USERS or (name.startswith(_DOMAINS) and name.endswith(_ENVIRONMENT)):
            names = vars(module)
            names["open"] = _open
            load_file = names.get("load_file")
            if load_file is not None and not isinstance(load_file, functools.partial):
                names["load_file"] = functools.partial(_load_file, load_file)


def _open(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    if mode != "r" or args or options or not _is_text(path):
        return builtins.open(path, mode, *args, **options)
    return io.StringIO(_text(path))


def _load_file(load_file: Callable[..., Any], path: Any, **options: Any) -> Any:
    if options or not _is_text(path):
        return load_file(path, **options)
    return _text(path)


def _is_text(path: Any) -> bool:
    return isinstance(path, str | Path) and str(path).endswith((".md", ".txt"))


@functools.cache
def _text(path: str | Path) -> str:
    with builtins.open(path) as file:
        return file.read()
