"""Several servers of one model: scripted servers on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tau2_enhanced.models.adaptive import AdaptiveLimit
from tau2_enhanced.models.client import Reply, Request
from tau2_enhanced.models.failures import CallFailed, ServerLost, TransientFailure
from tau2_enhanced.models.openai_client import OpenAIClient
from tau2_enhanced.models.retry import Attempts, complete_with_retries
from tau2_enhanced.models.spread import Server, Spread, one_server_each

from .conftest import Handler, Recorded, ScriptedServer

ASKED = Request("m", [{"role": "user", "content": "Hi"}], timeout_s=20)


@dataclass
class Two:
    """Two servers, and whether each is well."""

    spread: Spread
    scripts: tuple[ScriptedServer, ScriptedServer]
    well: dict[str, bool]

    def server(self, number: int) -> Server:
        return self.spread.servers[number]

    def both_say(self, *texts: str) -> None:
        for name, script in zip("ab", self.scripts, strict=True):
            script.answers(*(ScriptedServer.text(f"{name} {text}") for text in texts))

    def ask(self, attempts: Attempts | None = None, retries: int = 0) -> str | None:
        return complete_with_retries(
            self.spread,
            ASKED,
            attempts or Attempts(),
            retries=retries,
            now_ms=lambda: 0.0,
            limit=self.spread,
            sleep=lambda _: None,
        ).content

    @property
    def counts(self) -> list[int]:
        return [server.simulations for server in self.spread.servers]


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ScriptedServer, ScriptedServer]]:
    made = ScriptedServer(), ScriptedServer()
    yield made
    for script in made:
        script.close()


@pytest.fixture
def two(scripts: tuple[ScriptedServer, ScriptedServer]) -> Iterator[Two]:
    well = {"a": True, "b": True}

    def server(name: str, script: ScriptedServer) -> Server:
        client = OpenAIClient("vllm", script.url, "EMPTY")
        return Server(name, script.url, client, AdaptiveLimit(name, 4), lambda: well[name])

    for script in scripts:
        script.forget()
    spread = Spread([server(name, script) for name, script in zip("ab", scripts, strict=True)])
    yield Two(spread, scripts, well)
    for script in scripts:
        script.forget()
    spread.close()


def hanging(script: ScriptedServer) -> Callable[[Handler, Recorded], None]:
    """A response that never comes."""
    released = script.released

    def hang(*_: object) -> None:
        released.wait()

    return hang


def test_a_simulation_keeps_to_one_server_and_a_new_one_goes_to_the_other(two: Two) -> None:
    two.both_say("1", "2", "3")
    with one_server_each():
        assert [two.ask(), two.ask()] == ["a 1", "a 2"]
        with one_server_each():
            assert two.ask() == "b 1"
            assert two.counts == [1, 1]
        assert two.ask() == "a 3"
    assert two.counts == [0, 0]


def test_a_new_simulation_goes_to_the_server_with_the_fewest(two: Two) -> None:
    two.both_say(*"12345678")
    begun, done = threading.Barrier(9), threading.Event()

    def simulate() -> None:
        with one_server_each():
            two.ask()
            begun.wait()
            done.wait()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(simulate)
        begun.wait()
        assert two.counts == [4, 4]
        done.set()
    assert two.counts == [0, 0]


def test_a_lost_servers_call_is_tried_on_another_and_its_simulation_stays_there(two: Two) -> None:
    two.both_say("1", "2")
    attempts = Attempts()
    with one_server_each():
        assert two.ask() == "a 1"
        two.well["a"] = False
        two.scripts[0].forget()
        two.scripts[0].answers(lambda *_: None)
        assert two.ask(attempts) == "b 1"
        assert attempts.count == 2
        assert two.server(0).out
        two.spread.take_back(two.server(0))
        assert two.ask() == "b 2"
        assert two.counts == [0, 1]


def test_a_hanging_call_is_broken_off_where_its_server_is_taken_out(two: Two) -> None:
    two.scripts[0].answers(hanging(two.scripts[0]))
    two.both_say("1")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(two.ask)
        while not two.scripts[0].requests:
            pass  # the server's own thread takes it down
        two.spread.take_out(two.server(0), "does not answer")
        assert answer.result(timeout=10) == "b 1"


def test_a_call_is_left_alone_where_there_is_nowhere_to_go(two: Two) -> None:
    released = threading.Event()

    def late(*_: object) -> tuple[int, dict[str, str], object]:
        released.wait()
        return ScriptedServer.text("late")

    two.scripts[0].answers(late)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(two.ask)
        while not two.scripts[0].requests:
            pass  # the server's own thread takes it down
        two.spread.take_out(two.server(1), "does not answer")
        two.spread.take_out(two.server(0), "does not answer")
        released.set()
        assert answer.result(timeout=10) == "late"


def test_one_that_answers_again_is_given_new_simulations(two: Two) -> None:
    two.both_say("1", "2")
    two.spread.take_out(two.server(0), "does not answer")
    with one_server_each():
        assert two.ask() == "b 1"
        two.spread.take_back(two.server(0))
        with one_server_each():
            assert two.ask() == "a 1"


def test_a_server_that_fails_and_is_well_is_kept(two: Two) -> None:
    two.scripts[0].answers(ScriptedServer.error(500, "oh"), ScriptedServer.text("again"))
    with one_server_each():
        assert two.ask(retries=1) == "again"
    assert not two.server(0).out


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_failure_names_the_server_it_happened_at(two: Two, status: int) -> None:
    two.scripts[0].answers(ScriptedServer.error(status, "oh"))
    with one_server_each(), pytest.raises(CallFailed, match=rf"^a: HTTP {status}"):
        two.ask()


def test_where_no_server_is_left_the_failure_is_told_as_it_is(two: Two) -> None:
    two.well.update(a=False, b=False)
    for script in two.scripts:
        script.answers(*([lambda *_: None] * 3))
    with one_server_each(), pytest.raises(TransientFailure) as failure:
        two.ask(retries=1)
    assert not isinstance(failure.value, ServerLost)
    assert sum(len(script.requests) for script in two.scripts) == 3


def test_servers_that_are_given_up_are_not_waited_for(two: Two) -> None:
    two.spread.give_up("all have ended")
    with one_server_each(), pytest.raises(CallFailed, match="all have ended") as failure:
        two.ask(retries=5)
    assert not isinstance(failure.value, TransientFailure)


def test_load_on_one_server_limits_that_one_alone(two: Two) -> None:
    two.scripts[0].answers(ScriptedServer.error(429, "slow down"), ScriptedServer.text("later"))
    with one_server_each():
        assert two.ask() == "later"
    assert [server.limit.refused for server in two.spread.servers] == [1, 0]
    assert not two.server(0).out


def test_a_reply_is_the_clients_own(two: Two) -> None:
    two.both_say("1")
    assert isinstance(two.spread.complete(ASKED), Reply)
    assert two.spread.call_type == "vllm"
