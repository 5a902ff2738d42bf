"""The one MLflow run of a workflow whose steps are separate `kedro run`s."""

import os
from collections.abc import Mapping

import mlflow

from degre_pipeline.release.filters import quoted
from degre_pipeline.run_facts import WORKFLOW_RUN

TAG = "workflow_run"


def workflow_run(environment: Mapping[str, str] = os.environ) -> str | None:
    """Returns the name of the workflow that this process is a step of; None for a run of its own."""
    return environment.get(WORKFLOW_RUN) or None


def find_or_create_run(experiment_id: str, workflow: str) -> str:
    """Returns the id of the workflow's MLflow run, which the first step makes and the others find by its tag.

    The tag is written together with the run, so a step that is killed leaves a run that its retry finds.
    """
    found = mlflow.MlflowClient().search_runs(
        [experiment_id],
        f"tags.{TAG} = {quoted(workflow)}",
        max_results=1,
        order_by=["attributes.start_time ASC"],
    )
    if found:
        return str(found[0].info.run_id)
    with mlflow.start_run(experiment_id=experiment_id, run_name=workflow, tags={TAG: workflow}) as run:
        return str(run.info.run_id)


def joined(earlier: str | None, now: str) -> str:
    """Returns what steps have done, in their order: "ingestion" and "mining" make "ingestion+mining"."""
    names = [*(earlier or "").split("+"), *now.split("+")]
    return "+".join(dict.fromkeys(name for name in names if name))
