"""Where what happens in this process is recorded: read by whoever makes environments, set by whoever runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tau2_enhanced.logging.event_stream import EventSink


class Recording(NamedTuple):
    """What enhanced domains record to."""

    sink: EventSink
    replays: bool = False
    """Whether what the evaluator plays is recorded too."""


_recordings: list[Recording] = []


def current_recording() -> Recording | None:
    """The recording that began last and has not ended, the same in all threads; None where there is none."""
    return _recordings[-1] if _recordings else None


def begin(recording: Recording) -> None:
    """From here on, this is the current one."""
    _recordings.append(recording)


def end(recording: Recording) -> None:
    """What was the current one before is it again."""
    _recordings.remove(recording)
