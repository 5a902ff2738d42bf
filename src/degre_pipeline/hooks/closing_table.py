"""The table of results that a run ends with on the terminal."""

import sys
from typing import Any

from kedro.framework.hooks import hook_impl

from .metrics import METRICS_DATASET


class ClosingTableHook:
    """Prints the results as the last thing of a run that evaluated."""

    def __init__(self) -> None:
        """Start without results."""
        self._metrics: list[dict[str, Any]] | None = None

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget the results of an earlier run."""
        self._metrics = None

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep the results, if lists were valued."""
        if dataset_name == METRICS_DATASET and any(row["metric"] == "utility" for row in data):
            self._metrics = data

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Print them, if the run made any."""
        if self._metrics is not None:
            # Imported here so that commands that run no pipeline do not load the evaluation.
            from degre_pipeline.pipelines.evaluation.report.results_table import results_table

            sys.stdout.write(f"\n{results_table(self._metrics)}\n")
