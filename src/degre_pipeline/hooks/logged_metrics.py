"""Numbers of a run: learning curves, evaluation results, seconds spent in each node."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import mlflow
import pandas as pd
from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node
from mlflow.entities import Metric

from degre_pipeline.hooks.flat_parameters import loggable_name

HISTORY_SUFFIX = "_history"
METRICS_DATASET = "metrics"
LOG_SUPPORT_DATASET = "log_support"
DIAGNOSTICS_DATASET = "diagnostics"
LIFTS_DATASET = "online_lifts"
_METRICS_PER_CALL = 1000


class MetricsHook:
    """Writes numbers to the run as soon as they are known.

    - a saved dataset `<name>_history` (a DataFrame with a column `epoch`): the curve `<name>.<column>` of
      every other numeric column, one step an epoch;
    - the saved datasets `metrics` and `log_support` (rows with subject, judge, metric, value):
      `<judge>.<subject>.<metric>`;
    - the saved dataset `diagnostics`: `diagnostics.<diagnostic>.<subject>.<judge>`; where it has places
      (tenths, slots, beam sizes, epochs) a curve whose steps they are;
    - the saved dataset `online_lifts`: `online.<subject>.<measure>` of levels, and of lifts
      `online.<subject>_over_<against>.<measure>`; each followed by its group, where it is not everybody's;
    - `seconds.<node>`: from the start of a node to the end of saving its last output.
    """

    def __init__(self) -> None:
        """Start without a node."""
        self._started: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget the nodes of an earlier run."""
        self._started, self._seconds = {}, {}

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the node's clock."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Read the node's clock: a node may have nothing to save."""
        self._read_clock(node)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Read the node's clock and write the numbers that the dataset holds."""
        self._read_clock(node)
        if dataset_name.endswith(HISTORY_SUFFIX):
            _log(curves(dataset_name.removesuffix(HISTORY_SUFFIX), data))
        elif dataset_name in (METRICS_DATASET, LOG_SUPPORT_DATASET):
            _log(results(data))
        elif dataset_name == DIAGNOSTICS_DATASET:
            _log(diagnoses(data))
        elif dataset_name == LIFTS_DATASET:
            _log(lifts(data))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Write the seconds."""
        self._log_seconds()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Write the seconds of the nodes that got through."""
        self._log_seconds()

    def _read_clock(self, node: Node) -> None:
        self._seconds[node.name] = time.perf_counter() - self._started[node.name]

    def _log_seconds(self) -> None:
        _log((f"seconds.{name}", seconds, 0) for name, seconds in self._seconds.items())


def curves(name: str, history: pd.DataFrame) -> Iterator[tuple[str, float, int]]:
    """Yield metric name, value and epoch of every numeric column; missing values are left out.

    Raises: ValueError if there is no column `epoch`.
    """
    if "epoch" not in history:
        raise ValueError(
            f"The dataset {name + HISTORY_SUFFIX!r} has the columns {list(history.columns)}; "
            "allowed: one of them is 'epoch'."
        )
    for column in history.drop(columns="epoch").select_dtypes("number"):
        for epoch, value in zip(history["epoch"], history[column], strict=True):
            if not pd.isna(value):
                yield f"{name}.{column}", float(value), int(epoch)


def results(
    metrics: pd.DataFrame | Iterable[Mapping[str, Any]],
) -> Iterator[tuple[str, float, int]]:
    """Yield metric name, value and step 0 of every row; rows without a value are left out."""
    rows = metrics.to_dict("records") if isinstance(metrics, pd.DataFrame) else metrics
    for row in rows:
        if row["value"] is not None and not math.isnan(row["value"]):
            yield f"{row['judge']}.{row['subject']}.{row['metric']}", float(row["value"]), 0


def diagnoses(diagnostics: pd.DataFrame) -> Iterator[tuple[str, float, int]]:
    """Yield metric name, value and place of every row, step 0 where it has none; without missing values."""
    for row in diagnostics[diagnostics["value"].notna()].to_dict("records"):
        name = ".".join(["diagnostics", row["diagnostic"], row["subject"], row["judge"]])
        yield name, float(row["value"]), 0 if pd.isna(row["at"]) else int(row["at"])


def lifts(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, float, int]]:
    """Yield metric name, value and step 0 of every level and lift; rows without a value are left out."""
    for row in rows:
        if row["value"] is not None:
            compared = f"{row['subject']}_over_{row['against']}" if row["against"] else row["subject"]
            words = [] if row["by"] == row["group"] else [row["by"], row["group"]]
            yield ".".join(["online", compared, row["measure"], *words]), float(row["value"]), 0


def _log(numbers: Iterable[tuple[str, float, int]]) -> None:
    run = mlflow.active_run()
    if run is None:
        return
    now = int(time.time() * 1000)
    metrics = [Metric(loggable_name(name), value, now, step) for name, value, step in numbers]
    client = mlflow.MlflowClient()
    new = without_known(metrics, client.get_run(run.info.run_id).data.metrics)
    for start in range(0, len(new), _METRICS_PER_CALL):
        client.log_batch(run.info.run_id, metrics=new[start : start + _METRICS_PER_CALL])


def without_known(metrics: Sequence[Metric], known: Mapping[str, float]) -> list[Metric]:
    """Return the points of the metrics whose last value the run does not have yet.

    A repeated step of a workflow computes the same numbers, which the run must hold once.
    """
    last = {metric.key: metric.value for metric in metrics}
    return [metric for metric in metrics if known.get(metric.key) != last[metric.key]]
