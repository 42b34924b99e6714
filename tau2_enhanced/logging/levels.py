"""The two levels beside logging's own, and `logger.profile(...)` and `logger.user_judge(...)`."""

from __future__ import annotations

import logging
from typing import Any

PROFILE = 15
"""Timing of model calls, tool calls and steps."""
USER_JUDGE = 16
"""Cost and latency of the user simulator and the judge."""

LEVELS = {
    "DEBUG": logging.DEBUG,
    "PROFILE": PROFILE,
    "USER_JUDGE": USER_JUDGE,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
}
"""The names a user may choose, with their values."""


class EventLogger(logging.Logger):
    """`logging.Logger` with a method for each of our levels."""

    def profile(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at PROFILE: an `ExecutionEvent`, or a message with its arguments."""
        if self.isEnabledFor(PROFILE):
            self._log(PROFILE, msg, args, **kwargs)

    def user_judge(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at USER_JUDGE: an `ExecutionEvent`, or a message with its arguments."""
        if self.isEnabledFor(USER_JUDGE):
            self._log(USER_JUDGE, msg, args, **kwargs)


def install_levels() -> None:
    """Name the levels and give their methods to every logger, those made before included."""
    logging.addLevelName(PROFILE, "PROFILE")
    logging.addLevelName(USER_JUDGE, "USER_JUDGE")
    for name in ("profile", "user_judge"):
        setattr(logging.Logger, name, getattr(EventLogger, name))


def get_logger(name: str) -> EventLogger:
    """A standard logger, typed with the methods of our levels."""
    return logging.getLogger(name)  # type: ignore[return-value]  # install_levels gave it the methods


install_levels()
# without a configured run, our messages are nobody's: Python would otherwise print them to stderr
NOBODY = logging.NullHandler()
logging.getLogger("tau2_enhanced").addHandler(NOBODY)
