from __future__ import annotations

import importlib
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tau2_enhanced.deferred_imports import deferred

BODY = """
loud = False
history = []
class Broken(Exception): pass
class Box:
    size = 3
    def __init__(self, text): self.text = text
def shout(text): return text.upper() if loud else text
def forget(what): history.append(("forget", what, loud))
"""
USER = """
import {name}
from {name} import Box, shout
from {name}.inner.deep import answer
{name}.loud = True
{name}.forget("all")
def use(text): return shout(text), answer(), Box(text).text
def fails():
    try: raise {name}.Broken
    except {name}.Broken: return "caught"
"""
_numbers = itertools.count()

Make = Callable[..., tuple[str, str]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A package, and a module that uses it; both by names of their own, and neither imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before, finders = set(sys.modules), list(sys.meta_path)

    def make(body: str = BODY, user: str = USER) -> tuple[str, str]:
        name = f"heavy_{next(_numbers)}"
        deep = tmp_path / name / "inner"
        deep.mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text(body)
        (deep / "__init__.py").write_text("")
        (deep / "deep.py").write_text("def answer(): return 42\n")
        (tmp_path / f"user_of_{name}.py").write_text(user.format(name=name))
        importlib.invalidate_caches()
        return name, f"user_of_{name}"

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]
    sys.meta_path[:] = finders


def imported(name: str, user: str) -> Any:
    """The user's module, imported while its package is deferred."""
    with deferred(name, idle={"forget"}):
        return importlib.import_module(user)


def test_the_package_is_imported_when_it_is_used(make: Make) -> None:
    name, user = make()
    module = imported(name, user)
    assert not {key for key in sys.modules if key.startswith(name)}
    assert module.use("hi") == ("HI", 42, "hi")
    assert sys.modules[name].__file__


def test_everybody_else_gets_the_package_itself(make: Make) -> None:
    name, user = make()
    module = imported(name, user)
    package = importlib.import_module(name)
    assert type(package) is ModuleType
    assert getattr(module, name).Box is package.Box
    assert isinstance(package.Box("hi"), module.Box)
    assert not isinstance("hi", module.Box)
    assert module.Box.size == 3


def test_what_was_assigned_and_called_is_made_up_for_by_whoever_imports_it(make: Make) -> None:
    name, user = make()
    imported(name, user)
    package = importlib.import_module(name)
    assert package.loud is True
    assert package.history == [("forget", "all", True)]


def test_assigning_later_reaches_the_package(make: Make) -> None:
    name, user = make()
    module = imported(name, user)
    getattr(module, name).loud = False
    assert sys.modules[name].loud is False  # type: ignore[attr-defined]  # made by the test
    assert module.use("hi") == ("hi", 42, "hi")


def test_an_exception_can_be_caught_by_its_name_in_the_package(make: Make) -> None:
    assert imported(*make()).fails() == "caught"


def test_a_use_while_it_is_deferred_imports_it_at_once(make: Make) -> None:
    name, user = make(user=USER + "made = Box('early')\n{name}.loud = 'late'\nfrom {name} import loud\n")
    module = imported(name, user)
    assert (module.made.text, module.loud, sys.modules[name].loud) == ("early", "late", "late")  # type: ignore[attr-defined]  # made by the test
    assert importlib.import_module(f"{name}.inner.deep").answer() == 42


def test_a_package_that_is_there_is_used_as_it_is(make: Make) -> None:
    name, user = make()
    package = importlib.import_module(name)
    module = imported(name, user)
    assert getattr(module, name) is package
    assert module.Box is package.Box


def test_an_import_that_fails_may_succeed_later(make: Make, tmp_path: Path) -> None:
    name, user = make(body="raise RuntimeError('not yet')")
    module = imported(name, user)
    with pytest.raises(RuntimeError, match="not yet"):
        module.use("hi")
    (tmp_path / name / "__init__.py").write_text(BODY + "# another length, so that it is compiled anew\n")
    importlib.invalidate_caches()
    assert module.use("hi") == ("HI", 42, "hi")


def test_a_package_that_is_not_installed_is_missed_when_it_is_used(make: Make) -> None:
    _, user = make(user="import no_such_package_of_ours as gone\ndef use(): return gone.anything")
    module = imported("no_such_package_of_ours", user)
    with pytest.raises(ModuleNotFoundError, match="no_such_package_of_ours"):
        module.use()


def test_an_importer_that_fails_leaves_nothing_behind(make: Make) -> None:
    name, user = make(user="import {name}\n1 / 0")
    finders = list(sys.meta_path)
    with pytest.raises(ZeroDivisionError):
        imported(name, user)
    assert name not in sys.modules
    assert sys.meta_path == finders


def test_many_threads_may_use_it_first(make: Make) -> None:
    name, user = make(body="import time\ntime.sleep(0.05)\n" + BODY)
    module = imported(name, user)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(module.use("hi"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [("HI", 42, "hi")] * 8
    assert sys.modules[name].history == [("forget", "all", True)]  # type: ignore[attr-defined]  # made by the test


def test_once_the_package_is_imported_nothing_stands_in_its_way(make: Make) -> None:
    name, user = make()
    finders = list(sys.meta_path)
    imported(name, user)
    importlib.import_module(name)
    assert sys.meta_path == finders
