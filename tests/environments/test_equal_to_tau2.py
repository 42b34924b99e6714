"""Our environments answer, end and are rewarded as tau2's own, on right and wrong actions.

Those over the shared databases, and those of the enhanced domains with everything recorded.
"""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tau2_enhanced.logging.event_files import EventFilter, read_events
from tau2_enhanced.logging.event_stream import EventStream, recording
from tau2_enhanced.logging.events import ToolExecutionEvent
from tau2_enhanced.logging.execution_logger import ExecutionLogger

DOMAINS = ("mock", "retail", "airline", "telecom")
SLICES = 8
"""Into how many tests the whole of a domain is cut, so that several processes share it."""

CALL_EVENTS = EventFilter(type=ToolExecutionEvent)

Calls = list[Any]
"""Of tau2's ToolCall."""

EXTRA = {
    "mock": [
        ("update_task_status", {"task_id": "nobody's", "status": "completed"}),
        ("create_task", {"user_id": "user_1", "title": "Grüße", "description": None}),
    ],
    "retail": [
        ("get_order_details", {"order_id": "#W0"}),
        ("find_user_id_by_name_zip", {"first_name": "Nobody", "last_name": "Nowhere", "zip": "0"}),
        ("find_user_id_by_email", {"email": "nobody@example.com"}),
        ("calculate", {"expression": "2 ** 3 / 0"}),
    ],
    "airline": [
        ("get_flight_status", {"flight_number": "HAT000", "date": "2024-05-15"}),
        ("get_flight_status", {"flight_number": "HAT083", "date": "2024-05-16"}),
        ("search_direct_flight", {"origin": "JFK", "destination": "SEA", "date": "2024-05-20"}),
        ("search_onestop_flight", {"origin": "JFK", "destination": "SEA", "date": "2024-05-20"}),
        ("get_user_details", {"user_id": "nobody"}),
        ("calculate", {"expression": "import os"}),
    ],
    "telecom": [
        ("get_customer_by_phone", {"phone_number": "555-123-2001"}),
        ("get_customer_by_id", {"customer_id": "C1001"}),
        ("get_customer_by_name", {"full_name": "john smith", "dob": "1985-06-15"}),
        ("get_details_by_id", {"id": "B1001"}),
        ("get_details_by_id", {"id": "L0"}),
        ("get_details_by_id", {"id": "?"}),
        ("get_bills_for_customer", {"customer_id": "C1001", "limit": 2}),
        ("get_data_usage", {"customer_id": "C1001", "line_id": "L1001"}),
        ("refuel_data", {"customer_id": "C1002", "line_id": "L1004", "gb_amount": 1.5}),
        ("suspend_line", {"customer_id": "C1002", "line_id": "L1005", "reason": "-"}),
        ("disable_roaming", {"customer_id": "C1002", "line_id": "L1006"}),
        ("set_apn_settings", {"apn_settings": {"apn_name": "internet"}}),
        ("check_app_status", {"app_name": "messaging"}),
        ("check_app_permissions", {"app_name": "nothing"}),
    ],
}
"""Calls that no task's gold actions make: of ids that are not there, of tools that walk a whole collection."""

COVERING = {
    "mock": (0, 3, 8),
    "retail": (41, 12, 16, 0, 40),
    "airline": (44, 12, 2, 8, 13, 17),
    "telecom": (112, 39, 11, 37),
}
"""Tasks whose gold actions, with the extra ones, call every tool of a domain."""


@pytest.fixture
def restart_ids(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    numbers = [itertools.count()]
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=next(numbers[0]) << 96))

    def restart() -> None:
        numbers[0] = itertools.count()

    return restart


@contextmanager
def tau2s_own(registry: Any) -> Iterator[None]:
    """Inside the block, the registry gives tau2's constructors, each of which loads its database."""
    ours = vars(registry).pop("get_env_constructor")
    try:
        yield
    finally:
        registry.get_env_constructor = ours


