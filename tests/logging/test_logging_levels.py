from __future__ import annotations

import logging

import pytest

from tau2_enhanced.logging import LEVELS, PROFILE, USER_JUDGE, get_logger
from tau2_enhanced.logging.config import level_number


class Listener(logging.Handler):
    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        logger.addHandler(self)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_levels_have_the_documents_values() -> None:
    assert LEVELS == {"DEBUG": 10, "PROFILE": 15, "USER_JUDGE": 16, "INFO": 20, "WARNING": 30, "ERROR": 40}
    assert (PROFILE, USER_JUDGE) == (15, 16)


def test_the_levels_are_named_in_standard_logging() -> None:
    assert (logging.getLevelName(15), logging.getLevelName(16)) == ("PROFILE", "USER_JUDGE")
    assert (logging.getLevelName("PROFILE"), logging.getLevelName("USER_JUDGE")) == (15, 16)


@pytest.mark.parametrize(("method", "level"), [("profile", 15), ("user_judge", 16)])
def test_any_logger_has_the_levels_methods(method: str, level: int) -> None:
    logger = logging.getLogger(f"test_levels.{method}")
    heard = Listener(logger)
    logger.setLevel(level)
    getattr(logger, method)("took %d ms", 5)
    [record] = heard.records
    assert (record.levelno, record.getMessage()) == (level, "took 5 ms")


@pytest.mark.parametrize(("threshold", "heard_levels"), [("DEBUG", [15, 16]), ("USER_JUDGE", [16]), ("INFO", [])])
def test_a_disabled_level_is_silent(threshold: str, heard_levels: list[int]) -> None:
    logger = get_logger(f"test_levels.from_{threshold}")
    heard = Listener(logger)
    logger.setLevel(threshold)
    logger.profile("p")
    logger.user_judge("j")
    assert [record.levelno for record in heard.records] == heard_levels


def test_a_profile_call_carries_its_exception_and_extra() -> None:
    logger = get_logger("test_levels.keywords")
    heard = Listener(logger)
    logger.setLevel(PROFILE)
    logger.profile("m", exc_info=ValueError("boom"), extra={"colour": "red"})
    [record] = heard.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)
    assert record.__dict__["colour"] == "red"


@pytest.mark.parametrize(
    ("given", "number"), [("PROFILE", 15), ("profile", 15), ("User_Judge", 16), (17, 17), ("ERROR", 40)]
)
def test_a_level_is_found_by_name_in_any_case_or_by_number(given: int | str, number: int) -> None:
    assert level_number(given) == number


@pytest.mark.parametrize("given", ["", "LOUD", "CRITICAL ", "15"])
def test_an_unknown_level_is_named_with_the_choices(given: str) -> None:
    with pytest.raises(ValueError, match=f"{given!r}.*DEBUG PROFILE USER_JUDGE INFO WARNING ERROR"):
        level_number(given)
