"""Files of the analysis: each is there whole, or as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tau2_enhanced.errors import UserMistake


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A path to write to; `target` has its content when the block ends well, and is untouched otherwise.

    The folder is made. Raises UserMistake where the file can't be written.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserMistake(f"{target.parent} can't be written: {error.strerror or error}") from None
    try:
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserMistake(f"{target} can't be written: {error.strerror or error}") from None
