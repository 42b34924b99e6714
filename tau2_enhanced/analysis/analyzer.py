"""`LogAnalyzer`: what the recorded calls of tools tell, as plain numbers.

analyzer = LogAnalyzer("enhanced_logs.json")
print(analyzer.get_comprehensive_analysis()["basic_stats"]["success_rate"])
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.reading import read_executions

if TYPE_CHECKING:
    import pandas as pd


class LogAnalyzer:
    """Reads recorded events and answers questions about them.

    Takes files of events (JSONL, audited or not, also cut in the middle), enhanced logs (JSON), those of the
    earlier tool, log files, results files of tau2, and folders of any of these. Calls that the evaluator
    played are never counted; `notes` says how many there were. Raises UserMistake for a path that is no such file.
    """

    def __init__(self, paths: Path | str | Iterable[Path | str] | Executions) -> None:
        self.executions = paths if isinstance(paths, Executions) else read_executions(paths)

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of the numbers: what is not counted and why, in sentences."""
        return list(self.executions.notes)

    def to_frame(self) -> pd.DataFrame:
        """A row for each live tool call, with the fields of its event; JSON values are texts."""
        import pandas as pd

        return pd.DataFrame(self.executions.calls.to_dict(as_series=False))
