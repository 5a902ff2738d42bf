"""The experiment that holds the ledger: found, restored where it was deleted, made where there is none."""

import logging

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

logger = logging.getLogger(__name__)

EXPERIMENT = "degre_promotions"
_DELETED = "deleted"


def known_experiment(client: MlflowClient) -> str | None:
    """Returns the id of the ledger's experiment, restored where it was deleted; None where there is none."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        return None
    if found.lifecycle_stage == _DELETED:
        client.restore_experiment(found.experiment_id)
        logger.warning("the experiment %s was deleted, and is restored: it is the ledger", EXPERIMENT)
    return str(found.experiment_id)


def experiment_for(client: MlflowClient, version: ModelVersion | None) -> str:
    """Returns the id of the ledger's experiment; a new one keeps its artifacts where the version's does."""
    known = known_experiment(client)
    if known is not None:
        return known
    location = None
    if version is not None and version.run_id:
        beside = client.get_experiment(client.get_run(version.run_id).info.experiment_id).artifact_location
        location = None if beside.startswith("mlflow-artifacts:") else beside
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))
