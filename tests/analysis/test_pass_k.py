from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.analysis.pass_k import (
    Trials,
    bootstrap_interval,
    clustered_standard_error,
    pass_1_interval,
    pass_hat_k,
    pooled_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("tasks_by_successes", "published", "errors"),
    [
        ((11, 12, 7, 24, 60), (74.12, 64.18, 57.89, 52.63), (2.05, 3.22)),
        ((11, 10, 5, 4, 20), (56.00, 45.67, 42.00, 40.00), (3.52, 5.87)),
        ((57, 14, 9, 12, 22), (34.21, 25.88, 21.93, 19.30), (2.22, 3.79)),
        ((8, 6, 15, 17, 68), (78.73, 69.30, 63.38, 59.65), (1.92, 2.93)),
    ],
)
def test_the_tau2_papers_figures(
    tasks_by_successes: tuple[int, ...], published: tuple[float, ...], errors: tuple[float, float]
) -> None:
    tasks = [Trials(successes, 4) for successes, number in enumerate(tasks_by_successes) for _ in range(number)]
    for k, figure in enumerate(published, 1):
        assert f"{100 * (pass_hat_k(tasks, k) or 0):.2f}" == f"{figure:.2f}"
    share, trials = published[0] / 100, sum(task.verdicts for task in tasks)
    assert f"{100 * (share * (1 - share) / (trials - 1)) ** 0.5:.2f}" == f"{errors[0]:.2f}"
    assert f"{100 * (clustered_standard_error(tasks) or 0):.2f}" == f"{errors[1]:.2f}"
    for k in range(1, 5):
        interval = pass_1_interval(tasks) if k == 1 else bootstrap_interval(tasks, k)
        assert interval is not None
        assert interval.low < published[k - 1] / 100 < interval.high
        if k == 1:
            # about two clustered standard errors to each side
            assert interval.high - interval.low == pytest.approx(3.92 * errors[1] / 100, rel=0.1)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: Trials(min(pair), max(pair)))))
def test_pass_hat_k_is_a_share_that_falls_with_k(tasks: list[Trials]) -> None:
    whole = [task for task in tasks if task.verdicts == 8]
    shares = [pass_hat_k(whole, k) for k in range(1, 9)]
    if whole:
        assert all(share is not None and 0 <= share <= 1 for share in shares)
        assert shares == sorted(shares, key=lambda share: -(share or 0))
    else:
        assert shares == [None] * 8


def test_wilsons_interval_by_hand() -> None:
    # 8 of 10 at 95 %: (0.8 + 0.19207) / 1.38415 -+ 1.95996 / 1.38415 * sqrt(0.016 + 0.0096036)
    interval = wilson_interval(8, 10)
    assert interval is not None
    assert interval == pytest.approx((0.49016, 0.94332), abs=1e-4)


def test_edges_have_intervals_inside_0_and_1() -> None:
    for tasks in ([Trials(4, 4)] * 10, [Trials(0, 4)] * 10, [Trials(1, 1)], [Trials(0, 1)]):
        interval = pass_1_interval(tasks)
        assert interval is not None
        assert 0.0 <= interval.low < interval.high <= 1.0
    assert pass_1_interval([]) is None
    assert bootstrap_interval([Trials(1, 1)], 2) is None
    # as many as tasks: Wilson's for 10 of 10 and 0 of 10
    assert bootstrap_interval([Trials(4, 4)] * 10, 3) == pytest.approx((0.72247, 1.0), abs=1e-5)
    assert bootstrap_interval([Trials(0, 4)] * 10, 3) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert clustered_standard_error([Trials(1, 2)]) is None


KINDS_OF_TASKS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 8), st.integers(1, 60)), min_size=1, max_size=4
).map(lambda kinds: [Trials(min(passed, n), n) for passed, n, tasks in kinds for _ in range(tasks)])
"""Some kinds of tasks, of each 1 to 60 that are alike."""


@given(KINDS_OF_TASKS)
def test_an_interval_holds_its_value_however_the_verdicts_are_spread(tasks: list[Trials]) -> None:
    pooled = sum(task.successes for task in tasks) / sum(task.verdicts for task in tasks)
    for value, interval in ((pass_hat_k(tasks, 1), pass_1_interval(tasks)), (pooled, pooled_interval(tasks))):
        assert value is not None
        assert interval is not None
        assert 0.0 <= interval.low <= value <= interval.high <= 1.0


@given(KINDS_OF_TASKS, st.integers(1, 8))
def test_tasks_with_as_many_verdicts_are_as_good_as_pooled(tasks: list[Trials], verdicts: int) -> None:
    alike = [Trials(min(task.successes, verdicts), verdicts) for task in tasks]
    assert pass_1_interval(alike) == pytest.approx(pooled_interval(alike))


def test_pass_1_of_tasks_with_unlike_numbers_of_verdicts_by_hand() -> None:
    tasks = [Trials(4, 4)] * 25 + [Trials(0, 2)] * 25
    # shares of 1 and 0: sqrt(50 * 0.25 / (50 * 49)), as 49 independent trials have it
    assert pass_hat_k(tasks, 1) == 0.5
    assert clustered_standard_error(tasks) == pytest.approx((0.25 / 49) ** 0.5)
    assert pass_1_interval(tasks) == pytest.approx(wilson_interval(24.5, 49))
    # shares of 1/2, 1/2, 1/2 and 5/8 are worth no more than 4^2 / (3/2 + 1/8) independent trials
    most = 16 / (3 / 2 + 1 / 8)
    assert pass_1_interval([Trials(1, 2)] * 3 + [Trials(5, 8)]) == pytest.approx(wilson_interval(17 / 32 * most, most))
