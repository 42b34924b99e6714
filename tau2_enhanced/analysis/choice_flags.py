"""The flags by which a command line says which events are meant."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tau2_enhanced.analysis.table import Choice

_KINDS = {"run": str, "domain": str, "task": str, "trial": int, "type": str}


def add_choice_flags(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """`--run`, `--domain`, `--task`, `--trial`, `--type`, `--since` and `--until`, but those in `without`."""
    for name, kind in _KINDS.items():
        if name not in without:
            parser.add_argument(f"--{name}", nargs="+", type=kind, metavar=name.upper(), help=f"only these {name}s")
    for name, which in (("since", "then or later"), ("until", "before")):
        parser.add_argument(
            f"--{name}",
            type=_moment,
            metavar="TIME",
            help=f"only simulations that ended {which}, like 2026-03-14T09:26",
        )


def choice_of(options: argparse.Namespace) -> Choice:
    """What these flags mean."""
    from tau2_enhanced.analysis.table import Choice

    return Choice(**{name: getattr(options, name, None) for name in (*_KINDS, "since", "until")})


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone().replace(tzinfo=None) if moment.tzinfo is not None else moment
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-03-14T09:26") from None
