from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.analysis.pass_k import Trials, pass_hat_k


@pytest.mark.parametrize(
    ("tasks_by_successes", "published"),
    [
        ((11, 12, 7, 24, 60), (74.12, 64.18, 57.89, 52.63)),
        ((11, 10, 5, 4, 20), (56.00, 45.67, 42.00, 40.00)),
        ((57, 14, 9, 12, 22), (34.21, 25.88, 21.93, 19.30)),
        ((8, 6, 15, 17, 68), (78.73, 69.30, 63.38, 59.65)),
    ],
)
def test_the_tau2_papers_figures(tasks_by_successes: tuple[int, ...], published: tuple[float, ...]) -> None:
    tasks = [Trials(successes, 4) for successes, number in enumerate(tasks_by_successes) for _ in range(number)]
    for k, figure in enumerate(published, 1):
        assert round(100 * (pass_hat_k(tasks, k) or 0), 2) == pytest.approx(figure, abs=0.011)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: Trials(min(pair), max(pair)))))
def test_pass_hat_k_is_a_share_that_falls_with_k(tasks: list[Trials]) -> None:
    whole = [task for task in tasks if task.verdicts == 8]
    shares = [pass_hat_k(whole, k) for k in range(1, 9)]
    if whole:
        assert all(share is not None and 0 <= share <= 1 for share in shares)
        assert shares == sorted(shares, key=lambda share: -(share or 0))
    else:
        assert shares == [None] * 8