class Comparison:
    """A domain's trajectories, in tau2's own environments and in ours."""

    def __init__(self, registry: Any, domain: str, restart_ids: Callable[[], None], ours: str | None = None) -> None:
        self.registry = registry
        self.domain = domain
        self.ours = ours or domain
        """The name of the domain whose environments are compared with tau2's."""
        self.restart_ids = restart_ids
        loader = registry.get_task_splits_loader(domain)
        self.tasks = registry.get_tasks_loader(domain)("base" if loader is not None else None)

    def check(self, task: Any, calls: Calls) -> Any:
        """Equal in all that can be seen of an environment, and in the evaluator's reward, which it gives."""
        with tau2s_own(self.registry):
            expected = self._play(self.domain, task, calls)
            expected_reward = self._reward(self.domain, task, expected["messages"])
        played = self._play(self.ours, task, calls)
        for part, value in expected.items():
            assert played[part] == value, (self.domain, task.id, part)
        assert self._reward(self.ours, task, expected["messages"]) == expected_reward, (self.domain, task.id)
        return expected_reward

    def extra_calls(self) -> Calls:
        """What no gold action does, and every tool that needs no argument."""
        environment = self.registry.get_env_constructor(self.domain)()
        named = [
            (*extra, "user" if has(environment.user_tools, extra[0]) else "assistant") for extra in EXTRA[self.domain]
        ]
        sides = (("assistant", environment.tools), ("user", environment.user_tools))
        free = [(name, {}, side) for side, kit in sides for name in (kit.tools if kit is not None else ())]
        return [
            tool_call(number, *call) for number, call in enumerate([*named, *free, ("no_such_tool", {"x": 1}, "user")])
        ]

    def check_shared_databases(self) -> None:
        """What was shared is what tau2 loads, and so is the hash of it."""
        with tau2s_own(self.registry):
            loaded = self._environment(self.domain)
        ours = self._environment(self.ours)
        assert hashes(ours) == hashes(loaded)
        assert dumps(ours) == dumps(loaded)

    def _environment(self, domain: str) -> Any:
        return self.registry.get_env_constructor(domain)()

    def _play(self, domain: str, task: Any, calls: Calls) -> dict[str, Any]:
        """All that can be seen of an environment in which the calls were made."""
        from tau2.data_model.message import AssistantMessage, UserMessage

        self.restart_ids()
        environment = self._environment(domain)
        state = task.initial_state
        history = (state.message_history if state else None) or []
        environment.set_state(
            state.initialization_data if state else None, state.initialization_actions if state else None, history
        )
        start = hashes(environment)
        messages = list(history)
        for call in calls:
            speaker = AssistantMessage if call.requestor == "assistant" else UserMessage
            messages.append(speaker(role=call.requestor, tool_calls=[call]))
            messages.append(environment.get_response(call))
        return {
            "messages": [*messages, UserMessage(role="user", content="###STOP###")],
            "start": start,
            "hashes": hashes(environment),
            "dumps": dumps(environment),
        }

    def _reward(self, domain: str, task: Any, messages: Sequence[Any]) -> Any:
        from tau2.data_model.simulation import SimulationRun, TerminationReason
        from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation

        self.restart_ids()
        simulation = SimulationRun(
            id="s",
            task_id=task.id,
            start_time="",
            end_time="",
            duration=0,
            termination_reason=TerminationReason.USER_STOP,
            messages=messages,
        )
        try:
            return evaluate_simulation(simulation, task, EvaluationType.ALL, solo_mode=False, domain=domain)
        except ValueError as error:  # a replay that answers otherwise, or a task that needs a judge
            return str(error)


def hashes(environment: Any) -> tuple[str | None, str | None]:
    return environment.get_db_hash(), environment.get_user_db_hash()


def dumps(environment: Any) -> list[Any]:
    """The databases in full, the order of keys included."""
    kits = [kit for kit in (environment.tools, environment.user_tools) if kit is not None]
    return [json.dumps(kit.db.model_dump(), default=str) for kit in kits]


def tool_call(number: int, name: str, arguments: Any, requestor: str = "assistant") -> Any:
    from tau2.data_model.message import ToolCall

    return ToolCall(id=str(number), name=name, arguments=arguments, requestor=requestor)


def gold(task: Any) -> Calls:
    actions = task.evaluation_criteria.actions or []
    return [tool_call(n, a.name, dict(a.arguments), a.requestor) for n, a in enumerate(actions)]


def wrong(task: Any, other: Any, extra: Calls) -> Iterator[Calls]:
    """Trajectories near the task's gold actions: always the same ones for a task."""
    chance = random.Random(task.id)
    actions, foreign = gold(task), gold(other)
    yield [call for call in actions if chance.random() < 0.5] + extra
    yield [changed(call, chance) for call in actions]
    mixed = [*actions, *foreign, *actions, *extra]
    chance.shuffle(mixed)
    yield mixed


