from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.analysis.compare.paired import Difference, mean_difference, share_difference, tango_interval

usual = settings(max_examples=100, deadline=None, database=None)
Z2 = 3.8414588
"""The square of the normal quantile of a 95 % interval."""
amounts = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30)
shares = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: (pair[0] / 4, pair[1] / 4)),
    min_size=1,
    max_size=30,
)


def mirrored(found: Difference) -> tuple[float, float, float]:
    assert found.low is not None
    assert found.high is not None
    return -found.estimate, -found.high, -found.low


def test_students_interval_by_hand() -> None:
    # differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t of 2 degrees of freedom 4.302653
    found = mean_difference([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert found == pytest.approx((3, 2.0, 4.0, 2.0, 2 - 2.484138, 2 + 2.484138), abs=1e-6)
    assert not found.decided
    assert mean_difference([1.0, 2.0, 3.0], [2.0, 4.0, 5.0]).decided


@pytest.mark.parametrize(
    ("gained", "lost", "pairs", "low", "high"),
    [
        # airway hyper-responsiveness before and after stem cell transplantation (Bentur et al. 2009),
        # as Fagerland, Lydersen and Laake give it (Statistics in Medicine 33, 2014)
        (1, 7, 21, -0.517, -0.026),
        # nothing changed, and all changed, by hand
        (0, 0, 10, -Z2 / (10 + Z2), Z2 / (10 + Z2)),
        (10, 0, 10, (10 - Z2) / (10 + Z2), 1.0),
    ],
)
def test_tangos_interval(gained: float, lost: float, pairs: float, low: float, high: float) -> None:
    assert tango_interval(gained, lost, pairs) == pytest.approx((low, high), abs=5e-4)


def test_one_trial_a_task_is_tangos_interval() -> None:
    baseline, other = [1.0] * 7 + [0.0] + [1.0] * 13, [0.0] * 7 + [1.0] + [1.0] * 13
    found = share_difference(baseline, other)
    assert (found.low, found.high) == pytest.approx(tango_interval(1, 7, 21))
    assert found.estimate == pytest.approx(-6 / 21)


def test_several_trials_are_worth_more_pairs() -> None:
    # gained 0.375, lost 0.125 a pair; variance 0.0625: 2 * (0.5 - 0.0625) / 0.0625 = 14 pairs, of which there are 4
    found = share_difference([0.5, 0.5], [1.0, 0.5], most_pairs=4)
    assert (found.low, found.high) == pytest.approx(tango_interval(1.5, 0.5, 4))
    assert found.estimate == 0.25


def test_tasks_that_all_came_out_alike_leave_doubt_in_shares() -> None:
    for share in (0.0, 0.5, 1.0):
        found = share_difference([share] * 10, [share] * 10)
        assert found.estimate == 0
        assert found.low is not None
        assert found.high is not None
        assert found.low <= -0.2 < 0.2 <= found.high
        assert not found.decided


@pytest.mark.parametrize(("baseline", "other"), [([2.0], [3.0]), ([1.0, 2.0, 5.1], [1.0, 2.0, 5.1]), ([1, 2], [2, 3])])
def test_no_interval_where_the_tasks_give_none(baseline: list[float], other: list[float]) -> None:
    found = mean_difference(baseline, other)
    assert (found.low, found.high) == (None, None)
    assert not found.decided


@usual
@given(amounts)
def test_turning_a_comparison_round_turns_its_signs(pairs: list[tuple[float, float]]) -> None:
    here, there = map(list, zip(*pairs, strict=True))
    found, back = mean_difference(here, there), mean_difference(there, here)
    assert found.estimate == pytest.approx(-back.estimate)
    if found.low is not None:
        assert mirrored(back) == pytest.approx(found[3:], rel=1e-9, abs=1e-9)
        assert found.low < found.estimate < (found.high or 0)


@usual
@given(shares)
def test_so_it_is_with_shares_and_they_stay_between_minus_1_and_1(pairs: list[tuple[float, float]]) -> None:
    here, there = map(list, zip(*pairs, strict=True))
    found = share_difference(here, there, 4 * len(pairs))
    assert mirrored(share_difference(there, here, 4 * len(pairs))) == pytest.approx(found[3:], abs=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1
    assert found.high - found.low > 0.01
