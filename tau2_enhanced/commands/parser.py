"""How commands parse their flags."""

from __future__ import annotations

from tau2_enhanced.command_line import Parser

PROGRAM = "tau2-enhanced"


class CommandParser(Parser):
    """Of the command's own flags."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"{PROGRAM} {command}", description=description, allow_abbrev=False)