def has(kit: Any, name: str) -> bool:
    return kit is not None and kit.has_tool(name)


def changed(call: Any, chance: random.Random) -> Any:
    """The call with one argument changed, left out or added, or made by the other side."""
    arguments = dict(call.arguments)
    requestor = call.requestor
    way = chance.randrange(6)
    name = chance.choice(sorted(arguments)) if arguments else None
    if name is None or way == 0:
        arguments["surplus"] = 1
    elif way == 1:
        del arguments[name]
    elif way == 2:
        requestor = "user" if requestor == "assistant" else "assistant"
    else:
        arguments[name] = another(arguments[name], chance)
    return tool_call(int(call.id), call.name, arguments, requestor)


def another(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + chance.choice([-1, 1, 1000])
    if isinstance(value, list):
        return value[:-1] if chance.random() < 0.5 else value + value[:1]
    if isinstance(value, dict):
        return {key: another(part, chance) for key, part in value.items()}
    return chance.choice([value.swapcase(), value[:-1], None, 7])


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_tool_rightly_and_wrongly_called(registry: Any, domain: str, restart_ids: Callable[[], None]) -> None:
    comparison = Comparison(registry, domain, restart_ids)
    first, *others = (comparison.tasks[number] for number in COVERING[domain])
    right = comparison.check(first, gold(first))
    assert 1.0 in (right.reward, right.db_check.db_reward)
    chance = random.Random(domain)
    actions = [call for task in (first, *others) for call in gold(task)]
    calls = [*actions, *(changed(call, chance) for call in actions), *comparison.extra_calls()]
    assert comparison.check(first, calls).db_check.db_reward == 0.0
    comparison.check_shared_databases()
    environment = registry.get_env_constructor(domain)()
    kits = [kit for kit in (environment.tools, environment.user_tools) if kit is not None]
    assert {name for kit in kits for name in kit.tools} <= {call.name for call in calls}


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_enhanced_domain_with_everything_recorded(
    registry: Any, domain: str, restart_ids: Callable[[], None], tmp_path: Path
) -> None:
    comparison = Comparison(registry, domain, restart_ids, f"{domain}_enhanced")
    tasks = [comparison.tasks[number] for number in COVERING[domain]]
    chance = random.Random(domain)
    actions = [call for task in tasks for call in gold(task)]
    calls = [*actions, *(changed(call, chance) for call in actions), *comparison.extra_calls()]
    logger = ExecutionLogger(tmp_path / "events.jsonl", auto_flush=False)
    with recording(EventStream(logger), record_replays=True):
        comparison.check(tasks[0], gold(tasks[0]))
        comparison.check(tasks[0], calls)
        comparison.check_shared_databases()
    live = [event for event in read_events(tmp_path / "events.jsonl", CALL_EVENTS) if event.phase == "live"]
    assert len(live) == len(gold(tasks[0])) + len(calls)
    assert logger.get_statistics()["tool_calls"]["total"] == len(live)
    assert any(event.state_changed for event in live)


@pytest.mark.whole
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("domain", DOMAINS)
def test_all_base_tasks_of_enhanced_domains(
    registry: Any, domain: str, part: int, restart_ids: Callable[[], None], tmp_path: Path
) -> None:
    comparison = Comparison(registry, domain, restart_ids, f"{domain}_enhanced")
    extra = comparison.extra_calls()
    logger = ExecutionLogger(tmp_path / "events.jsonl", auto_flush=False)
    played = 0
    with recording(EventStream(logger)):
        for number in range(part, len(comparison.tasks), SLICES):
            task, other = comparison.tasks[number], comparison.tasks[number - 1]
            for calls in (gold(task), *wrong(task, other, extra)):
                comparison.check(task, calls)
                played += len(calls)
    assert logger.get_statistics()["tool_calls"]["total"] == played


@pytest.mark.whole
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("domain", DOMAINS)
def test_all_base_tasks(registry: Any, domain: str, part: int, restart_ids: Callable[[], None]) -> None:
    comparison = Comparison(registry, domain, restart_ids)
    extra = comparison.extra_calls()
    for number in range(part, len(comparison.tasks), SLICES):
        task, other = comparison.tasks[number], comparison.tasks[number - 1]
        for calls in (gold(task), *wrong(task, other, extra)):
            comparison.check(task, calls)
    comparison.check_shared_databases()
