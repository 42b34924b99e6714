from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging.complexity import Measures, complexity, measures, score_of

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)
MEASURES = st.builds(Measures, *[st.integers(0, 10**9)] * 4)


@given(VALUES)
def test_every_score_lies_between_0_and_1(value: Any) -> None:
    assert 0 <= complexity(value) < 1


@given(MEASURES, MEASURES)
def test_more_of_any_measure_is_never_less_complex(one: Measures, more: Measures) -> None:
    both = Measures(*(a + b for a, b in zip(one, more, strict=True)))
    assert score_of(both) >= score_of(one)


@pytest.mark.parametrize("index", range(4))
def test_each_measure_counts(index: int) -> None:
    more = [3, 3, 3, 300]
    more[index] *= 2
    assert score_of(Measures(*more)) > score_of(Measures(3, 3, 3, 300))


@settings(max_examples=200)
@given(OBJECTS, VALUES)
def test_one_more_argument_is_more_complex(arguments: dict[str, Any], value: Any) -> None:
    assert complexity(arguments | {"another": value}) > complexity(arguments)


@given(OBJECTS, st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_a_longer_text_is_more_complex(arguments: dict[str, Any], text: str, more: str) -> None:
    assert complexity(arguments | {"x": text + more}) > complexity(arguments | {"x": text})


@given(OBJECTS, VALUES)
def test_deeper_nesting_is_more_complex(arguments: dict[str, Any], value: Any) -> None:
    assert complexity(arguments | {"x": [value]}) > complexity(arguments | {"x": value})


def test_nothing_is_not_complex_and_the_formula_is_as_said() -> None:
    assert complexity({}) == complexity([]) == 0
    # {"a":"xyz","b":[1]}: 2 values, one level below the first, kinds str, list, int, 19 bytes
    assert measures({"a": "xyz", "b": [1]}) == (2, 1, 2, 17)
    assert complexity({"a": "xyz", "b": [1]}) == pytest.approx((2 / 7 + 1 / 3 + 2 / 4 + 17 / 517) / 4)
