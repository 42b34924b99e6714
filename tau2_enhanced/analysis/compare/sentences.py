"""Differences in words: which way, how much, and how sure that is."""

from __future__ import annotations

from math import floor, log10

from tau2_enhanced.analysis.compare.measures import Measure
from tau2_enhanced.analysis.compare.paired import Difference

_SMALL_S = 0.1
_MOST_DIGITS = 9


def sentence(difference: Difference, measure: Measure, run: str) -> str:
    """What the difference means, in one sentence about the run; `run` is its name."""
    amounts = Amounts(difference, measure)
    words = (measure.more if difference.estimate > 0 else measure.less).replace("{run}", run)
    said = words.replace("{amount}", amounts.amount(abs(difference.estimate)))
    if difference.low is None or difference.high is None:
        return _without_interval(difference, measure, said)
    if not difference.decided:
        low, high = amounts.signed(difference.low), amounts.signed(difference.high, unit=True)
        return f"no difference in {measure.name} can be told: {low} to {high}{' a task' if measure.a_task else ''}"
    nearest, farthest = sorted(map(abs, (difference.low, difference.high)))
    share = "" if measure.share or not difference.baseline else f"; {percent(difference)}"
    return f"{said} (95 %: {amounts.number(nearest)} to {amounts.number(farthest)}{share})"


def _without_interval(difference: Difference, measure: Measure, said: str) -> str:
    if difference.tasks == 1:
        alone = "; one task alone tells nothing of others"
        return (said if difference.estimate else f"no difference in {measure.name} in the one task") + alone
    if not difference.estimate:
        return f"no difference in {measure.name}: the same in each of {difference.tasks} tasks"
    return f"{said}, in each of {difference.tasks} tasks the same"


def percent(difference: Difference) -> str:
    """The difference in per cent of the baseline's mean; nothing where that is 0."""
    if not difference.baseline:
        return ""
    value = 100 * difference.estimate / abs(difference.baseline)
    return f"{_signed(value, max(_place_of_digit(value, 1), int(abs(value) < 99.95)))} %"


class Amounts:
    """How the amounts of one difference are written: all in one unit, to the second digit of the interval's width."""

    def __init__(self, difference: Difference, measure: Measure) -> None:
        ends = [difference.estimate, difference.low or 0.0, difference.high or 0.0]
        largest = max(map(abs, ends))
        self.unit, self._scale = measure.unit, 100.0 if measure.unit == "points" else 1.0
        if measure.unit == "s" and 0 < largest < _SMALL_S:
            self.unit, self._scale = "ms", 1000.0
        width = abs(ends[2] - ends[1])
        size = (width or largest) * self._scale
        self._digits = _place_of_digit(size, 2)

    def number(self, value: float) -> str:
        """Without its unit: 1,234.5."""
        return f"{value * self._scale:,.{self._digits}f}"

    def mean(self, value: float) -> str:
        """A mean, to its own third digit at least."""
        shown = value * self._scale
        return f"{shown:,.{max(self._digits, _place_of_digit(shown, 3))}f}"

    def amount(self, value: float) -> str:
        """With its unit: 2.1 s."""
        return f"{self.number(value)} {self.unit}".rstrip()

    def signed(self, value: float, *, unit: bool = False) -> str:
        """With its sign, and if asked its unit: −1.2 s."""
        text = _signed(value * self._scale, self._digits)
        return f"{text} {self.unit}".rstrip() if unit else text


def _place_of_digit(value: float, which: int) -> int:
    """How many decimals show a number to its first, second, … digit; 0 for 0."""
    return min(_MOST_DIGITS, max(0, which - 1 - floor(log10(abs(value))))) if value else 0


def _signed(value: float, digits: int) -> str:
    text = f"{value:+,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text[1:]
