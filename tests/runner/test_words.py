from __future__ import annotations

import pytest

from tau2_enhanced.runner import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0, "0.00 s"), (9.994, "9.99 s"), (12.34, "12.3 s"), (247.4, "4:07"), (3753.0, "1:02:33")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("usd", "text"), [(None, "–"), (0.0, "$0.00"), (0.01234, "$0.0123"), (4.555, "$4.55")])
def test_money(usd: float | None, text: str) -> None:
    assert words.money(usd) == text
    if usd is not None:
        assert words.money(usd, at_least=True) == f"≥ {text}"


@pytest.mark.parametrize(("number", "text"), [(None, "–"), (812, "812"), (12_345, "12.3 k"), (4_560_000, "4.56 M")])
def test_counts(number: int | None, text: str) -> None:
    assert words.count(number) == text


def test_a_long_id_keeps_both_its_ends() -> None:
    assert words.short("12") == "12"
    shown = words.short("[mms_issue]" + "x" * 200 + "[PERSONA:Hard]", 48)
    assert len(shown) == 48
    assert shown.startswith("[mms_issue]")
    assert shown.endswith("[PERSONA:Hard]")
