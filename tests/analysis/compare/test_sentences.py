from __future__ import annotations

import pytest

from tau2_enhanced.analysis.compare.measures import MEASURES
from tau2_enhanced.analysis.compare.paired import Difference
from tau2_enhanced.analysis.compare.sentences import sentence

BY_KEY = {measure.key: measure for measure in MEASURES}


def said(key: str, estimate: float, low: float | None, high: float | None, baseline: float, tasks: int = 40) -> str:
    return sentence(Difference(tasks, baseline, baseline + estimate, estimate, low, high), BY_KEY[key], "B")


@pytest.mark.parametrize(
    ("key", "numbers", "words"),
    [
        ("duration_s", (-2.13, -2.88, -1.38, 17.75), "B is 2.1 s faster a task (95 %: 1.4 to 2.9; −12.0 %)"),
        ("duration_s", (2.13, 1.38, 2.88, 17.75), "B is 2.1 s slower a task (95 %: 1.4 to 2.9; +12.0 %)"),
        ("pass_1", (0.011, -0.012, 0.034, 0.5), "no difference in pass^1 can be told: −1.2 to +3.4 points"),
        ("pass_1", (0.042, 0.01, 0.074, 0.5), "B's pass^1 is 4.2 points higher (95 %: 1.0 to 7.4)"),
        ("pass_1", (-0.042, -0.074, -0.01, 0.5), "B's pass^1 is 4.2 points lower (95 %: 1.0 to 7.4)"),
        ("cost_usd", (-0.0123, -0.0155, -0.0091, 0.1),
         "B is 0.0123 USD cheaper a task (95 %: 0.0091 to 0.0155; −12.3 %)"),
        ("cost_usd", (0.0123, 0.0091, 0.0155, 0.0), "B is 0.0123 USD dearer a task (95 %: 0.0091 to 0.0155)"),
        ("agent_cost_usd", (1.0, 0.5, 1.5, 4.0), "B's agent is 1.0 USD dearer a task (95 %: 0.5 to 1.5; +25.0 %)"),
        ("input_tokens", (-1234.0, -1900.0, -568.0, 9e3),
         "B reads 1,234 fewer input tokens a task (95 %: 568 to 1,900; −13.7 %)"),
        ("steps", (1.2, 0.4, 2.0, 12.0), "B takes 1.2 more steps a task (95 %: 0.4 to 2.0; +10.0 %)"),
        ("tools_s", (0.0016, 0.0009, 0.0023, 0.01), "B spends 1.6 ms more in tools a task (95 %: 0.9 to 2.3; +16.0 %)"),
        ("tool_errors", (0.0, None, None, 0.0), "no difference in tool errors: the same in each of 40 tasks"),
        ("steps", (2.0, None, None, 8.0), "B takes 2.0 more steps a task, in each of 40 tasks the same"),
    ],
)  # fmt: skip
def test_the_words_fit_the_direction(
    key: str, numbers: tuple[float, float | None, float | None, float], words: str
) -> None:
    assert said(key, *numbers) == words


def test_one_task_alone_is_no_proof() -> None:
    alone = "; one task alone tells nothing of others"
    assert said("duration_s", 2.0, None, None, 4.0, tasks=1) == f"B is 2.0 s slower a task{alone}"
    assert said("steps", 0.0, None, None, 4.0, tasks=1) == f"no difference in steps in the one task{alone}"


@pytest.mark.parametrize("key", BY_KEY)
def test_every_measure_has_words_for_both_directions(key: str) -> None:
    more, less = said(key, 2.0, 1.0, 3.0, 4.0), said(key, -2.0, -3.0, -1.0, 4.0)
    assert more != less
    assert more.startswith("B")
    assert "{" not in more + less
