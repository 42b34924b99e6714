"""Against published values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.analysis.executions.errors import pattern_of
from tau2_enhanced.analysis.executions.statistics import (
    bootstrap_mean,
    clustered_share,
    correct,
    diversity,
    gini,
    mann_kendall,
    share,
    spearman,
)

approx = pytest.approx


def test_shares() -> None:
    assert share(5, 7) == {
        "value": 5 / 7,
        "low": approx(0.358934, abs=1e-6),
        "high": approx(0.917782, abs=1e-6),
        "n": 7,
    }
    assert share(0, 4)["low"] == 0.0
    assert share(4, 4)["high"] == 1.0


def test_calls_that_are_alike_within_simulations_say_less() -> None:
    alone, together = share(10, 20), clustered_share([(5, 5), (0, 5), (5, 5), (0, 5)])
    assert together["value"] == alone["value"]
    assert together["low"] < alone["low"] < alone["high"] < together["high"]


def test_the_bootstrap_draws_whole_clusters() -> None:
    assert bootstrap_mean([(6.0, 3)] * 4) == {"value": 2.0, "low": 2.0, "high": 2.0, "n": 12, "clusters": 4}
    assert bootstrap_mean([(6.0, 3)])["low"] is None
    assert bootstrap_mean([])["value"] is None
    assert bootstrap_mean([(1.0, 1), (3.0, 1)] * 50) == bootstrap_mean([(1.0, 1), (3.0, 1)] * 50)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 1, 1], 0.0), ([0, 0, 0, 1], 0.75), ([1, 2, 3, 4], 0.25), ([5], 0.0), ([], None), ([0, 0], None)],
)
def test_gini(values: list[float], expected: float | None) -> None:
    assert gini(values) == (None if expected is None else approx(expected))


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=20), st.floats(0.01, 100))
def test_gini_lies_in_its_range_and_knows_no_unit(values: list[float], unit: float) -> None:
    found = gini(values)
    assert found is not None
    assert 0.0 <= found <= 1 - 1 / len(values) + 1e-9
    assert gini([value * unit for value in values]) == approx(found, abs=1e-9)


def test_diversity() -> None:
    assert diversity([1, 1, 1, 1])["shannon_bits"] == 2.0
    found = diversity([2, 1, 1])
    assert (found["kinds"], found["n"], found["shannon_bits"]) == (3, 4, 1.5)
    assert (found["evenness"], found["effective_kinds"]) == approx((0.946395, 2.828427), abs=1e-6)
    assert diversity([3]) == {"kinds": 1, "n": 3, "shannon_bits": 0.0, "evenness": None, "effective_kinds": 1.0}


def test_spearman() -> None:
    """scipy's own example."""
    found = spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7])
    assert (found["rho"], found["p_value"]) == (approx(0.8207826817), approx(0.0885870053))
    assert spearman([1, 1, 1], [1, 2, 3])["rho"] is None


def test_mann_kendall() -> None:
    """scipy's own example of Kendall's tau-b, and a line of two an hour."""
    found = mann_kendall([12, 2, 1, 12, 2], [1, 4, 7, 1, 0])
    assert (found["tau"], found["p_value"]) == (approx(-0.4714045208), approx(0.2827454599))
    line = mann_kendall([3600.0 * n for n in range(3000)], [2.0 * n for n in range(3000)])
    assert (line["tau"], line["slope_per_hour"]) == (approx(1.0), approx(2.0))
    assert mann_kendall([1, 1, 1, 1], [1, 2, 3, 4])["tau"] is None


def test_corrected_p_values() -> None:
    """0.005, 0.01, 0.03 and 0.04, times four, over their ranks, none more than what follows."""
    rows = [{"p_value": p} for p in (0.01, 0.04, None, 0.03, 0.005)]
    correct(rows)
    assert [row["q_value"] for row in rows] == [
        approx(0.02),
        approx(0.04),
        None,
        approx(0.04),
        approx(0.02),
    ]
    assert [row["significant"] for row in rows] == [True, True, None, True, True]


@pytest.mark.parametrize(
    ("message", "arguments", "expected"),
    [
        ("Reservation EHGLP3 not found", None, "Reservation … not found"),
        ("Reservation VAAOXJ not found", '{"reservation_id": "VAAOXJ"}', "Reservation … not found"),
        ("User emma not found", '{"user": {"ids": ["emma"]}}', "User … not found"),
        ("cost 5, 6 and 7 exceed '100'", None, "cost … and … exceed …"),
        ("first\nsecond", None, "first"),
        ("", None, "unknown"),
        ("Gift card is empty", "no json", "Gift card is empty"),
    ],
)
def test_messages_that_differ_in_values_alone_are_one(message: str, arguments: str | None, expected: str) -> None:
    assert pattern_of(message, arguments) == expected
