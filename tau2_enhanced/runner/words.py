"""Numbers as a person reads them, the same wherever the runner shows them."""

from __future__ import annotations


def duration(seconds: float | None) -> str:
    """`0.84 s`, `12.3 s`, `4:07`, `1:02:33`."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def money(usd: float | None, *, at_least: bool = False) -> str:
    """`$0.0123`, `$4.56`; unknown is `–`; `≥` where a part is unknown."""
    if usd is None:
        return "–"
    digits = 2 if usd >= 1 or usd == 0 else 4
    return ("≥ " if at_least else "") + f"${usd:.{digits}f}"


def percent(share: float | None) -> str:
    """`64.9 %`."""
    return "–" if share is None else f"{100 * share:.1f} %"


def short(task: str, width: int = 48) -> str:
    """A task's id, its middle left out where it is long: telecom's ids have up to 250 characters."""
    if len(task) <= width:
        return task
    half = (width - 1) // 2
    return f"{task[: width - 1 - half]}…{task[-half:]}"


def count(number: int | None) -> str:
    """`812`, `12.3 k`, `4.56 M`; unknown is `–`."""
    if number is None:
        return "–"
    if number < 10_000:
        return str(number)
    if number < 1_000_000:
        return f"{number / 1000:.1f} k"
    return f"{number / 1e6:.2f} M"
