"""Environments over shared databases: loaded once, apart from each other, tau2's own where nothing is shared."""

from __future__ import annotations

import copy
import importlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tau2_enhanced.environments.domain_environments import DomainEnvironments, offers_databases

pytestmark = pytest.mark.usefixtures("registry")


def constructor(domain: str) -> Callable[..., Any]:
    made: Callable[..., Any] = importlib.import_module(f"tau2.domains.{domain}.environment").get_environment
    return made


def test_threads_that_ask_at_once_load_once() -> None:
    loads = []

    def construct(db: Any = None, solo_mode: bool = False) -> Any:
        if db is None:
            loads.append(threading.get_ident())
        return constructor("retail")(db=db, solo_mode=solo_mode)

    environments = DomainEnvironments(construct)
    gate = threading.Barrier(8)

    def work(_: int) -> Any:
        gate.wait()
        return environments()

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(work, range(8)))
    assert len(loads) == 1
    assert len({id(environment.tools.db) for environment in made}) == 8


def test_environments_are_apart(registry: Any) -> None:
    make = registry.get_env_constructor("mock")
    changed, other = make(), make()
    changed.use_tool("create_task", user_id="user_1", title="new")
    assert changed.get_db_hash() != other.get_db_hash()
    assert len(other.tools.db.tasks) == 1
    assert make().get_db_hash() == other.get_db_hash() == constructor("mock")().get_db_hash()


def test_it_takes_what_tau2s_constructor_takes(registry: Any) -> None:
    make = registry.get_env_constructor("mock")
    assert make(solo_mode=True).solo_mode
    assert make(solo_mode=True).get_policy() == constructor("mock")(solo_mode=True).get_policy()
    database = constructor("mock")().tools.db
    assert make(db=database).tools.db is database
    assert make(database).tools.db is database
    with pytest.raises(ValueError, match="does not support solo mode"):
        registry.get_env_constructor("retail")(solo_mode=True)


def test_tools_and_their_schemas_are_tau2s(registry: Any) -> None:
    ours, tau2s = registry.get_env_constructor("telecom")(), constructor("telecom")()
    assert ours.__class__ is tau2s.__class__
    for kit, expected in ((ours.tools, tau2s.tools), (ours.user_tools, tau2s.user_tools)):
        assert isinstance(kit, type(expected))
        assert list(kit.tools) == list(expected.tools)
        assert [t.openai_schema for t in kit.get_tools().values()] == [
            t.openai_schema for t in expected.get_tools().values()
        ]
        assert kit.get_statistics() == expected.get_statistics()


def test_update_db_and_a_copied_environment_keep_their_hash(registry: Any) -> None:
    make = registry.get_env_constructor("mock")
    ours, tau2s = make(), constructor("mock")()
    for environment in (ours, tau2s):
        environment.tools.update_db({"tasks": {"t": {"task_id": "t", "title": "T", "status": "pending"}}})
    assert ours.tools.db == tau2s.tools.db
    assert ours.get_db_hash() == tau2s.get_db_hash() != make().get_db_hash()
    copied = copy.deepcopy(ours)
    copied.tools.db.tasks.clear()
    assert copied.get_db_hash() != ours.get_db_hash() == tau2s.get_db_hash()


@dataclass
class Unhashable:
    """A constructor that no dictionary takes for a key."""

    def __call__(self) -> Any:
        return constructor("mock")()


def test_only_tau2s_own_domains_are_shared(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_environment(db: Any = None) -> Any:
        return constructor("mock")(db=db)

    monkeypatch.setitem(registry._domains, "theirs", get_environment)
    assert registry.get_env_constructor("theirs") is get_environment
    assert not offers_databases(get_environment)
    assert all(offers_databases(registry._domains[name]) for name in ("mock", "retail", "airline", "telecom-workflow"))
    monkeypatch.setitem(registry._domains, "listed", Unhashable())
    assert registry.get_env_constructor("listed") == Unhashable()
    with pytest.raises(KeyError, match="nowhere"):
        registry.get_env_constructor("nowhere")
