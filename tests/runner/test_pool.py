from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain
from typing import cast

import pytest

from tau2_enhanced.runner.jobs import Job, Outcome
from tau2_enhanced.runner.pool import Stop, ThreadPool

JOBS = [Job("mock", str(number), 0, 0) for number in range(20)]


def ended(job: Job) -> Outcome:
    return cast(Outcome, FakeOutcome(job.task))


class FakeOutcome(Outcome):
    """The pool looks into none."""

    def __init__(self, task: str) -> None:
        self.task = task


each = chain.from_iterable


def test_every_job_is_run_once() -> None:
    done = [outcome.task for outcome in each(ThreadPool(4).execute(JOBS, ended, Stop()))]
    assert sorted(done, key=int) == [job.task for job in JOBS]


def test_workers_run_at_once_and_have_names() -> None:
    together = threading.Barrier(4, timeout=10)
    names: set[str] = set()

    def work(job: Job) -> Outcome:
        names.add(threading.current_thread().name)
        together.wait()
        return ended(job)

    assert len(list(each(ThreadPool(4).execute(JOBS, work, Stop())))) == 20
    assert names == {"worker-1", "worker-2", "worker-3", "worker-4"}


def test_a_stop_lets_running_jobs_end_and_begins_none() -> None:
    stop = Stop()

    def work(job: Job) -> Outcome:
        stop.request("enough")
        stop.request("later reasons do not replace the first")
        return ended(job)

    done = list(each(ThreadPool(3).execute(JOBS, work, stop)))
    assert 1 <= len(done) <= 3
    assert stop.reason == "enough"


def test_workers_in_step_begin_nothing_after_an_outcome_that_stops_the_run() -> None:
    stop, begun, looked_at = Stop(), list[Job](), threading.Event()

    def work(job: Job) -> Outcome:
        begun.append(job)
        return ended(job)

    for outcome in each(ThreadPool(1, in_step=True).execute(JOBS, work, stop)):
        if outcome.task == "2":
            # as long as it takes to put an outcome on record
            looked_at.wait(0.3)
            stop.request("enough")
    assert begun == JOBS[:3]


def test_workers_in_step_do_not_wait_for_one_who_has_gone() -> None:
    stop = Stop()
    outcomes = ThreadPool(1, in_step=True).execute(JOBS, ended, stop)
    next(outcomes)
    [worker] = [thread for thread in threading.enumerate() if thread.name == "worker-1"]
    outcomes.close()
    stop.request("interrupted")
    worker.join(10)
    assert not worker.is_alive()


def test_a_stop_at_once_does_not_wait_for_a_hanging_job() -> None:
    stop, hangs, release = Stop(), threading.Event(), threading.Event()

    def work(job: Job) -> Outcome:
        if job.task == "1":
            hangs.set()
            release.wait(30)
        return ended(job)

    done: list[str] = []
    pool = ThreadPool(2)
    for outcome in each(pool.execute(JOBS, work, stop)):
        done.append(outcome.task)
        if hangs.is_set():
            stop.request("now")
            stop.at_once.set()
    release.set()
    assert "0" in done
    assert "1" not in done
    assert JOBS[1] in pool.given_up
    assert not {job.task for job in pool.given_up} & set(done)


def test_what_breaks_a_worker_reaches_the_caller() -> None:
    def work(job: Job) -> Outcome:
        raise MemoryError(job.task)

    with pytest.raises(MemoryError):
        list(ThreadPool(1).execute(JOBS, work, Stop()))


@pytest.mark.parametrize("jobs", [[], JOBS[:1]])
def test_fewer_jobs_than_workers(jobs: list[Job]) -> None:
    work: Callable[[Job], Outcome] = ended
    assert len(list(each(ThreadPool(8).execute(jobs, work, Stop())))) == len(jobs)


def test_what_ended_meanwhile_is_handed_back_together() -> None:
    taken = threading.Event()

    def work(job: Job) -> Outcome:
        if job.task != "0":
            taken.wait(10)
        return ended(job)

    outcomes = ThreadPool(1).execute(JOBS, work, Stop())
    assert [outcome.task for outcome in next(outcomes)] == ["0"]
    [worker] = [thread for thread in threading.enumerate() if thread.name == "worker-1"]
    taken.set()
    worker.join(10)
    assert [outcome.task for outcome in next(outcomes)] == [job.task for job in JOBS[1:]]
    assert not list(outcomes)


def test_what_ended_before_a_worker_broke_is_handed_back_first() -> None:
    def work(job: Job) -> Outcome:
        if job.task == "2":
            raise MemoryError(job.task)
        return ended(job)

    done: list[str] = []
    outcomes = each(ThreadPool(1).execute(JOBS, work, Stop()))
    with pytest.raises(MemoryError):
        done.extend(outcome.task for outcome in outcomes)
    assert done == ["0", "1"]
