"""Numbers as people read them. What is unknown is a dash."""

from __future__ import annotations

UNKNOWN = "–"
_UNITS_MS = (("h", 3.6e6, 7200e3), ("min", 60e3, 600e3), ("s", 1e3, 999.5))
"""Units of long durations: their length and the shortest duration that is told in them, both in ms."""


def count_text(value: float | None) -> str:
    """1,234"""
    return UNKNOWN if value is None else f"{value:,.0f}"


def counted(count: int, noun: str) -> str:
    """1 line, 1,234 lines"""
    return f"{count_text(count)} {noun}" + ("" if count == 1 else "s")


def share_text(value: float | None) -> str:
    """A share between 0 and 1 in per cent."""
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def usd_text(value: float | None) -> str:
    """US dollars to the hundredth of a cent."""
    return UNKNOWN if value is None else f"{value:,.4f}"


def number_text(value: float | None) -> str:
    """Three digits at least, as many decimals as they need, three at most: 0.123, 1.23, 12.3, 1,234."""
    if not value:
        return UNKNOWN if value is None else "0"
    decimals = next((digits for bound, digits in ((0.9995, 3), (9.995, 2), (99.95, 1)) if abs(value) < bound), 0)
    return f"{value:,.{decimals}f}"


def duration_text(duration_ms: float | None) -> str:
    """A duration given in ms, in the unit that suits it: 12.3 ms, 162 s, 12.5 min."""
    if duration_ms is None:
        return UNKNOWN
    unit, size_ms, _ = next((unit for unit in _UNITS_MS if duration_ms >= unit[2]), ("ms", 1.0, 0.0))
    return f"{number_text(duration_ms / size_ms)} {unit}"
