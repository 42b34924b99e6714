"""What all command lines share: a parser that says a mistake in one line, and how a process ends."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from tau2_enhanced.errors import Tau2EnhancedError


class Parser(argparse.ArgumentParser):
    """Says a mistake in one line, without secrets."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments"):
            # a value may be a key: flags alone are repeated
            flags = [word.partition("=")[0] for word in message.split() if word.startswith("-")]
            message = "unrecognized arguments: " + (" ".join(flags) or "a value without a flag")
        say(f"{self.prog}: {message} (see --help)")
        self.exit(2)


def exit_code(program: str, work: Callable[[], int]) -> int:
    """Do the work; the process's exit code. What ends it early is said in one line, in the program's name."""
    try:
        code = work()
        sys.stdout.flush()
    except Tau2EnhancedError as error:
        say(f"{program}: {error}")
        return error.exit_code
    except ModuleNotFoundError as error:
        # most likely the system's Python, for want of an activated environment
        say(
            f"{program}: {error} (in {sys.executable}): activate the environment in which requirements.txt is installed"
        )
        return 2
    except KeyboardInterrupt:
        say(f"{program}: interrupted")
        return 130
    except BrokenPipeError:
        # who read our output has gone; nothing more can be said there, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def say(text: str) -> None:
    """Print a line on stderr, without secrets."""
    # here, since most command lines have nothing to say
    from tau2_enhanced.logging.redaction import protect_environment, scrub

    protect_environment()
    print(scrub(text), file=sys.stderr)
