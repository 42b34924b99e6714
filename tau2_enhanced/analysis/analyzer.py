"""`LogAnalyzer`: what the recorded calls of tools tell, as plain numbers.

analyzer = LogAnalyzer("enhanced_logs.json")
print(analyzer.get_comprehensive_analysis()["basic_stats"]["success_rate"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tau2_enhanced.analysis.executions.arguments import argument_analysis
from tau2_enhanced.analysis.executions.basics import basic_statistics, confidence_intervals
from tau2_enhanced.analysis.executions.contexts import context_reductions
from tau2_enhanced.analysis.executions.correlations import argument_correlations
from tau2_enhanced.analysis.executions.distributions import distributions, diversities, inequality
from tau2_enhanced.analysis.executions.errors import error_analysis
from tau2_enhanced.analysis.executions.executions import Executions
from tau2_enhanced.analysis.executions.groups import domain_analysis, simulation_analysis, task_analysis
from tau2_enhanced.analysis.executions.outcomes import outcome_analysis
from tau2_enhanced.analysis.executions.performance import bottlenecks, efficiency, performance
from tau2_enhanced.analysis.executions.reading import read_executions
from tau2_enhanced.analysis.executions.repeats import redundant_calls
from tau2_enhanced.analysis.executions.sensitive import sensitive_data
from tau2_enhanced.analysis.executions.sequences import transitions
from tau2_enhanced.analysis.executions.states import state_change_analysis
from tau2_enhanced.analysis.executions.temporal import temporal_analysis
from tau2_enhanced.analysis.executions.values import plain_json

if TYPE_CHECKING:
    import pandas as pd

ANALYSES: Mapping[str, Callable[[Executions], dict[str, Any]]] = {
    "basic_stats": basic_statistics,
    "confidence_intervals": confidence_intervals,
    "distributions": distributions,
    "inequality": inequality,
    "diversity": diversities,
    "performance": performance,
    "bottlenecks": bottlenecks,
    "efficiency": efficiency,
    "arguments": argument_analysis,
    "argument_correlations": argument_correlations,
    "sensitive_data": sensitive_data,
    "errors": error_analysis,
    "redundant_calls": redundant_calls,
    "transitions": transitions,
    "temporal": temporal_analysis,
    "state_changes": state_change_analysis,
    "context_reductions": context_reductions,
    "outcomes": outcome_analysis,
    "tasks": task_analysis,
    "domains": domain_analysis,
    "simulations": simulation_analysis,
}
"""Every analysis by its name in the comprehensive one."""


class LogAnalyzer:
    """Reads recorded events and answers questions about them.

    Takes files of events (JSONL, audited or not, also cut in the middle), enhanced logs (JSON), those of the
    earlier tool, log files, results files of tau2, and folders of any of these. Calls that the evaluator
    played are never counted; `notes` says how many there were. Raises UserMistake for a path that is no such file.

    Every `get_…` gives plain values that `json.dumps(…, allow_nan=False)` takes: units stand at the end of names
    (`_ms`, `_s`, `_bytes`), shares are from 0 to 1, and what is not defined (a rate of no calls) is None. A share
    with its interval is `value`, `low`, `high` and `n`.
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

    def get_comprehensive_analysis(self) -> dict[str, Any]:
        """All analyses by their names (`basic_stats`, `errors`, …), with `notes` and the `files` that were read."""
        made: dict[str, Any] = {name: self._get(name) for name in ANALYSES}
        return {"files": [str(file) for file in self.executions.files], "notes": self.notes, **made}

    def get_basic_statistics(self) -> dict[str, Any]:
        """How many calls, how many succeeded, how long they took: `total_tool_calls`, `success_rate`, …"""
        return self._get("basic_stats")

    def get_confidence_intervals(self) -> dict[str, Any]:
        """How sure success rates and mean times are: 95 % intervals, Wilson's and of a bootstrap."""
        return self._get("confidence_intervals")

    def get_distribution_analysis(self) -> dict[str, Any]:
        """How often each tool is used, how many calls simulations have, and how times are spread."""
        return self._get("distributions")

    def get_inequality_analysis(self) -> dict[str, Any]:
        """Gini's coefficients: whether few tools or simulations have most calls, errors and time."""
        return self._get("inequality")

    def get_diversity_analysis(self) -> dict[str, Any]:
        """Shannon's entropies: how varied the tools, arguments and errors are."""
        return self._get("diversity")

    def get_performance_analysis(self) -> dict[str, Any]:
        """How long each tool takes: `slowest_tools`, by their medians."""
        return self._get("performance")

    def get_performance_bottlenecks(self) -> dict[str, Any]:
        """Where the tools' time goes: `slowest_operations`, `by_total_time` and `outliers`."""
        return self._get("bottlenecks")

    def get_tool_efficiency_metrics(self) -> dict[str, Any]:
        """Which tools' calls are worth making: `top_performers` and `least_efficient`."""
        return self._get("efficiency")

    def get_argument_analysis(self) -> dict[str, Any]:
        """What arguments are like: `complexity_distribution`, types, names, and how signatures are used."""
        return self._get("arguments")

    def get_argument_correlation_analysis(self) -> dict[str, Any]:
        """What goes with slow and failing calls: `performance_predictors` and `error_predictors`."""
        return self._get("argument_correlations")

    def get_sensitive_data_analysis(self) -> dict[str, Any]:
        """Which kinds of sensitive data arguments carry, and where; never the data itself."""
        return self._get("sensitive_data")

    def get_error_analysis(self) -> dict[str, Any]:
        """Which calls fail, for which `causes`, and whether the agent recovers."""
        return self._get("errors")

    def get_redundant_calls(self) -> dict[str, Any]:
        """Which calls ask again what was answered already, with nothing changed in between."""
        return self._get("redundant_calls")

    def get_transition_analysis(self) -> dict[str, Any]:
        """Which tool follows which within a simulation, and what simulations begin and end with."""
        return self._get("transitions")

    def get_temporal_analysis(self) -> dict[str, Any]:
        """Whether times and errors rise or fall (`trends`), a `timeline`, and calls by their place."""
        return self._get("temporal")

    def get_state_change_analysis(self) -> dict[str, Any]:
        """Which tools change the databases, and what they change there."""
        return self._get("state_changes")

    def get_context_reduction_analysis(self) -> dict[str, Any]:
        """Where contexts were made shorter, and how many tokens that saved."""
        return self._get("context_reductions")

    def get_outcome_analysis(self) -> dict[str, Any]:
        """How passed simulations differ from failed ones, where verdicts or results are given."""
        return self._get("outcomes")

    def get_task_analysis(self) -> dict[str, Any]:
        """Each task's calls, errors and passes, and the tasks whose trials disagree."""
        return self._get("tasks")

    def get_domain_analysis(self) -> dict[str, Any]:
        """Each domain's calls, errors, passes and tools."""
        return self._get("domains")

    def get_simulation_analysis(self) -> dict[str, Any]:
        """A row for each simulation."""
        return self._get("simulations")

    def _get(self, name: str) -> dict[str, Any]:
        made: dict[str, Any] = plain_json(ANALYSES[name](self.executions))
        return made
