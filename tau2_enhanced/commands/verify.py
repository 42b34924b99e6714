"""Whether a file of events was changed, dropped lines or was cut; exit code 1 where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tau2_enhanced.commands.parser import CommandParser
from tau2_enhanced.errors import UserMistake


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("verify", str(__doc__))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--head", metavar="DIGEST", help="the last digest, where it was kept elsewhere (one FILE)")
    parser.add_argument("--json", action="store_true", help="as JSON, a line for each file")
    options = parser.parse_args(arguments)
    if options.head and len(options.files) > 1:
        parser.error("--head is the digest of one file")
    from tau2_enhanced.logging.audit import verify as verified

    verdicts = []
    for path in options.files:
        try:
            verdicts.append(verified(path, options.head))
        except OSError as error:
            raise UserMistake(f"{path} can't be read: {error.strerror}") from None
    for path, verdict in zip(options.files, verdicts, strict=True):
        print(json.dumps({"file": str(path), **verdict._asdict()}) if options.json else f"{path}: {verdict}")
    return 0 if all(verdict.holds for verdict in verdicts) else 1
