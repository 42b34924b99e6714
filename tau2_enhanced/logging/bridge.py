"""Other libraries' messages in our files, with their task: tau2's loguru, litellm's loggers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tau2_enhanced.logging.levels import LEVELS

if TYPE_CHECKING:
    from loguru import Message

_TALKATIVE = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "anthropic", "urllib3", "asyncio", "matplotlib")
_OWN_HANDLERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_quiet = 0
"""How many blocks of `quiet_tau2` are running."""
_quiet_lock = threading.Lock()


def quiet_libraries() -> None:
    """Let clients' loggers speak from WARNING on, and litellm's through ours instead of to the screen."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def silence_loguru() -> None:
    """Keep loguru's messages off the screen until there is a file for them."""
    from loguru import logger

    logger.remove()


@contextmanager
def quiet_tau2() -> Iterator[None]:
    """Inside the block, in every thread, nobody hears what tau2 says through loguru; all else is left as it is."""
    global _quiet
    from loguru import logger

    with _quiet_lock:
        _quiet += 1
        logger.disable("tau2")
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet -= 1
            if not _quiet:
                logger.enable("tau2")


def bridge_loguru(level: int) -> None:
    """Send what is logged through loguru to standard logging, from `level` on, and nowhere else."""
    from loguru import logger

    logger.remove()
    logger.add(_forward, level=level, format="{message}")


def _forward(message: Message) -> None:
    record = message.record
    exception = record["exception"]
    # loguru formats in the calling thread, so the task context is the right one
    level = max((number for number in LEVELS.values() if number <= record["level"].no), default=logging.DEBUG)
    logger = logging.getLogger(record["name"] or "loguru")
    if logger.isEnabledFor(level):
        # `log` would look through the stack for the caller, which loguru knows
        place = record["file"].path, record["line"], record["message"], ()
        stack = (exception.type, exception.value, exception.traceback) if exception else None
        logger.handle(
            logger.makeRecord(logger.name, level, *place, stack, record["function"])  # type: ignore[arg-type]  # loguru's triple may hold None
        )
