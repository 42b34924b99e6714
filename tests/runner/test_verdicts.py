from __future__ import annotations

import pytest

from tau2_enhanced.models.failures import DeadlinePassed
from tau2_enhanced.runner.jobs import Status
from tau2_enhanced.runner.verdicts import decide


@pytest.mark.parametrize(
    ("failure", "status", "error_type"),
    [
        (ValueError("no such state"), Status.VERDICT, "evaluation_error"),
        (OSError(24, "Too many open files"), Status.UNJUDGED, "internal_error"),
        (MemoryError(), Status.UNJUDGED, "internal_error"),
        (DeadlinePassed("late"), Status.UNJUDGED, "deadline_passed"),
    ],
)
def test_no_model_answers_for_this_machine(failure: Exception, status: Status, error_type: str) -> None:
    whole = decide(failure, conversation_is_whole=True)
    assert (whole.status, whole.error_type) == (status, error_type)
    assert decide(failure, conversation_is_whole=False).status is Status.NO_VERDICT
