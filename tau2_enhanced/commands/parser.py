"""How commands parse their flags."""

from __future__ import annotations

import argparse
from typing import NoReturn

PROGRAM = "tau2-enhanced"


class CommandParser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"{PROGRAM} {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")
