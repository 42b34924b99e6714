"""What was recorded, read and analysed. Its classes are loaded when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tau2_enhanced.analysis.analyzer import LogAnalyzer
    from tau2_enhanced.analysis.visualizer import LogVisualizer

__all__ = ["LogAnalyzer", "LogVisualizer"]

_MODULES = {"LogAnalyzer": "analyzer", "LogVisualizer": "visualizer"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
