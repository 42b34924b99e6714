"""Importing the package is enough to have enhanced domains, and costs nothing to who never imports tau2."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT

from tau2_enhanced.domain_registration import EnhancedDomainRegistry
from tau2_enhanced.environments.logging_environment import LoggingEnvironment
from tau2_enhanced.logging.audit import State, verify
from tau2_enhanced.logging.event_files import read_events
from tau2_enhanced.logging.event_stream import EventStream, recording, stream_to
from tau2_enhanced.logging.events import ToolExecutionEvent
from tau2_enhanced.logging.execution_logger import ExecutionLogger

PLAIN = ["mock", "airline", "retail", "telecom", "telecom-workflow"]
ENHANCED = [f"{name}_enhanced" for name in PLAIN]
PRICE_TABLE = "LITELLM_LOCAL_MODEL_COST_MAP"


def told_by(script: str, folder: Path, **variables: str) -> Any:
    """What a script prints on its last line, as JSON."""
    others = {name: value for name, value in os.environ.items() if name != PRICE_TABLE}
    environment = {**others, "PYTHONPATH": str(CHECKOUT), **variables}
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{script}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "imports", ["import tau2_enhanced; import tau2.registry", "import tau2.registry; import tau2_enhanced"]
)
def test_importing_it_is_enough_in_either_order(tmp_path: Path, imports: str) -> None:
    script = f"""
{imports}
from tau2.registry import registry
print(json.dumps([registry.get_domains(), registry.get_task_sets(), registry.get_task_splits_loader("mock_enhanced")]))
"""
    domains, task_sets, splits = told_by(script, tmp_path, **{PRICE_TABLE: "True"})
    assert domains == [*PLAIN, *ENHANCED]
    assert set(ENHANCED) <= set(task_sets)
    assert splits is None


def test_importing_it_imports_nothing_of_tau2_nor_anything_large(tmp_path: Path) -> None:
    script = """
import tau2_enhanced
heavy = ("tau2", "pydantic", "litellm", "polars", "detect_secrets", "importlib.abc")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""
    assert told_by(script, tmp_path) == []


@pytest.mark.parametrize(
    ("variables", "asks"), [({}, False), ({PRICE_TABLE: "True"}, False), ({PRICE_TABLE: "False"}, True)]
)
def test_registering_asks_the_network_nothing_unless_that_is_wished(
    tmp_path: Path, variables: dict[str, str], asks: bool
) -> None:
    script = """
import socket
asked = []
def no_network(host, *args, **options):
    asked.append(host)
    raise OSError("no network")
socket.getaddrinfo = no_network
from tau2_enhanced.domain_registration import EnhancedDomainRegistry
EnhancedDomainRegistry().register_all_available_domains()
import litellm
print(json.dumps(bool(asked)))
"""
    assert told_by(script, tmp_path, **variables) is asks


def test_a_module_is_found_as_ever_by_who_asks_for_its_place(tmp_path: Path) -> None:
    script = """
import tau2_enhanced, importlib.util
found = importlib.util.find_spec("tau2.registry") is not None
from tau2.registry import registry
print(json.dumps([found, "airline_enhanced" in registry.get_domains()]))
"""
    assert told_by(script, tmp_path) == [True, True]


def test_registering_twice_is_harmless(registry: Any) -> None:
    first = EnhancedDomainRegistry().register_all_available_domains()
    again = EnhancedDomainRegistry(registry).register_all_available_domains()
    assert list(first) == ENHANCED
    assert first == again
    assert registry.get_domains().count("airline_enhanced") == 1


@pytest.mark.parametrize("name", PLAIN)
def test_an_enhanced_domain_is_its_original_watched(registry: Any, name: str) -> None:
    plain, enhanced = (registry.get_env_constructor(domain)() for domain in (name, f"{name}_enhanced"))
    assert type(enhanced) is LoggingEnvironment
    assert enhanced.__class__ is type(plain)
    assert enhanced.get_domain_name() == name
    assert enhanced.get_policy() == plain.get_policy()
    assert [tool.openai_schema for tool in enhanced.get_tools()] == [tool.openai_schema for tool in plain.get_tools()]
    assert enhanced.get_db_hash() == plain.get_db_hash()
    tasks = registry.get_tasks_loader(f"{name}_enhanced")
    assert [task.id for task in tasks()] == [task.id for task in registry.get_tasks_loader(name)()]
    assert registry.get_task_splits_loader(f"{name}_enhanced") == registry.get_task_splits_loader(name)


