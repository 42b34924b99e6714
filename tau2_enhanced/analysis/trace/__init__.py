"""The run as a timeline in the Chrome trace-event format, for Perfetto and speedscope."""

from tau2_enhanced.analysis.trace.file import write_trace

__all__ = ["write_trace"]
