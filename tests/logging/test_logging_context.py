from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tau2_enhanced.logging import Clock, TaskContext, current_context, in_context, task_context


def task_here() -> str | None:
    return current_context().task


def test_outside_of_any_task_all_is_empty() -> None:
    context = current_context()
    assert (context.run, context.sim, context.domain, context.task, context.trial, context.step) == (None,) * 6


def test_a_context_holds_inside_its_block_alone() -> None:
    with task_context(domain="retail", task="12", trial=1) as made:
        assert current_context() is made
        assert (made.domain, made.task, made.trial) == ("retail", "12", 1)
    assert task_here() is None


def test_a_ready_made_context_is_used_as_it_is() -> None:
    mine = TaskContext(task="7")
    with task_context(mine) as made:
        assert made is mine is current_context()


def test_contexts_nest() -> None:
    with task_context(task="outer"):
        with task_context(task="inner"):
            assert task_here() == "inner"
        assert task_here() == "outer"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_context_is_cleared_after_an_exception(error: type[BaseException]) -> None:
    with pytest.raises(error), task_context(task="12"):
        raise error
    assert task_here() is None


def test_an_unknown_field_is_an_error_and_leaves_no_context() -> None:
    with pytest.raises(TypeError), task_context(tusk="12"):
        pass
    assert task_here() is None


def test_threads_never_see_each_others_task() -> None:
    together = threading.Barrier(8)

    def work(number: int) -> bool:
        seen = []
        for turn in range(50):
            with task_context(task=f"{number}-{turn}"):
                if turn == 0:
                    together.wait(timeout=10)
                seen.append(task_here() == f"{number}-{turn}")
            seen.append(task_here() is None)
        return all(seen)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_a_pools_thread_is_clean_after_a_task_that_raised() -> None:
    def fail() -> None:
        with task_context(task="12"):
            raise ValueError

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError):  # noqa: PT011  # raised bare above
            pool.submit(fail).result()
        assert pool.submit(task_here).result() is None


def test_a_plain_helper_thread_has_no_task_and_one_in_context_has_its_callers() -> None:
    with ThreadPoolExecutor(1) as pool, task_context(task="12") as mine:
        assert pool.submit(task_here).result() is None
        assert pool.submit(in_context(current_context)).result() is mine
        assert pool.submit(task_here).result() is None


def test_many_helpers_of_one_task_run_in_its_context_at_once() -> None:
    together = threading.Barrier(4)

    def helper(number: int) -> str | None:
        together.wait(timeout=10)
        return f"{task_here()}/{number}"

    with task_context(task="12"):
        joined = in_context(helper)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(joined, range(4))) == ["12/0", "12/1", "12/2", "12/3"]


def test_a_helper_passes_on_arguments_results_and_exceptions() -> None:
    def divide(a: int, /, b: int) -> float:
        return a / b

    assert in_context(divide)(6, b=3) == 2.0
    with pytest.raises(ZeroDivisionError):
        in_context(divide)(6, b=0)


def test_a_helpers_own_context_does_not_leak_into_its_caller() -> None:
    def helper() -> None:
        task_context(task="other").__enter__()

    with task_context(task="12"):
        in_context(helper)()
        assert task_here() == "12"


def test_a_clock_only_goes_forward_and_continues_after_a_resume() -> None:
    first = Clock()
    readings = [first.ms() for _ in range(1000)]
    assert readings == sorted(readings)
    assert readings[0] >= 0
    assert Clock(offset_ms=90_000.0).ms() >= 90_000.0


def test_waiting_says_for_what_and_restores_what_was_before() -> None:
    context = TaskContext(clock=Clock(offset_ms=1000.0))
    with context.waiting("model"):
        with pytest.raises(ValueError), context.waiting("tool"):  # noqa: PT011, PT012  # raised bare below
            assert context.waiting_for == "tool"
            assert context.waiting_since_ms >= 1000.0
            raise ValueError
        assert context.waiting_for == "model"
    assert context.waiting_for == ""