def test_solo_mode_stays_the_originals(registry: Any) -> None:
    enhanced = registry.get_env_constructor("telecom_enhanced")(solo_mode=True)
    assert enhanced.solo_mode is True
    assert enhanced.get_policy() == registry.get_env_constructor("telecom")(solo_mode=True).get_policy()


def test_both_share_one_database(registry: Any) -> None:
    plain, enhanced = (registry.get_env_constructor(domain)() for domain in ("airline", "airline_enhanced"))
    assert type(enhanced.tools).shared_database is type(plain.tools).shared_database


def ask(environment: Any) -> None:
    call = importlib.import_module("tau2.data_model.message").ToolCall
    environment.get_response(call(id="c", name="get_users", arguments={}, requestor="assistant"))


def test_inside_a_recording_its_calls_are_recorded(registry: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    ask(registry.get_env_constructor("mock_enhanced")())
    with recording(EventStream(ExecutionLogger(path))):
        ask(registry.get_env_constructor("mock_enhanced")())
        ask(registry.get_env_constructor("mock")())
    assert sum(isinstance(event, ToolExecutionEvent) for event in read_events(path)) == 1


def test_a_domain_of_ones_own(registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the documentation writes it."""
    monkeypatch.chdir(tmp_path)
    from tau2.domains.mock.environment import get_environment as get_custom_environment
    from tau2.domains.mock.environment import get_tasks as custom_get_tasks

    def get_custom_enhanced_environment(*args: Any, **kwargs: Any) -> Any:
        original_env = get_custom_environment(*args, **kwargs)
        return LoggingEnvironment(original_env, log_file="custom.jsonl")

    enhanced = EnhancedDomainRegistry()
    for _ in range(2):
        enhanced.register_enhanced_domain(
            domain_name="custom", original_get_environment=get_custom_environment, original_get_tasks=custom_get_tasks
        )
    try:
        assert type(registry.get_env_constructor("custom_enhanced")()) is LoggingEnvironment
        assert registry.get_tasks_loader("custom_enhanced") is custom_get_tasks
        enhanced.register_enhanced_domain("custom", get_custom_enhanced_environment, custom_get_tasks)
        ask(registry.get_env_constructor("custom_enhanced")())
    finally:
        for known in (registry._domains, registry._tasks):
            known.pop("custom_enhanced", None)
    stream_to("custom.jsonl").close()
    [event] = [event for event in read_events("custom.jsonl") if isinstance(event, ToolExecutionEvent)]
    assert (event.tool_name, event.domain) == ("get_users", "mock")


DOCUMENTED = """
from tau2_enhanced.domain_registration import EnhancedDomainRegistry

# Automatic registration of all available domains
registry = EnhancedDomainRegistry()
registered = registry.register_all_available_domains()
print(f"Registered domains: {list(registered.keys())}")

# Manual domain registration
registry.register_enhanced_domain(
    domain_name="custom",
    original_get_environment=custom_get_environment,
    original_get_tasks=custom_get_tasks
)

def get_custom_enhanced_environment(*args, **kwargs):
    original_env = get_custom_environment(*args, **kwargs)
    return LoggingEnvironment(original_env, log_file="custom.jsonl")

registry.register_enhanced_domain(
    domain_name="custom",
    original_get_environment=get_custom_environment,
    original_get_tasks=custom_get_tasks
)
"""
"""As it is written for users, beside the names of their own that it takes for granted."""


def test_what_is_documented_runs_as_it_stands_and_leaves_a_file_when_the_process_ends(tmp_path: Path) -> None:
    script = f"""
from tau2.domains.mock.environment import get_environment as custom_get_environment
from tau2.domains.mock.environment import get_environment as get_custom_environment
from tau2.domains.mock.environment import get_tasks as custom_get_tasks
from tau2_enhanced.environments.logging_environment import LoggingEnvironment
{DOCUMENTED}
from tau2.data_model.message import ToolCall
from tau2.registry import registry as tau2s
environment = get_custom_enhanced_environment()
answer = environment.get_response(ToolCall(id="c", name="get_users", arguments={{}}))
print(json.dumps([list(registered), "custom_enhanced" in tau2s.get_domains(), answer.error]))
"""
    assert told_by(script, tmp_path) == [ENHANCED, True, False]
    assert verify(tmp_path / "custom.jsonl").state is State.INTACT
    kinds = [event.type for event in read_events(tmp_path / "custom.jsonl")]
    assert kinds == ["state_snapshot", "state_snapshot", "tool_execution", "state_snapshot"]
