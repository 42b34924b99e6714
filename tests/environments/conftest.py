"""What the tests of the environments share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tau2_enhanced import tau2_versions
from tau2_enhanced.logging import current_context
from tau2_enhanced.logging.events import ExecutionEvent


class EventCollector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=1)
        self.events: list[ExecutionEvent] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record.msg, ExecutionEvent)
        record.msg.stamp(current_context())
        self.events.append(record.msg)


@pytest.fixture
def events() -> Iterator[list[ExecutionEvent]]:
    """What is emitted during the test, stamped with its task context."""
    logger, collector = logging.getLogger("tau2_enhanced.events"), EventCollector()
    level = logger.level
    logger.addHandler(collector)
    logger.setLevel(1)
    yield collector.events
    logger.removeHandler(collector)
    logger.setLevel(level)


@pytest.fixture(scope="session")
def registry() -> Any:
    """tau2's registry, tau2 being loaded as a run loads it."""
    return tau2_versions.load()
