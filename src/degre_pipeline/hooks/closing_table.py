"""The table of results that a run ends with on the terminal."""

import sys
from collections.abc import Mapping
from typing import Any

from kedro.framework.hooks import hook_impl

from degre_pipeline.hooks.logged_metrics import METRICS_DATASET
from degre_pipeline.judging import names

GATE_DATASET = "gate_decision"


class ClosingTableHook:
    """Prints the results at the end of a run that evaluated, and the gate's decision."""

    def __init__(self) -> None:
        """Start without results."""
        self._metrics: list[dict[str, Any]] | None = None
        self._decision: dict[str, Any] | None = None

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget the results of an earlier run."""
        self._metrics, self._decision = None, None

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep the results, if lists were valued, and the decision."""
        if dataset_name == METRICS_DATASET and any(row["metric"] == names.UTILITY for row in data):
            self._metrics = data
        elif dataset_name == GATE_DATASET:
            self._decision = data

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Print them, if the run made any."""
        if self._metrics is not None:
            # Imported here so that commands that run no pipeline do not load the evaluation.
            from degre_pipeline.reports.results_table import results_table

            sys.stdout.write(f"\n{results_table(self._metrics)}\n")
        if self._decision is not None:
            sys.stdout.write(f"\n{gate_line(self._decision)}\n")


def gate_line(decision: Mapping[str, Any]) -> str:
    """Return the gate's outcome and the rule that decided, in one line."""
    by, version = decision["decided_by"], decision["challenger"]["version"]
    return f"Gate: {decision['outcome']} version {version} ({by['rule']}, {by['about']}: {by['reason']})"
