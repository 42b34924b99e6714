"""What was recorded, read and analysed. `LogAnalyzer` is loaded when it is first asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tau2_enhanced.analysis.analyzer import LogAnalyzer

__all__ = ["LogAnalyzer"]


def __getattr__(name: str) -> Any:
    if name != "LogAnalyzer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tau2_enhanced.analysis.analyzer import LogAnalyzer

    return LogAnalyzer
