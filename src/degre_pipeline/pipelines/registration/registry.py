"""A new version in MLflow's model registry, found again by tags and alias."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.models.model import ModelInfo

RUN_TAGS = ("git_commit", "git_dirty", "data_sha256")
"""Tags of the run that are repeated on the version, when the run has them."""
MAIN_METRICS = ("utility", "utility_over_ranking_order", "regret", "hr1", "hr1_below_beam")


@contextmanager
def active_or_new_run() -> Iterator[Run]:
    """Yields the run that is open, and leaves it open; without one, a run of its own."""
    active = mlflow.active_run()
    if active is not None:
        yield mlflow.get_run(active.info.run_id)
        return
    with mlflow.start_run() as started:
        yield started


def provenance(run: Run) -> dict[str, str]:
    """Returns the run's tags about code and data that are known so far."""
    return {name: run.data.tags[name] for name in RUN_TAGS if name in run.data.tags}


def metric_tags(metrics: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the generator's main figures as tags `judge.metric`; an unknown figure has none."""
    return {
        f"{row['judge']}.{row['metric']}": str(row["value"])
        for row in metrics
        if row["subject"] == "generator" and row["metric"] in MAIN_METRICS and row["value"] is not None
    }


def register_version(
    logged: ModelInfo, run_id: str, *, name: str, alias: str, tags: Mapping[str, str]
) -> dict[str, Any]:
    """Makes a logged model the next version of a registered model and moves the alias to it.

    Returns: name, version, uri (of this version), run_id and alias.
    """
    version = mlflow.register_model(logged.model_uri, name, tags=dict(tags))
    mlflow.MlflowClient().set_registered_model_alias(name, alias, version.version)
    return {
        "name": name,
        "version": int(version.version),
        "uri": f"models:/{name}/{version.version}",
        "run_id": run_id,
        "alias": alias,
    }
